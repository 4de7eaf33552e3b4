"""What hidden quality costs the whole stack: the same load with checks and without, in turn.

Each run has a fresh database, so its workers are all unknown: every result is looked at as far as
the budget goes (16% of what was paid), which is the most that the rules ever ask for. Copies join
the queue within two seconds, are done among the other tasks, compared and judged in the server's
process. The other tasks stand in the queue as if most were posted later, or no copy would be
reached within the run.

Beside the rate stands what a task costs the server and PostgreSQL in processor time: where others
use the machine as well, that is the figure to go by.
"""

import asyncio
import contextlib
from typing import NamedTuple

import psycopg

from bench.http import drive
from bench.processes import Server, serving
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
# The same in processor time.
_MOST = 1 / _SHARE
_DELAY_S = 2
# More than can be done in a second, and at what pace they stand in the queue: far slower.
_MOST_PER_SECOND = {"single": 2_000, "next": 3_000, "batch": 7_000}
_PACE = 50
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
_PIDS = "SELECT pid FROM pg_stat_activity"
_COUNTS = (
    "SELECT (SELECT count(*) FROM checks), (SELECT count(*) FROM checks WHERE stage = 'decided'),"
    " (SELECT count(*) FROM tasks WHERE buyer_id IS NULL AND status = 'completed')"
)


class _Phase(NamedTuple):
    """What one run came to; the times are of the processor, for each task."""

    done: int
    rate: float
    cpu_ms: float
    checks: int
    decided: int
    hidden: int


async def run(stage: Stage) -> list[Figure]:
    """Each mode with and without, in turn, so that the noise of the machine meets both alike."""
    seconds, rounds = (1.0, 1) if stage.quick else (8.0, 5)
    phases: dict[tuple[str, bool], list[_Phase]] = {}
    for round_ in range(rounds):
        for mode in _MOST_PER_SECOND:
            # Who comes first is the other one each time.
            for checked in (False, True) if round_ % 2 else (True, False):
                phase = await _phase(stage, mode, seconds, checked=checked)
                phases.setdefault((mode, checked), []).append(phase)
    return [
        figure
        for mode in _MOST_PER_SECOND
        for figure in _figures(mode, phases[mode, False], phases[mode, True])
    ]


async def _phase(stage: Stage, mode: str, seconds: float, *, checked: bool) -> _Phase:
    with stage.database("bench_checks") as dsn:
        async with open_market(SETTINGS, dsn) as market:
            quality = {"enabled": checked, "check_delay_seconds": _DELAY_S}
            await change_config(market, "quality", quality, None, "bench")
            workers = await make_workers(market, _WORKERS)
            buyers = await make_buyers(market, _BUYERS)
            count = int(_MOST_PER_SECOND[mode] * seconds)
            await asyncio.to_thread(add_tasks, market, dsn, buyers, count)
            await asyncio.to_thread(_spread, dsn)
            async with serving(dsn) as server:
                before = _cpu(server, dsn)
                done, rate = await drive(server, workers, mode=mode, seconds=seconds)
                after = _cpu(server, dsn)
            spent = sum(after[pid] - before.get(pid, 0.0) for pid in after)
            checks, decided, hidden = await _counts(market)
            # What was done is counted by the workers, who cannot tell a hidden task.
            await prove(market, done - hidden)
            return _Phase(done, rate, spent / done * 1000, checks, decided, hidden)


def _spread(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(_SPREAD, {"pace": _PACE})
        conn.execute("VACUUM (ANALYZE)")


def _cpu(server: Server, dsn: str) -> dict[int, float]:
    """The processor seconds of the server and of each process of PostgreSQL."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        pids = [row[0] for row in conn.execute(_PIDS) if row[0] != conn.info.backend_pid]
    found = {}
    for pid in (server.pid, *pids):
        # A worker of PostgreSQL may have ended meanwhile.
        with contextlib.suppress(FileNotFoundError):
            found[pid] = Server("", pid).cpu_seconds()
    return found


async def _counts(market: Market) -> tuple[int, int, int]:
    async with market.db.read() as conn:
        cursor = await conn.execute(_COUNTS)
        row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def _figures(mode: str, without: list[_Phase], with_: list[_Phase]) -> list[Figure]:
    name = _NAMES[mode]
    done, checks, decided, hidden = (
        sum(getattr(phase, field) for phase in with_)
        for field in ("done", "checks", "decided", "hidden")
    )
    note = f"median; of {done:,} tasks {hidden:,} hidden; {checks:,} checks, {decided:,} decided"
    cpu = median([phase.cpu_ms for phase in without])
    return [
        Figure(
            group=GROUP,
            name=f"{name}, no checks",
            value=median([phase.rate for phase in without]),
            unit="tasks/s",
            runs=tuple(phase.rate for phase in without),
            note="median",
        ),
        Figure(
            group=GROUP,
            name=f"{name}, with checks",
            value=median([phase.rate for phase in with_]),
            unit="tasks/s",
            runs=tuple(phase.rate for phase in with_),
            limit=f"{name}, no checks",
            aim_share=_SHARE,
            note=note,
        ),
        Figure(
            group=GROUP,
            name=f"{name}, processor time without",
            value=cpu,
            unit="ms a task",
            runs=tuple(phase.cpu_ms for phase in without),
            note="median; server and PostgreSQL",
        ),
        Figure(
            group=GROUP,
            name=f"{name}, processor time with",
            value=median([phase.cpu_ms for phase in with_]),
            unit="ms a task",
            runs=tuple(phase.cpu_ms for phase in with_),
            limit=f"{name}, processor time without",
            aim=cpu * _MOST,
            aim_at_most=True,
            note="median; server and PostgreSQL",
        ),
    ]
