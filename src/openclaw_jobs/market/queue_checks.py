"""The hidden tasks of checks join the queue, each at its own random time."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from openclaw_jobs import ledger
from openclaw_jobs.economy import price_bonus_seconds
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import LOOK_EVERY_S, SPACING_S
from openclaw_jobs.market.end_tasks import refund_tasks
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.quality import store_checks as store
from openclaw_jobs.quality import store_hidden as hidden
from openclaw_jobs.quality.checks import MAX_READERS, Check
from openclaw_jobs.tasks import NewTask
from openclaw_jobs.tasks import store as tasks
from openclaw_jobs.tasks.rules import queue_rank

_LATE_S: Final = 60.0
"""What is so late, after a time without a process for it, is spread anew and comes in no burst."""

_LATER_S: Final = (0.5, 5.0)
"""How much later it is looked again whether an original has left the queue."""

_BATCH: Final = 50
_AT_ONCE: Final = 4
_MAX_BATCHES: Final = 100


async def queue_checks(market: Market) -> int:
    """Queue every copy, gold task and arbiter that is due; how many.

    Any number of processes may call this: each takes what nobody else is taking.
    """
    queued = 0
    for _ in range(_MAX_BATCHES):
        due = await _count_due(market)
        if due == 0:
            break
        # Nearly always one in a transaction, as posted tasks are: several would have ids of one
        # millisecond, and the first of them would wait for the others before it can be claimed.
        each = -(-due // _AT_ONCE)
        done = await asyncio.gather(
            *(_queue_some(market, min(each, _BATCH)) for _ in range(min(due, _AT_ONCE))),
            return_exceptions=True,
        )
        for failed in done:
            if isinstance(failed, BaseException):
                raise failed
        locked, fresh = (sum(pair[at] for pair in done if isinstance(pair, tuple)) for at in (0, 1))
        queued += fresh
        if locked == 0:
            break
    return queued


async def _count_due(market: Market) -> int:
    """How many are due; what is late was given another time before."""
    delay = float(market.config.quality.check_delay_seconds)
    async with market.db.read() as conn:
        due, late = await store.count_due(conn, _LATE_S)
    if late == 0 or delay <= _LATE_S:
        return due
    async with begin(market) as unit:
        await store.spread_late(unit.conn, _LATE_S, delay)
    return due - late


async def _queue_some(market: Market, limit: int) -> tuple[int, int]:
    """Queue so many at the most; how many were due, and how many joined the queue."""
    async with begin(market, pipelined=True) as unit:
        due = await store.lock_due(unit.conn, limit)
        queued = await _queue(market, unit, due)
        failpoint("check.queued")
    return len(due), queued


async def follow_due(market: Market) -> None:
    """Queue what is due, and be woken when the next is.

    So no hidden task joins the queue at the turn of a second, or with others, but for those that
    are due in the same moment.
    """
    market.checks_due.clear()
    await queue_checks(market)
    seconds = await _seconds_to_next(market)
    if seconds is not None and seconds <= LOOK_EVERY_S:
        asyncio.get_running_loop().call_later(max(0.0, seconds), market.checks_due.set)
    await asyncio.sleep(SPACING_S)


async def _seconds_to_next(market: Market) -> float | None:
    async with market.db.read() as conn:
        return await store.next_due_seconds(conn)


async def _queue(market: Market, unit: Unit, due: Sequence[Check]) -> int:
    """Queue the hidden tasks of locked checks, as paid ones of now would be; how many."""
    made = [(check, await _make(market, unit, check)) for check in due]
    queued = [(check, task) for check, task in made if task is not None]
    if not queued:
        return 0
    await tasks.insert_tasks(unit.conn, [task for _, task in queued])
    charges = [ledger.check_charge(task.task_id, task.price_cents) for _, task in queued]
    await ledger.post(unit.conn, [charge for charge in charges if charge is not None])
    for check, task in queued:
        await store.set_queued(unit.conn, check.check_id, task.task_id)
        if check.gold_id is not None:
            await hidden.add_exposure(unit.conn, check.gold_id)
        unit.queue(check.category)
        unit.tell(None, "task.queued", task.task_id, status="queued", price_cents=task.price_cents)
    return len(queued)


async def _make(market: Market, unit: Unit, check: Check) -> NewTask | None:
    """The hidden task of a check; None if there can be none, and the check is void."""
    if not market.config.quality.enabled:
        await store.set_void(unit.conn, check.check_id, "checks were switched off")
        return None
    source = await hidden.select_source(unit.conn, check.original_task_id, check.gold_id)
    if source is None:
        await store.set_void(unit.conn, check.check_id, "there is nothing to do again")
        return None
    if check.gold_id is None and source.readers >= MAX_READERS:
        await store.set_void(unit.conn, check.check_id, "enough workers were shown it")
        return None
    if source.waiting:
        # Were its copy shown to the only worker there is, the buyer's own task would find none.
        seconds = market.rng.uniform(*_LATER_S)
        await store.postpone(unit.conn, check.check_id, seconds)
        return None
    dispatch, price = market.config.dispatch, check.price_cents
    return NewTask(
        task_id=new_id("task"),
        buyer_id=None,
        category=check.category,
        price_cents=price,
        promo_cents=0,
        min_tier=source.min_tier,
        queue_rank=queue_rank(unit.now, price_bonus_seconds(dispatch, price)),
        prompt=source.prompt,
        messages=source.messages,
        metadata=None,
        conversation_id=None,
        created_at=unit.now,
        expires_at=unit.now + timedelta(seconds=dispatch.queue_expiry_seconds),
        check_id=check.check_id,
        lineage=source.lineage,
    )


async def end_leftovers(unit: Unit, limit: int) -> int:
    """Take copies out of the queue whose check ended before anybody took them; how many."""
    left = await store.lock_leftovers(unit.conn, limit)
    if left:
        ended = await tasks.expire(unit.conn, left)
        await refund_tasks(unit, ended, "expired")
    return len(left)
