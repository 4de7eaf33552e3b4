"""A worker keeps its lease alive, or gives the task back."""

from datetime import datetime

from openclaw_jobs.dispatch.models import EndedLease
from openclaw_jobs.dispatch.store import leases as store
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.tokens import hash_token, same_hash
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.submit_work import lease_lost, put_back
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.workers import StatsChange
from openclaw_jobs.workers import service as workers


async def heartbeat(
    market: Market, worker_id: str, task_id: str, lease_token: str, progress: str | None
) -> datetime:
    """Extend a lease, and show the buyer how far the work is; returns the lease's new end.

    Raises:
        Problem: `lease_lost`, or `not_found` if this worker never held the task.
    """
    async with begin(market) as unit:
        extended = await store.extend_lease(
            unit.conn,
            task_id,
            worker_id,
            hash_token(lease_token),
            market.config.dispatch.lease_seconds,
            progress,
        )
        if extended is None:
            raise await _refusal(unit, task_id, worker_id)
        expires_at, buyer_id, news = extended
        if news:
            unit.tell(buyer_id, "task.progress", task_id, status="claimed", progress=progress)
        return expires_at


async def release(
    market: Market, worker_id: str, task_id: str, lease_token: str, reason: str | None
) -> None:
    """Give a task back for others to do; no strike, and it doesn't count against the task.

    Raises:
        Problem: `lease_lost`, or `not_found` if this worker never held the task.
    """
    async with begin(market) as unit:
        token_hash = hash_token(lease_token)
        held = await store.lock_leases(unit.conn, [task_id])
        if (
            not held
            or held[0].worker_id != worker_id
            or not same_hash(held[0].token_hash, token_hash)
            or not held[0].live
        ):
            raise await _refusal(unit, task_id, worker_id)
        lease = held[0]
        await put_back(unit, [lease], max_attempts=None)
        await store.end_leases(unit.conn, [EndedLease(lease, "released", error=reason)])
        await workers.add_stats(unit.conn, [StatsChange(worker_id, released=1)], lease.now)


async def _refusal(unit: Unit, task_id: str, worker_id: str) -> Problem:
    if await store.has_held(unit.conn, task_id, worker_id):
        return lease_lost()
    return not_found("task")
