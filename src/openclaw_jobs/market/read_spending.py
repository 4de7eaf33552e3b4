"""A buyer looks at what it spent, and on what."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.kit.ids import first_id, is_id
from openclaw_jobs.market import store_spending as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.models_spending import Spending, SpentDay, TaskLine, TaskLines
from openclaw_jobs.payments.deposits import store as deposits
from openclaw_jobs.payments.deposits.models import Deposit
from openclaw_jobs.tasks import TaskStatus

DAYS: Final = 30
_SLACK: Final = timedelta(days=3)
"""How much longer than it may be queued a task can be under way."""
_EXPORT_PAGE: Final = 1_000
EXPORT_LIMIT: Final = 100_000


async def read_spending(market: Market, buyer_id: str) -> Spending:
    """What is in escrow now, and each of the last `DAYS` days with what it cost."""
    now = market.clock.now()
    longest = timedelta(seconds=market.config.dispatch.queue_expiry_seconds) + _SLACK
    first = now.astimezone(UTC).date() - timedelta(days=DAYS - 1)
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    async with market.db.read() as conn:
        held_cents, held = await store.select_held(conn, buyer_id, first_id("task", now - longest))
        found = await store.select_days(conn, buyer_id, first_id("task", begin))
    by_day = {spent.day: spent for spent in found}
    days = [first + timedelta(days=n) for n in range(DAYS)]
    return Spending(held_cents, held, [by_day.get(day, SpentDay(day, 0, 0)) for day in days])


async def list_lines(
    market: Market,
    buyer_id: str,
    *,
    before: str | None = None,
    since: datetime | None = None,
    status: TaskStatus | None = None,
    category: str | None = None,
    limit: int,
) -> TaskLines:
    """A page of a buyer's tasks, newest first.

    Raises:
        Problem: `validation_failed` for a cursor that was never given out.
    """
    if before is not None and not is_id("task", before):
        raise invalid("cursor", "This is no cursor of this list.")
    async with market.db.read() as conn:
        found = await store.select_lines(
            conn,
            buyer_id,
            before=before,
            floor=None if since is None else first_id("task", since),
            status=status,
            category=category,
            limit=limit + 1,
        )
    page = found[:limit]
    return TaskLines(page, page[-1].task_id if len(found) > limit else None)


async def all_lines(
    market: Market,
    buyer_id: str,
    *,
    since: datetime | None,
    status: TaskStatus | None,
    category: str | None,
) -> AsyncIterator[TaskLine]:
    """A buyer's tasks one by one, newest first, up to `EXPORT_LIMIT`."""
    before: str | None = None
    for _ in range(EXPORT_LIMIT // _EXPORT_PAGE):
        page = await list_lines(
            market,
            buyer_id,
            before=before,
            since=since,
            status=status,
            category=category,
            limit=_EXPORT_PAGE,
        )
        for line in page.lines:
            yield line
        before = page.resume_after
        if before is None:
            return


async def read_deposit(market: Market, buyer_id: str, deposit_id: str) -> Deposit:
    """A deposit of this buyer.

    Raises:
        Problem: `not_found`.
    """
    if not is_id("dep", deposit_id):
        raise not_found("deposit")
    async with market.db.read() as conn:
        found = await deposits.select_one(conn, buyer_id, deposit_id)
    if found is None:
        raise not_found("deposit")
    return found
