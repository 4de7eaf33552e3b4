"""A buyer has a message answered once more: after it came to nothing, or by another worker."""

from collections.abc import Sequence

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.chat import rules, store, store_turns
from openclaw_jobs.chat.models import Sending, TurnOutline
from openclaw_jobs.db import Connection
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.grant_checks import grant_if_due
from openclaw_jobs.market.post_task import TaskOrder, post_within, price_order
from openclaw_jobs.market.send_message import MessageQuote
from openclaw_jobs.market.unit import Unit, run
from openclaw_jobs.tasks import Message


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer asks for.

    Attributes:
        turn_id: The message that is to be answered once more.
        another: For a second answer to compare with; otherwise to try again.
        max_price_cents: The price that the buyer was shown; it pays no more.
        key: Made by the page for this wish; with it, it is fulfilled once.
    """

    buyer_id: str
    turn_id: str
    another: bool
    max_price_cents: int | None
    key: str


async def quote_again(
    market: Market, buyer_id: str, turn_id: str, *, another: bool
) -> MessageQuote:
    """What `answer_again` would charge now.

    Raises:
        Problem: `not_found`, `wrong_state`.
    """
    async with market.db.transaction() as conn:
        conversation_id, outline = await _find(conn, buyer_id, turn_id)
        rules.check_repeatable(outline.answers, another=another)
        order = await _order(conn, buyer_id, conversation_id, outline, None, lineage=False)
        balances = await ledger.balances(conn, buyer_id)
    return MessageQuote(
        price_cents=price_order(market, order),
        balance_cents=ledger.spendable_cents(balances),
        history=len(order.messages or ()) // 2,
        left_out=0,
    )


async def answer_again(market: Market, wish: Repetition) -> Sending:
    """Post the task of a turn again, in the words that it had, and charge for it.

    Another answer comes from a worker that has not held a task of this turn; to try again, anybody
    may.

    Raises:
        Problem: `not_found`; `wrong_state`: it is being answered, or there is nothing to compare
            with, or nothing to try again; or what posting a task raises.
    """
    send_key = rules.sending_key(
        wish.buyer_id, wish.key, wish.turn_id, "another" if wish.another else "again"
    )

    async def effect(unit: Unit) -> Sending:
        conn = unit.conn
        await store.wait_for_chat(conn, wish.buyer_id)
        if (before := await store_turns.select_sending(conn, send_key)) is not None:
            return before
        conversation_id, outline = await _find(conn, wish.buyer_id, wish.turn_id)
        rules.check_repeatable(outline.answers, another=wish.another)
        order = await _order(
            conn,
            wish.buyer_id,
            conversation_id,
            outline,
            wish.max_price_cents,
            lineage=wish.another,
        )
        posted = await post_within(market, unit, order)
        if order.lineage is not None:
            held = [answer.task_id for answer in outline.answers]
            await store_turns.note_readers(conn, order.lineage, held)
        sending = Sending(conversation_id, wish.turn_id, posted.task_id)
        await store_turns.insert_answer(conn, sending, outline.answers[-1].seq + 1, send_key)
        await store.touch_conversation(conn, conversation_id, order.category, unit.now)
        unit.tell(
            wish.buyer_id,
            "conversation",
            None,
            conversation_id=conversation_id,
            turn_id=wish.turn_id,
        )
        return sending

    await grant_if_due(market)
    return await run(market, effect, None)


async def _find(conn: Connection, buyer_id: str, turn_id: str) -> tuple[str, TurnOutline]:
    conversation_id = None
    if is_id("turn", turn_id):
        conversation_id = await store_turns.select_conversation_of(conn, buyer_id, turn_id)
    if conversation_id is None:
        raise not_found("message")
    outlines = await store_turns.select_outline(conn, conversation_id)
    return conversation_id, next(one for one in outlines if one.turn_id == turn_id)


async def _order(
    conn: Connection,
    buyer_id: str,
    conversation_id: str,
    outline: TurnOutline,
    max_price_cents: int | None,
    *,
    lineage: bool,
) -> TaskOrder:
    """The first task of a turn once more."""
    first = outline.answers[0].task_id
    text = await store_turns.select_input(conn, first)
    if text is None:
        raise LookupError(f"{first} has no text")
    prompt, messages, category, known = text
    return TaskOrder(
        buyer_id=buyer_id,
        prompt=prompt,
        messages=_messages(messages),
        category=category,
        min_tier="bronze",
        max_price_cents=max_price_cents,
        conversation_id=conversation_id,
        metadata=None,
        lineage=(known or first) if lineage else None,
    )


def _messages(text: str | None) -> Sequence[Message] | None:
    return None if text is None else msgspec.json.decode(text, type=list[Message])
