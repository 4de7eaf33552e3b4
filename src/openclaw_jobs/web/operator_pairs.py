"""Workers who are wrong in the same way, with their answers side by side."""

from typing import Final

from litestar import get

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.market.note_pairs import after_cursor, list_pairs
from openclaw_jobs.web.operator_acts import PAGE, READ
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of

_STATES: Final = {"flagged": True, "all": False}


@get("/operator/pairs", opt=READ)
async def pairs(request: PageRequest) -> Page:
    """Pairs that agree in wrong answers more often than strangers do, or all that were counted."""
    query = request.query_params
    state, cursor = query.get("status", "flagged"), query.get("cursor") or None
    if state not in _STATES:
        raise invalid("status", "There is no such state.")
    page = await list_pairs(
        site_of(request).market, after_cursor(cursor), PAGE, flagged=_STATES[state]
    )
    return render(
        request,
        "operator/pairs.html",
        title="Wrong in the same way",
        pairs=page.pairs,
        more=page.next_cursor,
        cursor=cursor,
        state=state,
    )


HANDLERS: Final = [pairs]
