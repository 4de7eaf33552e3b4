"""What people wrote is kept for a time only; `retention` says for how long."""

from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs.kit.ids import first_id
from openclaw_jobs.market import store, store_retention
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin

_BATCH: Final = 200
_MAX_BATCHES: Final = 500
_MADE_BETWEEN: Final = timedelta(minutes=5)
"""An id may be of a clock that goes wrong by this much."""


class Erased(msgspec.Struct, frozen=True):
    """How many conversations and tasks lost their texts."""

    conversations: int = 0
    tasks: int = 0


async def erase_old_texts(market: Market) -> Erased:
    """Erase texts whose time is over, in bounded batches; one process at a time.

    A task whose price can still be asked back keeps its texts until it can't.
    """
    days = market.config.retention.task_text_days
    if days is None:
        return Erased()
    window = timedelta(hours=market.config.quality.credit_window_hours)
    before = market.clock.now() - max(timedelta(days=days), window)
    under = first_id("task", before + _MADE_BETWEEN)
    conversations = tasks = 0
    for _ in range(_MAX_BATCHES):
        async with begin(market) as unit:
            if not await store.try_job_lock(unit.conn, "retention"):
                break
            talks = await store_retention.erase_conversations(unit.conn, before, _BATCH)
            old = await store_retention.pick_old_texts(unit.conn, before, under, _BATCH)
            await store_retention.erase_texts(unit.conn, old)
        conversations += talks
        tasks += len(old)
        if max(talks, len(old)) < _BATCH:
            break
    return Erased(conversations, tasks)
