"""Frozen earnings whose time has come become their workers' to keep."""

from typing import Final

from openclaw_jobs import ledger
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments import store

_BATCH: Final = 500
_MAX_BATCHES: Final = 100


async def release_earnings(market: Market) -> int:
    """Release every lot that is due, in bounded batches; returns how many.

    Two processes may do this at once: each lot is locked by the one that releases it.
    """
    released = 0
    for _ in range(_MAX_BATCHES):
        async with begin(market) as unit:
            due = sorted(await store.release_due(unit.conn, _BATCH), key=lambda lot: lot.task_id)
            transfers = [ledger.unfreeze(lot.task_id, lot.worker_id, lot.net_cents) for lot in due]
            await ledger.post(unit.conn, [transfer for transfer in transfers if transfer])
        released += len(due)
        if len(due) < _BATCH:
            break
    return released
