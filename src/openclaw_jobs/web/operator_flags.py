"""What looked like abuse, and what of it has been looked at."""

from typing import Final, cast, get_args

from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.flags import FlagKind
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.market.watch_abuse import dismiss_flag, list_flags
from openclaw_jobs.web.operator_acts import PAGE, READ, WRITE, act, new_key, sent
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of

_WHERE: Final = "/operator/flags"
_KINDS: Final[tuple[str, ...]] = get_args(FlagKind)
_STATES: Final = {"open": False, "dismissed": True, "": None}


@get(_WHERE, opt=READ)
async def flags(request: PageRequest) -> Page:
    """Flags, newest first, narrowed by state and kind."""
    query = request.query_params
    state, kind = query.get("status", "open"), query.get("kind") or None
    cursor = query.get("cursor") or None
    if state not in _STATES:
        raise invalid("status", "There is no such state.")
    if kind is not None and kind not in _KINDS:
        raise invalid("kind", "There is no such kind.")
    page = await list_flags(
        site_of(request).market,
        dismissed=_STATES[state],
        kind=cast("FlagKind | None", kind),
        subject=query.get("subject") or None,
        cursor=cursor,
        limit=PAGE,
    )
    return render(
        request,
        "operator/flags.html",
        title="Flags",
        flags=page.flags,
        more=page.next_cursor,
        cursor=cursor,
        state=state,
        kind=kind or "",
        kinds=_KINDS,
        tail=f"status={state}" + (f"&kind={kind}" if kind else ""),
        once=new_key,
    )


@post("/operator/flags/{flag_id:str}/dismiss", opt=WRITE, status_code=303)
async def dismiss(request: PageRequest, flag_id: FromPath[str]) -> Page:
    """Say that a flag has been looked at."""
    market = site_of(request).market
    fields = await sent(request)
    return await act(
        request,
        _WHERE,
        fields,
        lambda actor, replay: dismiss_flag(market, flag_id, actor, replay),
        lambda _: "Looked at. News of the same opens it again.",
    )


HANDLERS: Final = [flags, dismiss]
