"""The pages of conversations, and the parts of them that are fetched anew."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from openclaw_jobs.chat import Conversation, Draft
from openclaw_jobs.chat.models import Place
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.answer_again import quote_again
from openclaw_jobs.market.read_conversations import (
    list_conversations,
    read_conversation,
    read_start,
    read_turn,
    read_turns_after,
)
from openclaw_jobs.market.read_tasks import get_balance
from openclaw_jobs.web.chat_views import (
    DEFAULT_CATEGORY,
    LIST_SIZE,
    Side,
    TurnView,
    categories,
    new_key,
    place_token,
    price_of,
    side_of,
    views_of,
)
from openclaw_jobs.web.pages import Page, PageRequest, buyer_of, render, site_of

_TITLE: Final = "Chat"
_BUYER: Final = page_options(auth="buyer")
_FRAGMENT: Final = {"X-Robots-Tag": "noindex"}


@get("/chat", opt=_BUYER)
async def start(request: PageRequest) -> Page:
    """A conversation that has not begun."""
    market, buyer_id = site_of(request).market, buyer_of(request)
    draft, seq = await read_start(market, buyer_id)
    return await _page(request, _TITLE, conversation=None, turns=[], draft=draft, seq=seq)


@get("/chat/{conversation_id:str}", opt=_BUYER)
async def conversation(
    request: PageRequest,
    conversation_id: FromPath[str],
    before: Annotated[int | None, QueryParameter(ge=2, le=2**31 - 1)] = None,
) -> Page:
    """A conversation: its last turns, or those before one."""
    market = site_of(request).market
    view = await read_conversation(market, buyer_of(request), conversation_id, before)
    return await _page(
        request,
        view.conversation.title,
        conversation=view.conversation,
        turns=await views_of(market, view.turns),
        draft=view.draft,
        seq=view.event_seq,
        earlier=view.earlier,
        before=before,
    )


async def _page(
    request: PageRequest,
    title: str,
    *,
    conversation: Conversation | None,
    turns: list[TurnView],
    draft: Draft | None,
    seq: int,
    earlier: bool = False,
    before: int | None = None,
) -> Page:
    market, buyer_id = site_of(request).market, buyer_of(request)
    where = conversation.conversation_id if conversation else None
    category = draft.category if draft else conversation.category if conversation else None
    text = draft.text if draft else ""
    price = await price_of(market, buyer_id, where, text, category or DEFAULT_CATEGORY)
    balance = await get_balance(market, buyer_id)
    last = turns[-1] if turns else None
    return render(
        request,
        "chat/page.html",
        title=title,
        conversation=conversation,
        turns=turns,
        waiting=last is not None and last.open and not last.answered,
        earlier=earlier,
        before=before,
        draft=text,
        category=category or DEFAULT_CATEGORY,
        categories=categories(market),
        price=price,
        balance_cents=balance.promo_cents + balance.paid_cents,
        key=new_key(),
        seq=seq,
        side=await side_of(market, buyer_id, current=where),
    )


@get("/chat/{conversation_id:str}/turns", opt=_BUYER)
async def turns_after(
    request: PageRequest,
    conversation_id: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, le=2**31 - 100)] = 0,
) -> Page:
    """The turns behind a number, to be added to a page that has those before."""
    market = site_of(request).market
    turns = await read_turns_after(market, buyer_of(request), conversation_id, after)
    return _part(request, "chat/turns.html", turns=await views_of(market, turns))


@get("/chat/turns/{turn_id:str}", opt=_BUYER)
async def one_turn(request: PageRequest, turn_id: FromPath[str]) -> Page:
    """A turn as it stands now."""
    market = site_of(request).market
    turn = await read_turn(market, buyer_of(request), turn_id)
    return _part(request, "chat/turns.html", turns=await views_of(market, [turn]))


@get("/chat/turns/{turn_id:str}/again", opt=_BUYER)
async def again(
    request: PageRequest,
    turn_id: FromPath[str],
    another: FromQuery[Literal["true", "false"]] = "false",
) -> Page:
    """What one more answer would cost, before it is asked for."""
    market, buyer_id = site_of(request).market, buyer_of(request)
    turn = await read_turn(market, buyer_id, turn_id)
    other = another == "true"
    quote = await quote_again(market, buyer_id, turn_id, another=other)
    return render(
        request,
        "chat/again.html",
        title="Another answer" if other else "Try again",
        turn=turn,
        quote=quote,
        another=other,
        key=new_key(),
    )


@get("/chat/side", opt=_BUYER)
async def side(request: PageRequest, q: FromQuery[str] = "", current: FromQuery[str] = "") -> Page:
    """The list at the side, or what a search finds."""
    found = await side_of(
        site_of(request).market,
        buyer_of(request),
        query=q,
        current=current if is_id("cnv", current) else None,
    )
    return _part(request, "chat/side.html", side=found)


@get(["/search", "/chat/list"], opt=_BUYER)
async def search(request: PageRequest, q: FromQuery[str] = "", after: FromQuery[str] = "") -> Page:
    """All conversations, or those in which words are found, as a page of its own."""
    market, buyer_id = site_of(request).market, buyer_of(request)
    found = await side_of(market, buyer_id, query=q)
    if after and not found.query:
        page = await list_conversations(market, buyer_id, _place(after), LIST_SIZE)
        more = place_token(page.resume_after) if page.resume_after else None
        found = Side("", page.conversations, [], more, None)
    title = f"Search: {found.query}" if found.query else "Conversations"
    return render(request, "chat/list.html", title=title, side=found)


def _place(text: str) -> Place:
    at, _, conversation_id = text.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise invalid("after", "This is no place in the list.") from None
    if moment.tzinfo is None or not is_id("cnv", conversation_id):
        raise invalid("after", "This is no place in the list.")
    return Place(moment, conversation_id)


def _part(request: PageRequest, template: str, **context: Any) -> Page:  # noqa: ANN401
    return render(request, template, title=_TITLE, headers=_FRAGMENT, **context)


HANDLERS: Final = [start, conversation, turns_after, one_turn, again, side, search]
