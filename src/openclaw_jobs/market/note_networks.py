"""From which networks workers and buyers call: what tells those of one owner from strangers."""

import asyncio
from collections import OrderedDict
from typing import Final

from openclaw_jobs.buyers import store_marks as buyer_marks
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin
from openclaw_jobs.workers import store_marks
from openclaw_jobs.workers.marks import mark_of, network_of

__all__ = ["Networks"]

_REMEMBERED: Final = 100_000
_FRESH_S: Final = 6 * 3600.0
_MAX_BATCH: Final = 500


class Networks:
    """What one process has seen, so that a network costs a statement only when it is news.

    `note` is called at every poll and costs a look into a dictionary; `write` is a periodic job.
    """

    def __init__(self, market: Market) -> None:
        """Nothing seen yet."""
        self._market = market
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._news: dict[tuple[str, bytes], None] = {}
        self.pending = asyncio.Event()

    def note(self, party_id: str, address: str) -> None:
        """A worker or a buyer has called from this address."""
        key = (party_id, address)
        now = self._market.monotonic()
        known = self._seen.get(key)
        if known is not None and now - known < _FRESH_S:
            return
        self._seen[key] = now
        self._seen.move_to_end(key)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        network = network_of(address)
        if network is not None:
            self._news[(party_id, mark_of("network", network))] = None
            self.pending.set()

    async def write(self) -> int:
        """Write down what is news; returns how much."""
        self.pending.clear()
        batch = sorted(self._news)[:_MAX_BATCH]
        if not batch:
            return 0
        workers = [(who, mark) for who, mark in batch if is_id("wrk", who)]
        buyers = [(who, "network", mark) for who, mark in batch if is_id("byr", who)]
        async with begin(self._market) as unit:
            if workers:
                await store_marks.add_networks(unit.conn, workers)
            if buyers:
                await buyer_marks.add_marks(unit.conn, buyers)
        for key in batch:
            self._news.pop(key, None)
        if self._news:
            self.pending.set()
        return len(batch)
