"""What the pages of a conversation show, put together from what the market says."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from openclaw_jobs.chat import Answer, Turn, rules
from openclaw_jobs.economy.rules import credit_window
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.read_conversations import list_conversations, search_conversations
from openclaw_jobs.market.read_tasks import (
    HAVE_RESULTS,
    QueuePlace,
    confidence_of,
    place_in_queue,
)
from openclaw_jobs.market.send_message import MessageQuote, quote_message
from openclaw_jobs.web.rendered import prepare

__all__ = [
    "DEFAULT_CATEGORY",
    "Price",
    "Side",
    "TurnView",
    "categories",
    "duration_words",
    "new_key",
    "price_of",
    "price_words",
    "side_of",
    "views_of",
]

DEFAULT_CATEGORY: Final = "general"
LIST_SIZE: Final = 40
_KEY_BYTES: Final = 16
_SHORTEST: Final = "?"
_MINUTE: Final = 60
_HOUR: Final = 3600


class AnswerView(msgspec.Struct, frozen=True):
    """An answer and what may be done with it now.

    Attributes:
        answer: The answer.
        number: 1 for the first of its turn that is shown.
        place: Where it stands in the queue, while it waits.
        chosen: It stands for its turn in what follows.
        took: How long its worker took, in words.
        creditable: Its price may still be asked back.
        confidence: How sure the platform is of it, 0 to 1; None without a result to judge.
    """

    answer: Answer
    number: int
    place: QueuePlace | None
    chosen: bool
    took: str
    creditable: bool
    confidence: float | None


class TurnView(msgspec.Struct, frozen=True):
    """A turn as the pages show it.

    Attributes:
        turn: The turn.
        answers: Those worth showing: what came to nothing goes away once there is better.
        open: A task of it is waiting or being worked on.
        answered: It has an answer.
        comparing: There are several results to choose from.
    """

    turn: Turn
    answers: list[AnswerView]
    open: bool
    answered: bool
    comparing: bool


class Side(msgspec.Struct, frozen=True):
    """The list of conversations, or what a search found."""

    query: str
    conversations: Sequence[Any]
    hits: Sequence[Any]
    more: str | None
    current: str | None


def new_key() -> str:
    """A key for one sending; a page that was made twice has two."""
    return secrets.token_urlsafe(_KEY_BYTES)


def categories(market: Market) -> list[tuple[str, str]]:
    """The categories on offer and what to call them, the general one first."""
    priced = [name for name in market.config.pricing.base_cents if name != "default"]
    names = [DEFAULT_CATEGORY, *sorted(name for name in priced if name != DEFAULT_CATEGORY)]
    return [(name, name.replace("_", " ").replace("-", " ").capitalize()) for name in names]


async def views_of(market: Market, turns: Sequence[Turn]) -> list[TurnView]:
    """Turns as they stand now, with what is known of each answer; their texts are prepared."""
    await prepare(answer.result for turn in turns for answer in turn.answers)
    waiting = [a for turn in turns for a in turn.answers if a.status == "queued"]
    places = await asyncio.gather(
        *(place_in_queue(market, a.category, a.queue_rank, a.task_id) for a in waiting)
    )
    by_task = {a.task_id: place for a, place in zip(waiting, places, strict=True)}
    judged = [a.task_id for turn in turns for a in turn.answers if a.status in HAVE_RESULTS]
    sure = await confidence_of(market, judged)
    now, window = market.clock.now(), credit_window(market.config.quality)
    return [_view(turn, by_task, sure, now, window) for turn in turns]


def _view(
    turn: Turn,
    places: Mapping[str, QueuePlace],
    sure: Mapping[str, float],
    now: datetime,
    window: timedelta,
) -> TurnView:
    chosen = rules.chosen(turn.answers, turn.chosen_task_id)
    last = turn.answers[-1]
    worth = [a for a in turn.answers if a.result is not None or a is last]
    answers = [
        AnswerView(
            answer=answer,
            number=number,
            place=places.get(answer.task_id),
            chosen=chosen is not None and answer.task_id == chosen.task_id,
            took=_took(answer),
            creditable=(
                answer.status == "completed"
                and answer.credit is None
                and answer.completed_at is not None
                and now < answer.completed_at + window
            ),
            confidence=sure.get(answer.task_id),
        )
        for number, answer in enumerate(worth, 1)
    ]
    return TurnView(
        turn=turn,
        answers=answers,
        open=rules.is_open(turn.answers),
        answered=chosen is not None,
        comparing=sum(a.answer.result is not None for a in answers) > 1,
    )


def _took(answer: Answer) -> str:
    if answer.claimed_at is None or answer.completed_at is None:
        return ""
    return duration_words((answer.completed_at - answer.claimed_at).total_seconds())


def duration_words(seconds: float) -> str:
    """A length of time as people say it, to the nearest of what matters."""
    whole = max(1, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest} s" if rest and minutes < _MINUTE // 6 else f"{minutes} min"
    hours, rest = divmod(whole // _MINUTE, _MINUTE)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


async def side_of(
    market: Market, buyer_id: str, *, query: str = "", current: str | None = None
) -> Side:
    """The list at the side, or what a search in it finds."""
    query = query.strip()[: rules.MAX_SEARCH_CHARS]
    if query:
        hits = await search_conversations(market, buyer_id, query)
        return Side(query, [], hits, None, current)
    page = await list_conversations(market, buyer_id, None, LIST_SIZE)
    more = None if page.resume_after is None else place_token(page.resume_after)
    return Side("", page.conversations, [], more, current)


def place_token(place: Any) -> str:  # noqa: ANN401 - a `Place`
    """A place in the list of conversations, for a query."""
    return f"{place.updated_at.isoformat()}~{place.conversation_id}"


class Price(msgspec.Struct, frozen=True):
    """What sending would cost, as the composer shows it.

    Attributes:
        quote: The price of what is written, or of the shortest message.
        least: It is the latter: nothing is written yet.
        problem: Why nothing can be sent, in place of a quote.
    """

    quote: MessageQuote | None
    least: bool
    problem: Problem | None = None


async def price_of(
    market: Market, buyer_id: str, conversation_id: str | None, text: str, category: str
) -> Price:
    """What a message would cost, or the shortest one if there is none yet."""
    least = not text.strip()
    try:
        quote = await quote_message(
            market, buyer_id, conversation_id, _SHORTEST if least else text, category
        )
    except Problem as problem:
        return Price(None, least, problem)
    return Price(quote, least)


def price_words(price: Price) -> dict[str, Any]:
    """A price as JSON for the composer."""
    if price.problem is not None:
        return {"least": price.least, "problem": price.problem.detail, "code": price.problem.code}
    quote = price.quote
    if quote is None:
        raise LookupError("a price has a quote or a problem")
    return {
        "least": price.least,
        "price_cents": quote.price_cents,
        "balance_cents": quote.balance_cents,
        "affordable": quote.affordable,
        "left_out": quote.left_out,
    }
