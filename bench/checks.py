"""What hidden quality costs the whole stack: the same load with checks and without, in turn.

Each run has a fresh database. Either its workers are all unknown, and every result is looked at as
far as the budget goes (16% of what was paid), which is the most that the rules ever ask for; or all
are known by a hundred good results in a row, and few are looked at. Copies join
the queue within two seconds, are done among the other tasks, compared and judged in the server's
process. The other tasks stand in the queue as if most were posted later, or no copy would be
reached within the run.

Beside the rate stands what a task costs the server and PostgreSQL in processor time: where others
use the machine as well, that is the figure to go by.
"""

import asyncio
import contextlib
from typing import LiteralString, NamedTuple

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
# Whom the load comes from, and the name of the figure.
_CROWDS = {"off": "no checks", "unknown": "all workers unknown", "known": "all workers known"}
_KNOWN = """
    INSERT INTO worker_records (worker_id, good, streak) SELECT id, 100, 100 FROM workers
"""
# The good results are no outcomes of checks, and would not be proved.
_UNKNOWN = """
    WITH gone AS (DELETE FROM worker_records WHERE good = 100 RETURNING worker_id)
    UPDATE worker_records SET good = good - 100, streak = streak - 100
    WHERE good > 100
"""
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
    """Each mode with and without, in turn, so that the noise of the machine meets all alike."""
    seconds, rounds = (1.0, 1) if stage.quick else (8.0, 5)
    phases: dict[tuple[str, str], list[_Phase]] = {}
    for round_ in range(rounds):
        for mode in _MOST_PER_SECOND:
            # Who comes first is another one each time.
            crowds = [*_CROWDS][round_ % 3 :] + [*_CROWDS][: round_ % 3]
            for crowd in crowds:
                phase = await _phase(stage, mode, seconds, crowd)
                phases.setdefault((mode, crowd), []).append(phase)
    return [
        figure
        for mode in _MOST_PER_SECOND
        for figure in _figures(mode, {crowd: phases[mode, crowd] for crowd in _CROWDS})
    ]


async def _phase(stage: Stage, mode: str, seconds: float, crowd: str) -> _Phase:
    with stage.database("bench_checks") as dsn:
        async with open_market(SETTINGS, dsn) as market:
            quality = {"enabled": crowd != "off", "check_delay_seconds": _DELAY_S}
            await change_config(market, "quality", quality, None, "bench")
            workers = await make_workers(market, _WORKERS)
            buyers = await make_buyers(market, _BUYERS)
            count = int(_MOST_PER_SECOND[mode] * seconds)
            await asyncio.to_thread(add_tasks, market, dsn, buyers, count)
            await asyncio.to_thread(_spread, dsn, known=crowd == "known")
            async with serving(dsn) as server:
                before = _cpu(server, dsn)
                done, rate = await drive(server, workers, mode=mode, seconds=seconds)
                after = _cpu(server, dsn)
            spent = sum(after[pid] - before.get(pid, 0.0) for pid in after)
            checks, decided, hidden = await _counts(market)
            if crowd == "known":
                await asyncio.to_thread(_execute, dsn, _UNKNOWN)
            # What was done is counted by the workers, who cannot tell a hidden task.
            await prove(market, done - hidden)
            return _Phase(done, rate, spent / done * 1000, checks, decided, hidden)


def _spread(dsn: str, *, known: bool) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        if known:
            conn.execute(_KNOWN)
        conn.execute(_SPREAD, {"pace": _PACE})
        conn.execute("VACUUM (ANALYZE)")


def _execute(dsn: str, statement: LiteralString) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(statement)


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


def _figures(mode: str, phases: dict[str, list[_Phase]]) -> list[Figure]:
    bare = median([phase.cpu_ms for phase in phases["off"]])
    rates, times = [], []
    for crowd, runs in phases.items():
        off = crowd == "off"
        done, checks, decided, hidden = (
            sum(getattr(phase, field) for phase in runs)
            for field in ("done", "checks", "decided", "hidden")
        )
        drawn = f"; of {done:,} tasks {hidden:,} hidden; {checks:,} checks, {decided:,} decided"
        rates.append(
            Figure(
                group=GROUP,
                name=f"{_NAMES[mode]}, {_CROWDS[crowd]}",
                value=median([phase.rate for phase in runs]),
                unit="tasks/s",
                runs=tuple(phase.rate for phase in runs),
                limit=None if off else f"{_NAMES[mode]}, {_CROWDS['off']}",
                aim_share=None if off else _SHARE,
                note="median" if off else f"median{drawn}",
            )
        )
        times.append(
            Figure(
                group=GROUP,
                name=f"{_NAMES[mode]}, {_CROWDS[crowd]}, processor time",
                value=median([phase.cpu_ms for phase in runs]),
                unit="ms a task",
                runs=tuple(phase.cpu_ms for phase in runs),
                limit=None if off else f"{_NAMES[mode]}, {_CROWDS['off']}, processor time",
                aim=None if off else bare * _MOST,
                aim_at_most=True,
                note="median; server and PostgreSQL",
            )
        )
    return rates + times
