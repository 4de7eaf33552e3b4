"""What is kept for a time only: answers to repeat, events, silent nodes."""

from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs import events
from openclaw_jobs.dispatch.store import nodes
from openclaw_jobs.market import store, store_traces
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin

_BATCH: Final = 1000
_MAX_BATCHES: Final = 100
_NODE_SILENT_SECONDS: Final = 3600
_TRACES_FOR: Final = timedelta(days=7)
"""How long a task is known by its buyer's trace; who claims it later begins a new one."""


class CleanedUp(msgspec.Struct, frozen=True):
    """How many records were deleted."""

    replays: int
    events: int


async def clean_up(market: Market, *, replays_for: timedelta, events_for: timedelta) -> CleanedUp:
    """Delete what is older than it is kept, in bounded batches; one process at a time.

    Args:
        market: Where.
        replays_for: How long an answer can be repeated.
        events_for: How long a stream can be resumed.
    """
    now = market.clock.now()
    replays = forgotten = 0
    for _ in range(_MAX_BATCHES):
        async with begin(market) as unit:
            if not await store.try_job_lock(unit.conn, "clean_up"):
                break
            step = await store.delete_replays(unit.conn, now - replays_for, _BATCH)
            purged = await events.purge(unit.conn, now - events_for, _BATCH)
            await store_traces.delete_traces(unit.conn, now - _TRACES_FOR, _BATCH)
            await nodes.forget_nodes(unit.conn, None, _NODE_SILENT_SECONDS)
        replays += step
        forgotten += purged
        if max(step, purged) < _BATCH:
            break
    return CleanedUp(replays, forgotten)
