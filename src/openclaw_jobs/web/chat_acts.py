"""What a buyer does in conversations. Each act is a form; script sends the same and stays."""

from collections.abc import Awaitable
from typing import Any, Final

import msgspec
from litestar import Response, post
from litestar.params import FromPath

from openclaw_jobs.chat import Draft
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.market.answer_again import Repetition, answer_again
from openclaw_jobs.market.cancel_task import cancel_task
from openclaw_jobs.market.change_conversation import (
    choose_answer,
    delete_conversation,
    fork_conversation,
    keep_draft,
    rename_conversation,
)
from openclaw_jobs.market.credit_task import credit_task
from openclaw_jobs.market.rate_task import rate_task
from openclaw_jobs.market.read_conversations import find_task, read_conversation, read_turn
from openclaw_jobs.market.send_message import NewMessage, send_message
from openclaw_jobs.market.share_result import revoke_shares, share_result
from openclaw_jobs.web.chat_views import (
    DEFAULT_CATEGORY,
    categories,
    new_key,
    price_of,
    price_words,
)
from openclaw_jobs.web.filters import money
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import (
    Page,
    PageRequest,
    buyer_of,
    public_url,
    redirect,
    render,
    site_of,
)

_WRITE: Final = page_options(auth="buyer", rate="buyer_write")
_SEND: Final = page_options(auth="buyer", rate="task_submit", body_limit="task_input")
_DRAFT: Final = page_options(auth="buyer", rate="api_read", body_limit="task_input")
_SEE_OTHER: Final = 303
_NOT_FOUND: Final = 404
_MAX_REASON: Final = 2000
_RATINGS: Final = {"up": "up", "down": "down", "none": None}


class MessageFields(msgspec.Struct, frozen=True):
    """What the composer sends."""

    conversation_id: str = ""
    prompt: str = ""
    category: str = DEFAULT_CATEGORY
    key: str = ""
    max_price_cents: str = ""


# ------------------------------------------------------------------------------------ the composer


@post("/chat/send", opt=_SEND, status_code=_SEE_OTHER)
async def send(request: PageRequest) -> Page:
    """Send a message, charged and queued; if it cannot be, the text stays as a draft."""
    fields = await _message(request)
    market, buyer_id = site_of(request).market, buyer_of(request)
    where = fields.conversation_id or None
    message = NewMessage(
        buyer_id=buyer_id,
        conversation_id=where,
        prompt=fields.prompt,
        category=fields.category,
        max_price_cents=_cents(fields.max_price_cents),
        key=fields.key,
    )
    try:
        sending = await send_message(market, message)
    except Problem as problem:
        if problem.status != _NOT_FOUND:
            await _keep(request, fields)
        if wants_json(request) or problem.status == _NOT_FOUND:
            raise
        return redirect(request, _back(where), flash=("error", _why_not(problem)))
    if wants_json(request):
        return _json(
            {
                "conversation_id": sending.conversation_id,
                "turn_id": sending.turn_id,
                "url": _back(sending.conversation_id),
                "key": new_key(),
            }
        )
    return redirect(request, _back(sending.conversation_id))


def _why_not(problem: Problem) -> str:
    cost = problem.extra.get("price_cents")
    if problem.code == "limit_exceeded" and cost is not None:
        return f"This costs {money(cost)}, more than was shown. Send it again if you agree."
    return problem.detail


@post("/chat/draft", opt=_DRAFT, status_code=_SEE_OTHER)
async def draft(request: PageRequest) -> Page:
    """Keep what is being written, and say what it would cost."""
    fields = await _message(request)
    where = fields.conversation_id or None
    market, buyer_id = site_of(request).market, buyer_of(request)
    price = await price_of(market, buyer_id, where, fields.prompt, fields.category)
    await keep_draft(market, buyer_id, where, Draft(fields.prompt, fields.category))
    if wants_json(request):
        return _json(price_words(price))
    return redirect(request, _back(where))


async def _keep(request: PageRequest, fields: MessageFields) -> None:
    try:
        await keep_draft(
            site_of(request).market,
            buyer_of(request),
            fields.conversation_id or None,
            Draft(fields.prompt, fields.category),
        )
    except Problem as problem:
        # Too long to be kept or unfit as a text; the refusal of the sending says so.
        if problem.code not in {"payload_too_large", "validation_failed", "not_found"}:
            raise


