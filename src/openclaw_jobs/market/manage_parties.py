"""An operator looks through workers and buyers, suspends and reinstates them."""

from datetime import datetime

import msgspec

from openclaw_jobs import audit, buyers
from openclaw_jobs.audit import AuditPage
from openclaw_jobs.dispatch.models import EndedLease
from openclaw_jobs.dispatch.store import claims, leases
from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.kit.ids import is_id, new_id
from openclaw_jobs.kit.timefmt import rfc3339_or_none
from openclaw_jobs.market import store_parties as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.models_parties import BuyerRow, WorkerRow
from openclaw_jobs.market.submit_work import put_back
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.quality import rules, store_records, store_standing
from openclaw_jobs.workers import Standing, StatsChange, Tier
from openclaw_jobs.workers import service as workers


class WorkerPage(msgspec.Struct, frozen=True):
    """Some workers, newest first; `resume_after` is the last id if there are more."""

    workers: list[WorkerRow]
    resume_after: str | None


class BuyerPage(msgspec.Struct, frozen=True):
    """Some buyers, newest first; `resume_after` is the last id if there are more."""

    buyers: list[BuyerRow]
    resume_after: str | None


async def list_workers(
    market: Market,
    before: str | None,
    standing: Standing | None,
    tier: Tier | None,
    limit: int,
    *,
    find: str | None = None,
) -> WorkerPage:
    """A page of workers; `before` is the last id of the page before.

    `find` is an e-mail address, or part of a name.
    """
    if before is not None and not is_id("wrk", before):
        raise invalid("cursor", "This is no cursor of this list.")
    async with market.db.read() as conn:
        found = await store.select_workers(
            conn, before=before, standing=standing, tier=tier, limit=limit + 1, find=find
        )
    page = found[:limit]
    return WorkerPage(page, page[-1].worker_id if len(found) > limit else None)


async def list_buyers(
    market: Market,
    before: str | None,
    *,
    suspended: bool | None,
    limit: int,
    find: str | None = None,
) -> BuyerPage:
    """A page of buyers; `before` is the last id of the page before.

    `find` is part of an e-mail address.
    """
    if before is not None and not is_id("byr", before):
        raise invalid("cursor", "This is no cursor of this list.")
    async with market.db.read() as conn:
        found = await store.select_buyers(
            conn, before=before, suspended=suspended, limit=limit + 1, find=find
        )
    page = found[:limit]
    return BuyerPage(page, page[-1].buyer_id if len(found) > limit else None)


async def suspend_worker(
    market: Market,
    worker_id: str,
    reason: str,
    until: datetime | None,
    actor: str,
    replay: Replay[WorkerRow] | None,
) -> WorkerRow:
    """Keep a worker from work until a time, or for good (None).

    What it holds goes back to the queue at once, with nothing counted against it or the task.
    Its polls that are parked end by themselves at the next look for work; the caller may end
    those of its own process sooner.

    Raises:
        Problem: `not_found`, or `validation_failed` for a time that has passed.
    """

    async def effect(unit: Unit) -> WorkerRow:
        if until is not None and until <= unit.now:
            raise invalid("until", "This time has passed; leave it out to suspend for good.")
        if not is_id("wrk", worker_id):
            raise not_found("worker")
        stopped = await store_standing.select_suspension(unit.conn, worker_id)
        if until is not None and stopped is not None:
            raise invalid("until", "It is stopped without end already; reinstate it first.")
        await take_tasks(unit, worker_id)
        if not await store.suspend_worker(unit.conn, worker_id, reason, until):
            raise not_found("worker")
        if until is None:
            await store_standing.insert_suspension(
                unit.conn, new_id("sus"), worker_id, "operator", 0
            )
        detail = {"reason": reason, "until": rfc3339_or_none(until)}
        await audit.record(unit.conn, actor, "worker.suspend", worker_id, detail)
        return await _worker(unit, worker_id)

    return await run(market, effect, replay)


async def take_tasks(unit: Unit, worker_id: str) -> None:
    """Put back all that a worker holds, with nothing counted against it or the tasks."""
    # Only after this lock are its leases all that it will get: matching takes it as well.
    await claims.wait_for_worker(unit.conn, worker_id)
    held = await leases.lock_leases(unit.conn, await store.select_held(unit.conn, worker_id))
    held = [lease for lease in held if lease.worker_id == worker_id]
    if not held:
        return
    await put_back(unit, held, max_attempts=None)
    await leases.end_leases(
        unit.conn, [EndedLease(x, "released", error="the worker was suspended") for x in held]
    )
    await workers.add_stats(unit.conn, [StatsChange(worker_id, released=len(held))], held[0].now)


async def reinstate_worker(
    market: Market, worker_id: str, actor: str, replay: Replay[WorkerRow] | None
) -> WorkerRow:
    """Let a worker work again; one that is active stays so, with its strikes forgotten.

    One that was stopped for its results begins with nothing spoken against it.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> WorkerRow:
        if not is_id("wrk", worker_id) or not await let_back(unit, worker_id):
            raise not_found("worker")
        await audit.record(unit.conn, actor, "worker.reinstate", worker_id, {})
        return await _worker(unit, worker_id)

    return await run(market, effect, replay)


async def let_back(unit: Unit, worker_id: str) -> bool:
    """Make a worker active, what it was stopped for being over; False if there is none such."""
    if await store_standing.end_suspension(unit.conn, worker_id):
        record = await store_records.lock_record(unit.conn, worker_id)
        await store_records.update_record(unit.conn, worker_id, rules.after_reinstatement(record))
    return await store.reinstate_worker(unit.conn, worker_id)


async def suspend_buyer(
    market: Market, buyer_id: str, reason: str, actor: str, replay: Replay[BuyerRow] | None
) -> BuyerRow:
    """Let a buyer post no more tasks; one that is suspended already keeps its first reason.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> BuyerRow:
        await _buyer(unit, buyer_id)
        await buyers.suspend(unit.conn, buyer_id, reason)
        await audit.record(unit.conn, actor, "buyer.suspend", buyer_id, {"reason": reason})
        return await _buyer(unit, buyer_id)

    return await run(market, effect, replay)


async def _worker(unit: Unit, worker_id: str) -> WorkerRow:
    found = await store.select_workers(
        unit.conn, before=None, standing=None, tier=None, limit=1, worker_id=worker_id
    )
    if not found:
        raise not_found("worker")
    return found[0]


async def _buyer(unit: Unit, buyer_id: str) -> BuyerRow:
    found = (
        await store.select_buyers(
            unit.conn, before=None, suspended=None, limit=1, buyer_id=buyer_id
        )
        if is_id("byr", buyer_id)
        else []
    )
    if not found:
        raise not_found("buyer")
    return found[0]


async def list_audit(
    market: Market,
    limit: int,
    cursor: str | None,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
) -> AuditPage:
    """A page of who did what as operator, newest first.

    Args:
        market: Where.
        limit: At most this many.
        cursor: The `next_cursor` of the page before.
        actor: Only what this user, or `admin-token`, did.
        action: Only acts that begin so, such as `payout` or `payout.approve`.
        subject: Only what was done to this id or key.

    Raises:
        Problem: `validation_failed` for a cursor that was never given out.
    """
    async with market.db.read() as conn:
        return await audit.list_entries(
            conn, limit, cursor, actor=actor, action=action, subject=subject
        )
