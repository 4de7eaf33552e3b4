"""The operator's first page: what goes on right now, and what waits."""

from datetime import timedelta
from typing import Any, Final

from litestar import get

from openclaw_jobs.market.look_around import read_todo, recent_result
from openclaw_jobs.market.read_stats import AGES_S
from openclaw_jobs.web.operator_acts import READ
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of
from openclaw_jobs.workers.models import TIERS

_DAYS: Final = 30
_WORDS: Final = ("≤ 10 s", "≤ 1 min", "≤ 10 min", "≤ 1 h", "older")


async def _facts(request: PageRequest) -> dict[str, Any]:
    site = site_of(request)
    todo, proof = await read_todo(site.market)
    stats = await site.office.stats.read()
    return {
        "stats": stats,
        "todo": todo,
        "proof": proof,
        "ages": _WORDS[: len(AGES_S) + 1],
        "tiers": [str(tier) for tier in TIERS],
    }


@get("/operator", opt=READ)
async def overview(request: PageRequest) -> Page:
    """Live figures, and what waits for somebody."""
    market = site_of(request).market
    result = await recent_result(market, _DAYS)
    by_day = {day.day: day.result.commission_cents for day in result.days}
    today = market.clock.now().date()
    days = [today - timedelta(days=ago) for ago in range(_DAYS - 1, -1, -1)]
    return render(
        request,
        "operator/overview.html",
        title="Overview",
        result=result,
        days=_DAYS,
        points=[(f"{day.day} {day:%b}", by_day.get(day, 0)) for day in days],
        **await _facts(request),
    )


@get("/operator/now", opt=READ)
async def now(request: PageRequest) -> Page:
    """The live part of the page alone."""
    return render(request, "operator/now.html", title="Overview", **await _facts(request))


HANDLERS: Final = [overview, now]
