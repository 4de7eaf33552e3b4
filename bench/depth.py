"""Whether a claim costs the same with a thousand tasks in the queue as with a million."""

import asyncio
import contextlib
import time

import psycopg

from bench.kernel import BATCH, claim, submit
from bench.report import Figure, median
from bench.seed import CATEGORIES, Buyer, SeededWorker, add_tasks, make_buyers, make_workers
from bench.stage import SETTINGS, Stage, prove
from openclaw_jobs.app import open_market
from openclaw_jobs.dispatch.models import Lane
from openclaw_jobs.market.context import Market

GROUP = "depth of the queue"
# As many as there are tasks of one category among the first thousand.
_BATCHES = 3
_WITHIN = 0.8


class _Queue:
    """A market with so many tasks queued."""

    def __init__(self, market: Market, dsn: str, depth: int) -> None:
        self.market = market
        self.dsn = dsn
        self.depth = depth
        self.settled = 0
        self.buyers: list[Buyer] = []
        self.workers: list[SeededWorker] = []

    async def fill(self) -> None:
        self.buyers = await make_buyers(self.market, 50)
        self.workers = await make_workers(self.market, 1)
        await asyncio.to_thread(add_tasks, self.market, self.dsn, self.buyers, self.depth)
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as conn:
            await conn.execute("VACUUM (ANALYZE)")

    async def claims_per_second(self, lane: Lane) -> float:
        """Claim some batches, timed; then hand them in and fill up again, not timed."""
        elapsed = 0.0
        claimed = 0
        for _ in range(_BATCHES):
            started = time.perf_counter()
            claims = await claim(self.market, self.workers[0], BATCH, lane)
            elapsed += time.perf_counter() - started
            claimed += len(claims)
            self.settled += await submit(self.market, claims)
        assert claimed == _BATCHES * BATCH, claimed
        categories = CATEGORIES if lane is None else (lane,)
        await asyncio.to_thread(add_tasks, self.market, self.dsn, self.buyers, claimed, categories)
        return claimed / elapsed


async def run(stage: Stage) -> list[Figure]:
    """Claim from queues of three depths in turn, so that the machine's noise meets all alike."""
    depths = (1_000, 5_000, 10_000) if stage.quick else (1_000, 100_000, 1_000_000)
    rounds = 2 if stage.quick else 30
    async with contextlib.AsyncExitStack() as stack:
        queues = []
        for depth in depths:
            dsn = stack.enter_context(stage.database(f"bench_depth_{depth}"))
            market = await stack.enter_async_context(open_market(SETTINGS, dsn))
            queues.append(_Queue(market, dsn, depth))
            await queues[-1].fill()
        figures = []
        for lane, title in (("coding", "one category"), (None, "any category")):
            rates: dict[int, list[float]] = {depth: [] for depth in depths}
            for _ in range(rounds):
                for queue in queues:
                    rates[queue.depth].append(await queue.claims_per_second(lane))
            figures += [
                Figure(
                    group=GROUP,
                    name=f"claims, {title}, {depth:,} queued",
                    value=median(rates[depth]),
                    unit="tasks/s",
                    runs=tuple(rates[depth]),
                    limit=f"claims, {title}, {depths[0]:,} queued",
                    aim_share=_WITHIN,
                    note="median, batches of 50" if depth == depths[0] else "",
                )
                for depth in depths
            ]
        for queue in queues:
            await prove(queue.market, queue.settled)
    return figures
