"""What heals by itself: leases that ran out, tasks that nobody took, suspensions that are over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs.dispatch.models import EndedLease, Lease
from openclaw_jobs.dispatch.rules import is_tasks_fault
from openclaw_jobs.dispatch.store import leases as store
from openclaw_jobs.economy import Dispatch
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.end_tasks import refund_tasks
from openclaw_jobs.market.queue_checks import end_leftovers
from openclaw_jobs.market.store import try_job_lock
from openclaw_jobs.market.submit_work import put_back
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.quality import store_records as records
from openclaw_jobs.tasks import store as tasks
from openclaw_jobs.workers import StatsChange
from openclaw_jobs.workers import service as workers

_BATCH: Final = 200
_MAX_BATCHES: Final = 50


class Recovered(msgspec.Struct, frozen=True):
    """What a run of recovery did."""

    requeued: int = 0
    failed: int = 0
    expired: int = 0
    suspended: int = 0
    reinstated: int = 0


async def recover(market: Market) -> Recovered:
    """Recover everything that is due now, in bounded batches.

    Any number of processes may call it; one at a time does the work, the others find none. Each
    part has a transaction of its own: what it locks last, such as statistics, everybody else locks
    after what the next part would begin with.
    """
    total = Recovered()
    for _ in range(_MAX_BATCHES):
        steps = [await _in_turn(market, part) for part in _PARTS]
        for step in steps:
            total = Recovered(
                *(getattr(total, f) + getattr(step, f) for f in Recovered.__struct_fields__)
            )
        if all(
            max(step.requeued + step.failed, step.expired, step.reinstated) < _BATCH
            for step in steps
        ):
            break
    return total


async def _in_turn(
    market: Market, part: Callable[[Market, Unit], Awaitable[Recovered]]
) -> Recovered:
    """Do a part of it, or nothing if another process is at it."""
    async with begin(market) as unit:
        if not await try_job_lock(unit.conn, "recover"):
            return Recovered()
        return await part(market, unit)


async def _recover_leases(market: Market, unit: Unit) -> Recovered:
    lost = await store.lock_expired_leases(unit.conn, _BATCH)
    failed, suspended = (
        await _end_lost(unit, lost, market.config.dispatch) if lost else (0, list[str]())
    )
    return Recovered(
        requeued=len(lost) - failed,
        failed=failed,
        suspended=len(suspended),
        reinstated=await workers.end_suspensions(unit.conn, _BATCH),
    )


async def _expire_waiting(_: Market, unit: Unit) -> Recovered:
    expired = await tasks.expire_queued(unit.conn, _BATCH)
    await refund_tasks(unit, expired, "expired")
    return Recovered(expired=len(expired))


async def _end_leftovers(_: Market, unit: Unit) -> Recovered:
    await end_leftovers(unit, _BATCH)
    return Recovered()


_PARTS: Final = (_recover_leases, _expire_waiting, _end_leftovers)


async def _end_lost(unit: Unit, lost: list[Lease], dispatch: Dispatch) -> tuple[int, list[str]]:
    """Take tasks from workers that let their leases run out.

    Returns:
        How many tasks were given up, and who is suspended for it.
    """
    failed = await put_back(unit, lost, max_attempts=dispatch.max_attempts)
    await store.end_leases(unit.conn, [EndedLease(lease, "expired") for lease in lost])
    now = lost[0].now
    await workers.add_stats(
        unit.conn, [StatsChange(lease.worker_id, expired=1) for lease in lost], now
    )
    await records.reset_streaks(unit.conn, [lease.worker_id for lease in lost])
    return failed, await workers.strike(
        unit.conn,
        [x.worker_id for x in lost if not is_tasks_fault(x.failures, dispatch.task_fault_after)],
        limit=dispatch.strikes,
        suspension=timedelta(seconds=dispatch.suspension_seconds),
        now=now,
    )
