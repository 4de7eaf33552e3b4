"""Can a worker tell a hidden task from a paid one?

Workers call over HTTP from addresses of their own and write down all that they see: every key and
its order, headers, sizes, ids and their bits, prices, times, receipts, statistics before and after,
earnings and what became of them. Then a classifier learns from some workers what hidden tasks look
like, and says of the others' which are hidden; and the same over texts. Beside it stand two
controls: with shuffled labels it can learn nothing, and with a planted leak it must find it.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench import blind_score
from bench.blind_crowd import Sight, Watcher, buy
from bench.blind_score import Floats
from bench.processes import serving
from bench.report import Figure
from bench.seed import make_buyers, make_workers
from bench.stage import SETTINGS, Stage, prove
from bench.town import add_question_as_gold
from openclaw_jobs.app import open_market
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.context import Market

GROUP: Final = "blind"
LIMIT: Final = 0.55
QUALITY: Final = {
    "shadow_rate": 0.08,
    "spot_check_rate": 0.08,
    "benchmark_rate": 0.05,
    "check_delay_seconds": 10,
    "budget_floor_cents": 100_000_000,
}
_WARM_UP_S: Final = 30.0
_LEAK: Final = 0.15
"""The planted leak shows in so many hidden tasks."""

_RATE: Final = 75.0
"""Buyers' tasks in a second: about half of what two cores do of these, with the hidden ones."""

_COALITIONS: Final = (3, 20)
_UNLIMITED: Final = {"limit": 1_000_000, "per_seconds": 60}
_LIMITS: Final = ("work_next", "work_submit", "task_submit", "worker_write", "api_read")


async def run(stage: Stage) -> list[Figure]:
    """Watch a market, and try to tell."""
    workers, count, golds = (12, 400, 20) if stage.quick else (60, 11_000, 300)
    with stage.database("bench_blind") as dsn:
        async with open_market(SETTINGS, dsn) as market:
            sights, hidden_ids, about = await _watch(market, dsn, workers, count, golds, stage)
    # Before the first copies are due, and after the last task was posted, the mix is another.
    begin, end = min(s.at for s in sights) + _WARM_UP_S, about
    kept = sights if stage.quick else [s for s in sights if begin <= s.at <= end]
    return await asyncio.to_thread(_figures, kept, hidden_ids)


async def _watch(
    market: Market, dsn: str, workers: int, count: int, golds: int, stage: Stage
) -> tuple[list[Sight], set[str], float]:
    await change_config(market, "quality", QUALITY, None, "blind")
    await change_config(market, "commissions", {"freeze_window_hours": 0.01}, None, "blind")
    await change_config(market, "rate_limits", dict.fromkeys(_LIMITS, _UNLIMITED), None, "blind")
    rng = random.Random(5)  # noqa: S311 - no secret
    for _ in range(golds):
        await add_question_as_gold(market, rng)
    buyers = await make_buyers(market, 20)
    made = await make_workers(market, workers)
    async with serving(dsn) as server:
        stop = asyncio.Event()
        crowd = [
            Watcher(server.url, number, worker.token, random.Random(number))  # noqa: S311
            for number, worker in enumerate(made)
        ]
        working = [asyncio.create_task(watcher.work(stop)) for watcher in crowd]
        await buy(server.url, buyers, _RATE, count, rng)
        about = max(sight.at for watcher in crowd for sight in watcher.sights)
        # Earnings thaw, and the last checks are judged, before they are read.
        await asyncio.sleep(1 if stage.quick else 45)
        stop.set()
        await asyncio.gather(*working)
    await prove(market)
    async with market.db.read() as conn:
        cursor = await conn.execute("SELECT id FROM tasks WHERE buyer_id IS NULL")
        hidden = {row[0] for row in await cursor.fetchall()}
    return [sight for watcher in crowd for sight in watcher.sights], hidden, about


def _figures(sights: list[Sight], hidden_ids: set[str]) -> list[Figure]:
    # Several threads of it would wait for each other where the cores are shared.
    with threadpool_limits(1):
        return _scores(sights, hidden_ids)


def _scores(sights: list[Sight], hidden_ids: set[str]) -> list[Figure]:
    hidden = np.array([sight.task_id in hidden_ids for sight in sights])
    found = blind_score.table(sights)
    by_worker, by_text = [s.worker for s in sights], [s.prompt for s in sights]
    note = f"{len(sights):,} tasks, {hidden.sum():,} of them hidden; {len(found.names)} things seen"
    figures = []
    both: tuple[tuple[str, Sequence[int] | Sequence[str]], ...] = (
        ("workers", by_worker),
        ("texts", by_text),
    )
    for name, groups in both:
        told = blind_score.foretell(found.values, hidden, groups)
        figures.append(_figure(f"AUC over new {name}", told, hidden, groups, note, limit=True))
    rng = np.random.default_rng(3)
    shuffled = rng.permutation(hidden)
    told = blind_score.foretell(found.values, shuffled, by_worker)
    figures.append(_figure("AUC, labels shuffled", told, shuffled, by_worker, "a control"))
    planted = (hidden & (rng.random(len(hidden)) < _LEAK)).astype(float)
    told = blind_score.foretell(np.column_stack([found.values, planted]), hidden, by_worker)
    leak = f"a control: one hidden task in {1 / _LEAK:.0f} is marked"
    figures.append(_figure("AUC, with a planted leak", told, hidden, by_worker, leak))
    figures += [
        Figure(group=GROUP, name=f"alone: {name}", value=area, unit="AUC")
        for name, area in blind_score.best_columns(found, hidden, 5)
    ]
    for owners in _COALITIONS:
        of_hidden, of_paid = blind_score.pooled(sights, hidden, owners)
        figures.append(
            Figure(
                group=GROUP,
                name=f"texts that {owners} workers who pool them saw before",
                value=of_hidden * 100,
                unit="% of hidden tasks",
                note=f"and {of_paid:.1%} of paid ones",
            )
        )
    return figures


def _figure(
    name: str,
    told: Floats,
    hidden: NDArray[np.bool_],
    groups: Sequence[int] | Sequence[str],
    note: str,
    *,
    limit: bool = False,
) -> Figure:
    area = blind_score.score(told, hidden, groups)
    return Figure(
        group=GROUP,
        name=f"{name}, lower 95% bound",
        value=area.low,
        unit="",
        aim=LIMIT if limit else None,
        aim_at_most=True,
        note=f"{area.auc:.3f} ({area.low:.3f} to {area.high:.3f}); {note}",
    )
