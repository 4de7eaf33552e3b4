"""What hidden quality costs the whole stack: the same load with checks and without, in turn.

Each run has a fresh database, so its workers are all unknown: every result is looked at as far as
the budget goes (16% of what was paid), which is the most that the rules ever ask for. Copies join
the queue within two seconds, are done among the other tasks, compared and judged in the server's
process. Its tasks stand in the queue as if they were posted at the pace they are done at, or no
copy would be reached within the run.
"""

import asyncio

import psycopg

from bench.http import drive
from bench.processes import serving
from bench.report import Figure, median
from bench.seed import add_tasks, make_buyers, make_workers
from bench.stage import SETTINGS, Stage, prove
from openclaw_jobs.app import open_market
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.context import Market

GROUP = "checks"
_WORKERS = 128
_BUYERS = 50
_SHARE = 0.85
_DELAY_S = 2
# How fast each mode is about, by which its tasks are spread; and how many are there in any case.
_PACES = {"single": 700, "next": 1_000, "batch": 2_500}
_SPARE = 3
_NAMES = {
    "single": "single: next, submit",
    "next": "next: each submit brings one",
    "batch": "batches of 20",
}
_SPREAD = """
    UPDATE tasks t SET queue_rank = n.first + n.place * 1000 / %(pace)s
    FROM (SELECT id, min(queue_rank) OVER () AS first,
        row_number() OVER (ORDER BY queue_rank, id) AS place FROM tasks) n
    WHERE t.id = n.id
"""
_COUNTS = (
    "SELECT (SELECT count(*) FROM checks), (SELECT count(*) FROM checks WHERE stage = 'decided'),"
    " (SELECT count(*) FROM tasks WHERE buyer_id IS NULL AND status = 'completed')"
)


async def run(stage: Stage) -> list[Figure]:
    """Each mode with and without, in turn, so that the noise of the machine meets both alike."""
    seconds, rounds = (1.0, 1) if stage.quick else (8.0, 5)
    rates: dict[tuple[str, bool], list[float]] = {}
    seen: dict[str, list[tuple[int, int, int, int]]] = {}
    for round_ in range(rounds):
        for mode in _PACES:
            # Who comes first is the other one each time.
            for checked in (False, True) if round_ % 2 else (True, False):
                done, rate, counts = await _phase(stage, mode, seconds, checked=checked)
                rates.setdefault((mode, checked), []).append(rate)
                if checked:
                    seen.setdefault(mode, []).append((done, *counts))
    return [figure for mode in _PACES for figure in _figures(mode, rates, seen[mode])]


async def _phase(
    stage: Stage, mode: str, seconds: float, *, checked: bool
) -> tuple[int, float, tuple[int, int, int]]:
    with stage.database("bench_checks") as dsn:
        async with open_market(SETTINGS, dsn) as market:
            quality = {"enabled": checked, "check_delay_seconds": _DELAY_S}
            await change_config(market, "quality", quality, None, "bench")
            workers = await make_workers(market, _WORKERS)
            buyers = await make_buyers(market, _BUYERS)
            pace = _PACES[mode]
            count = int(pace * _SPARE * seconds)
            await asyncio.to_thread(add_tasks, market, dsn, buyers, count)
            await asyncio.to_thread(_spread, dsn, pace)
            async with serving(dsn) as server:
                done, rate = await drive(server, workers, mode=mode, seconds=seconds)
            await prove(market, done)
            return done, rate, await _counts(market)


def _spread(dsn: str, pace: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(_SPREAD, {"pace": pace})
        conn.execute("VACUUM (ANALYZE)")


async def _counts(market: Market) -> tuple[int, int, int]:
    async with market.db.read() as conn:
        cursor = await conn.execute(_COUNTS)
        row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def _figures(
    mode: str,
    rates: dict[tuple[str, bool], list[float]],
    seen: list[tuple[int, int, int, int]],
) -> list[Figure]:
    name = _NAMES[mode]
    without, with_ = rates[mode, False], rates[mode, True]
    done, checks, decided, hidden = (sum(column) for column in zip(*seen, strict=True))
    note = f"median; of {done:,} tasks {hidden:,} hidden; {checks:,} checks, {decided:,} decided"
    return [
        Figure(
            group=GROUP,
            name=f"{name}, no checks",
            value=median(without),
            unit="tasks/s",
            runs=tuple(without),
            note="median",
        ),
        Figure(
            group=GROUP,
            name=f"{name}, with checks",
            value=median(with_),
            unit="tasks/s",
            runs=tuple(with_),
            limit=f"{name}, no checks",
            aim_share=_SHARE,
            note=note,
        ),
    ]