async def _message(request: PageRequest) -> MessageFields:
    """The composer's fields, as JSON (in which a text takes no more room than it has) or a form."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            fields = msgspec.json.decode(await request.body(), type=MessageFields)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise invalid("message", "This is no message.") from None
    else:
        sent = await form(request, *MessageFields.__struct_fields__, max_chars=_limit(request))
        fields = MessageFields(**sent)
    if fields.category not in dict(categories(site_of(request).market)):
        raise invalid("category", "There is no such category.")
    return fields


def _limit(request: PageRequest) -> int:
    limit: int = site_of(request).market.config.payload_limits.task_input
    return limit


def _cents(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # noqa: PLR2004 - a bigint
        raise invalid("max_price_cents", "This is no amount in cents.")
    return int(text)


# ------------------------------------------------------------------------------- of a conversation


@post("/chat/{conversation_id:str}/rename", opt=_WRITE, status_code=_SEE_OTHER)
async def rename(request: PageRequest, conversation_id: FromPath[str]) -> Page:
    """Give a conversation another title."""
    fields = await form(request, "title")
    market = site_of(request).market
    act = rename_conversation(market, buyer_of(request), conversation_id, fields["title"])
    return await _act(request, _back(conversation_id), act, lambda title: f"Renamed to “{title}”.")


@post("/chat/{conversation_id:str}/delete", opt=_WRITE, status_code=_SEE_OTHER)
async def delete(request: PageRequest, conversation_id: FromPath[str]) -> Page:
    """Delete a conversation, once it was confirmed."""
    fields = await form(request, "sure")
    market, buyer_id = site_of(request).market, buyer_of(request)
    if fields["sure"] != "yes":
        view = await read_conversation(market, buyer_id, conversation_id)
        return render(
            request,
            "chat/delete.html",
            title="Delete a conversation",
            conversation=view.conversation,
        )
    act = delete_conversation(market, buyer_id, conversation_id)
    return await _act(request, "/chat", act, lambda _: "The conversation is deleted.")


# --------------------------------------------------------------------------------------- of a turn


@post("/chat/turns/{turn_id:str}/again", opt=_WRITE, status_code=_SEE_OTHER)
async def again(request: PageRequest, turn_id: FromPath[str]) -> Page:
    """Have a message answered once more."""
    fields = await form(request, "another", "key", "max_price_cents")
    market, buyer_id = site_of(request).market, buyer_of(request)
    another = fields["another"] == "true"
    wish = Repetition(
        buyer_id=buyer_id,
        turn_id=turn_id,
        another=another,
        max_price_cents=_cents(fields["max_price_cents"]),
        key=fields["key"],
    )
    back = await _place_of(request, turn_id)
    said = "Another worker is being looked for." if another else "It is on its way again."
    return await _act(request, back, answer_again(market, wish), lambda _: said)


@post("/chat/turns/{turn_id:str}/choose", opt=_WRITE, status_code=_SEE_OTHER)
async def choose(request: PageRequest, turn_id: FromPath[str]) -> Page:
    """Go on from one of several answers."""
    fields = await form(request, "task_id")
    back = await _place_of(request, turn_id)
    act = choose_answer(site_of(request).market, buyer_of(request), turn_id, fields["task_id"])
    return await _act(request, back, act, lambda _: "The conversation goes on from this answer.")


@post("/chat/turns/{turn_id:str}/fork", opt=_WRITE, status_code=_SEE_OTHER)
async def fork(request: PageRequest, turn_id: FromPath[str]) -> Page:
    """Begin a conversation with what was said in another."""
    fields = await form(request, "again")
    back = await _place_of(request, turn_id)
    market, buyer_id = site_of(request).market, buyer_of(request)
    try:
        made = await fork_conversation(market, buyer_id, turn_id, again=fields["again"] == "true")
    except Problem as problem:
        if wants_json(request) or problem.status == _NOT_FOUND:
            raise
        return redirect(request, back, flash=("error", problem.detail))
    to = _back(made.conversation_id)
    return _json({"url": to}) if wants_json(request) else redirect(request, to)


# --------------------------------------------------------------------------------------- of a task


@post("/chat/tasks/{task_id:str}/cancel", opt=_WRITE, status_code=_SEE_OTHER)
async def cancel(request: PageRequest, task_id: FromPath[str]) -> Page:
    """Take a message back that nobody has begun to answer."""
    home = await _home_of(request, task_id)
    return await _act(
        request,
        home,
        cancel_task(site_of(request).market, buyer_of(request), task_id, None),
        lambda task: f"Cancelled. {money(task.price_cents)} is back in your balance.",
    )


@post("/chat/tasks/{task_id:str}/rate", opt=_WRITE, status_code=_SEE_OTHER)
async def rate(request: PageRequest, task_id: FromPath[str]) -> Page:
    """Say whether an answer was good."""
    fields = await form(request, "rating")
    if fields["rating"] not in _RATINGS:
        raise invalid("rating", "Rate up, down or none.")
    rating: Any = _RATINGS[fields["rating"]]
    home = await _home_of(request, task_id)
    act = rate_task(site_of(request).market, buyer_of(request), task_id, rating, None)
    said = "Thank you." if rating else "Your rating is taken back."
    return await _act(request, home, act, lambda _: said)


@post("/chat/tasks/{task_id:str}/credit", opt=_WRITE, status_code=_SEE_OTHER)
async def credit(request: PageRequest, task_id: FromPath[str]) -> Page:
    """Say that an answer was bad and ask for its price back."""
    fields = await form(request, "reason", max_chars=_MAX_REASON)
    market, buyer_id = site_of(request).market, buyer_of(request)

    async def act() -> str:
        outcome = await credit_task(market, buyer_id, task_id, fields["reason"] or None, None)
        await rate_task(market, buyer_id, task_id, "down", None)
        if outcome.credited:
            back, left = money(outcome.credited_cents), money(outcome.balance_cents)
            return f"{back} is back in your balance, which is {left} now. The worker is not paid."
        return (
            "You have asked for several credits lately, so an operator looks at this one."
            " Until then the price stays paid."
        )

    home = await _home_of(request, task_id)
    return await _act(request, home, act(), str)


@post("/chat/tasks/{task_id:str}/share", opt=_WRITE, status_code=_SEE_OTHER)
async def share(request: PageRequest, task_id: FromPath[str]) -> Page:
    """Make a link to a result, which is shown this once."""
    made = await share_result(site_of(request).market, buyer_of(request), task_id)
    link = f"{public_url(request)}/s/{made.token}"
    if wants_json(request):
        return _json({"link": link})
    said = f"Whoever has this link can read the answer: {link} It is shown only now."
    return redirect(request, await _home_of(request, task_id), flash=("success", said))


@post("/chat/tasks/{task_id:str}/unshare", opt=_WRITE, status_code=_SEE_OTHER)
async def unshare(request: PageRequest, task_id: FromPath[str]) -> Page:
    """End all links to a result."""
    home = await _home_of(request, task_id)
    act = revoke_shares(site_of(request).market, buyer_of(request), task_id)
    said = "The links to this answer lead nowhere now."
    return await _act(request, home, act, lambda _: said)


# ----------------------------------------------------------------------------------------- answers


def wants_json(request: PageRequest) -> bool:
    """Whether script asks, which stays on the page."""
    return "application/json" in request.headers.get("accept", "")


def _json(body: dict[str, Any]) -> Page:
    return Response(
        body,
        status_code=200,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def _act(
    request: PageRequest,
    back: str,
    act: Awaitable[Any],
    words: Any,  # noqa: ANN401 - makes a sentence of what the act returned
) -> Page:
    """Do it, and say so: in JSON to script, else on the page that is gone back to."""
    try:
        said = words(await act)
    except Problem as problem:
        if wants_json(request) or problem.status == _NOT_FOUND:
            raise
        return redirect(request, back, flash=("error", problem.detail))
    if wants_json(request):
        return _json({"message": said, "url": back})
    return redirect(request, back, flash=("success", said))


def _back(conversation_id: str | None) -> str:
    return f"/chat/{conversation_id}" if conversation_id else "/chat"


async def _place_of(request: PageRequest, turn_id: str) -> str:
    turn = await read_turn(site_of(request).market, buyer_of(request), turn_id)
    return f"{_back(turn.conversation_id)}#{turn_id}"


async def _home_of(request: PageRequest, task_id: str) -> str:
    found = await find_task(site_of(request).market, buyer_of(request), task_id)
    return f"{_back(found[0].conversation_id)}#{found[0].turn_id}" if found else "/chat"


HANDLERS: Final = [
    send,
    draft,
    rename,
    delete,
    again,
    choose,
    fork,
    cancel,
    rate,
    credit,
    share,
    unshare,
]
