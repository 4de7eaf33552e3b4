"""Frozen earnings whose time has come become their workers' to keep."""

from typing import Final

from openclaw_jobs import ledger
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.store import try_job_lock
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.payments import rules, store_lots

_BATCH: Final = 500
_MAX_BATCHES: Final = 100


async def release_earnings(market: Market) -> int:
    """Release every lot that is due, in bounded batches; returns how many.

    What a worker owes is repaid first. Any number of processes may call this; one does the work.
    """
    released = 0
    for _ in range(_MAX_BATCHES):
        async with begin(market) as unit:
            if not await try_job_lock(unit.conn, "release_earnings"):
                break
            step = await _release_batch(unit)
        released += step
        if step < _BATCH:
            break
    return released


async def _release_batch(unit: Unit) -> int:
    workers = await store_lots.select_due_workers(unit.conn, _BATCH)
    if not workers:
        return 0
    # Nobody changes a lot without its worker's balances, so what is read now stays as it is.
    held = await ledger.lock_balances(unit.conn, workers)
    due = await store_lots.select_due(unit.conn, workers, _BATCH)
    owed = {worker: balances[Account.RECEIVABLE_WORKER] for worker, balances in held.items()}
    repaid = rules.repayments(due, owed)
    await store_lots.release(unit.conn, [lot.task_id for lot in due], repaid)
    transfers = [
        ledger.unfreeze(lot.task_id, lot.worker_id, lot.net_cents, cents)
        for lot, cents in zip(due, repaid, strict=True)
    ]
    await ledger.post(unit.conn, [transfer for transfer in transfers if transfer is not None])
    return len(due)
