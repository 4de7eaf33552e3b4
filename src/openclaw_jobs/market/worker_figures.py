"""What a worker's pages add up: earnings day by day, and when frozen ones thaw."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from openclaw_jobs.market import store_figures as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.explain_empty import Emptiness, explain_empty
from openclaw_jobs.workers import WorkerIdentity
from openclaw_jobs.workers import service as workers

DAYS: Final = 30


class EarnedDay(msgspec.Struct, frozen=True):
    """A UTC day: what was earned by its results and not taken back, in cents."""

    day: date
    cents: int
    tasks: int


class Thaw(msgspec.Struct, frozen=True):
    """Frozen earnings of which the first thaws at `at`; `cents` is that one's."""

    at: datetime
    cents: int


class WorkerFigures(msgspec.Struct, frozen=True):
    """Each of the last `DAYS` days, the next earnings to thaw, and what the worker holds now."""

    days: list[EarnedDay]
    thaws: list[Thaw]
    held: int


async def read_figures(market: Market, worker_id: str) -> WorkerFigures:
    """The figures of a worker's dashboard."""
    first = market.clock.now().astimezone(UTC).date() - timedelta(days=DAYS - 1)
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    async with market.db.read() as conn:
        found = await store.select_days(conn, worker_id, begin)
        thaws = await store.select_thaws(conn, worker_id, 5)
        held = await store.count_held(conn, worker_id)
    by_day = {day: EarnedDay(day, cents, tasks) for day, cents, tasks in found}
    days = [first + timedelta(days=n) for n in range(DAYS)]
    return WorkerFigures(
        [by_day.get(day, EarnedDay(day, 0, 0)) for day in days],
        [Thaw(at, cents) for at, cents in thaws],
        held,
    )


async def why_no_work(market: Market, worker_id: str) -> Emptiness:
    """What keeps tasks from this worker at this moment."""
    async with market.db.read() as conn:
        profile = await workers.profile(conn, worker_id)
    if profile is None:
        raise LookupError(f"{worker_id} holds a session and is not there")
    identity = WorkerIdentity(
        worker_id=worker_id,
        tier=profile.tier,
        standing=profile.standing,
        suspended_until=profile.suspended_until,
        preferences=profile.preferences,
        schedule=profile.schedule,
    )
    return await explain_empty(market, identity)
