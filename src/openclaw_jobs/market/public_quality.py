"""How results are checked here, for everybody to see."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from openclaw_jobs.market.context import Market
from openclaw_jobs.quality import store_standing as store

_DAYS: Final = 30
_LEAST: Final = 20
"""Of fewer, a share says nothing of anybody but of single tasks and workers."""


class QualityFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the last `days` whole days, UTC; null while there is too little to say anything.

    Attributes:
        days: How many.
        results: Results of buyers' tasks.
        checked_share: The share of them that was checked by another execution.
        agreement: The share of comparisons in which both results were found good.
        workers_stopped: Workers stopped for their results.
        tasks_until_stopped: The median of tasks that they had done until then.
    """

    days: int
    results: int
    checked_share: float | None
    agreement: float | None
    workers_stopped: int
    tasks_until_stopped: int | None


async def read_quality(market: Market) -> QualityFigures:
    """The figures of the last whole days, UTC.

    Up to the present moment, they would move after a task and tell its worker that it was checked.
    """
    now = market.clock.now().astimezone(UTC)
    until = datetime(now.year, now.month, now.day, tzinfo=UTC)
    since = until - timedelta(days=_DAYS)
    async with market.db.read() as conn:
        results, checked, compared, good = await store.select_days(conn, since, until)
        stopped, median = await store.select_stopped(conn, since, until)
    return QualityFigures(
        days=_DAYS,
        results=results,
        checked_share=_share(checked, results),
        agreement=_share(good, compared),
        workers_stopped=stopped,
        tasks_until_stopped=None if median is None else round(median),
    )


def _share(part: int, whole: int) -> float | None:
    return None if whole < _LEAST else round(min(1.0, part / whole), 2)
