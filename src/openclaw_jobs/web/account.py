"""The account page: name, browsers, keys, texts, and what one takes away or ends."""

from typing import Any, Final

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Stream

from openclaw_jobs.identity import NewApiKey
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.market import people
from openclaw_jobs.market.account import (
    delete_account,
    open_account_export,
    set_shares_texts,
    shares_texts,
)
from openclaw_jobs.market.open_accounts import issue_key, list_keys, revoke_key
from openclaw_jobs.market.read_tasks import get_balance
from openclaw_jobs.web.browsers import take_session
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import (
    Page,
    PageRequest,
    buyer_of,
    redirect,
    render,
    site_of,
    user_of,
    viewer_of,
)

_READ: Final = page_options(auth="buyer")
_WRITE: Final = page_options(auth="buyer", rate="buyer_write")
_PATH: Final = "/account"
_NAME_CHARS: Final = 100
_MAX_KEYS: Final = 50


async def _page(
    request: PageRequest, *, new_key: NewApiKey | None = None, problem: Problem | None = None
) -> Page:
    market = site_of(request).market
    buyer_id, user_id = buyer_of(request), user_of(request)
    balance = await get_balance(market, buyer_id)
    errors = {} if problem is None else {e.field: e.message for e in problem.errors}
    facts: dict[str, Any] = {
        "sessions": await people.list_sessions(market, user_id),
        "keys": await list_keys(market, buyer_id),
        "new_key": new_key,
        "shares_texts": await shares_texts(market, buyer_id),
        "balance_cents": balance.promo_cents + balance.paid_cents,
        "errors": errors,
        "error": "" if problem is None else problem.detail,
    }
    return render(
        request,
        "account.html",
        title="Account",
        status=200 if problem is None else problem.status,
        **facts,
    )


@get(_PATH, opt=_READ)
async def account(request: PageRequest) -> Page:
    """All that is the user's own to see and change."""
    return await _page(request)


@post("/account/name", opt=_WRITE, status_code=303)
async def save_name(request: PageRequest) -> Page:
    """Call the user by another name, or by none."""
    fields = await form(request, "name", max_chars=_NAME_CHARS)
    name = "".join(c for c in fields["name"] if c.isprintable()) or None
    await people.rename_user(site_of(request).market, user_of(request), name)
    return redirect(request, _PATH, flash=("success", "Your name is saved."))


@post("/account/texts", opt=_WRITE, status_code=303)
async def save_texts(request: PageRequest) -> Page:
    """Let good tasks become tests, or no longer."""
    fields = await form(request, "shares_texts")
    shares = fields["shares_texts"] != ""
    await set_shares_texts(
        site_of(request).market, user_of(request), buyer_of(request), shares=shares
    )
    told = (
        "Good tasks of yours may become tests from now on."
        if shares
        else "Your tasks stay yours alone. Those that had become tests are none any more."
    )
    return redirect(request, _PATH, flash=("success", told))


@post("/account/keys", opt=_WRITE, status_code=200)
async def make_key(request: PageRequest) -> Page:
    """Make an API key, and show it this once."""
    fields = await form(request, "name", max_chars=_NAME_CHARS)
    market, buyer_id = site_of(request).market, buyer_of(request)
    if len(await list_keys(market, buyer_id)) >= _MAX_KEYS:
        refused = Problem("limit_exceeded", f"You have {_MAX_KEYS} keys. Revoke one first.")
        return await _page(request, problem=refused)
    made = await issue_key(market, buyer_id, fields["name"] or None, None)
    return await _page(request, new_key=made)


@post("/account/keys/{key_id:str}/revoke", opt=_WRITE, status_code=303)
async def drop_key(request: PageRequest, key_id: FromPath[str]) -> Page:
    """Revoke an API key at once."""
    await form(request)
    await revoke_key(site_of(request).market, buyer_of(request), key_id)
    return redirect(request, _PATH, flash=("success", "The key is revoked."))


@post("/account/sessions/{session_id:str}/revoke", opt=_WRITE, status_code=303)
async def drop_session(request: PageRequest, session_id: FromPath[str]) -> Page:
    """Sign another browser out; this one too, if it is that."""
    await form(request)
    await people.revoke_session(site_of(request).market, user_of(request), session_id)
    if session_id == viewer_of(request).session_id:
        return take_session(request, redirect(request, "/"))
    return redirect(request, _PATH, flash=("success", "That browser is signed out."))


@get("/account/export.json", opt=page_options(auth="buyer", rate="buyer_write"))
async def export(request: PageRequest) -> Stream:
    """Everything that is kept of the user, as one file."""
    chunks = await open_account_export(site_of(request).market, user_of(request), buyer_of(request))
    return Stream(
        chunks,
        media_type="application/json",
        headers={
            "Content-Disposition": 'attachment; filename="openclaw-jobs-account.json"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


@post("/account/delete", opt=_WRITE, status_code=303)
async def delete(request: PageRequest) -> Page:
    """Delete the account, once its address was typed."""
    fields = await form(request, "confirm")
    try:
        await delete_account(
            site_of(request).market, user_of(request), buyer_of(request), fields["confirm"]
        )
    except Problem as problem:
        return await _page(request, problem=problem)
    response = redirect(request, "/", flash=("success", "Your account is deleted. Good-bye."))
    return take_session(request, response)


HANDLERS: Final = [
    account,
    save_name,
    save_texts,
    make_key,
    drop_key,
    drop_session,
    export,
    delete,
]
