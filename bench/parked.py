"""A thousand parked workers: what each costs, and how soon a task wakes one."""

import asyncio
import time

import psycopg

from bench.processes import Client, Server, client, serving
from bench.report import Figure, best, median, percentile
from bench.seed import Buyer, make_buyers, make_workers
from bench.stage import SETTINGS, Stage, prove
from openclaw_jobs.app import open_market

GROUP = "parked workers"
_RATES = (50, 200)
_BUYERS = 20


async def run(stage: Stage) -> list[Figure]:
    """Park, measure at rest, then post at fixed rates."""
    parked, seconds, repeats = (100, 2.0, 1) if stage.quick else (1_000, 10.0, 3)
    figures: list[Figure] = []
    with stage.database("bench_parked") as dsn:
        async with open_market(SETTINGS, dsn) as market, serving(dsn) as server:
            workers = await make_workers(market, parked)
            buyers = await make_buyers(market, _BUYERS)
            # The first requests load and compile things that are no worker's own.
            async with client(
                do="rate", mode="single", url=server.url, tokens=[workers[0].token], seconds=1
            ) as first:
                await first.go()
                await first.result()
            before = server.resident_bytes()
            async with client(
                do="park", url=server.url, tokens=[worker.token for worker in workers]
            ) as parking:
                await _until_parked(dsn, parked)
                figures += await _at_rest(dsn, server, parked, before, seconds)
                posted = await _wake(
                    server, dsn, buyers, parking, seconds, repeats, figures, parked
                )
        async with open_market(SETTINGS, dsn) as market:
            await prove(market, posted)
    return figures


async def _until_parked(dsn: str, parked: int) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        async with asyncio.timeout(60):
            while True:
                cursor = await conn.execute("SELECT coalesce(sum(parked_workers), 0) FROM nodes")
                row = await cursor.fetchone()
                if row is not None and row[0] == parked:
                    return
                await asyncio.sleep(0.2)


async def _at_rest(
    dsn: str, server: Server, parked: int, before: int, seconds: float
) -> list[Figure]:
    cpu, statements = server.cpu_seconds(), await _transactions(dsn)
    started = time.monotonic()
    await asyncio.sleep(seconds)
    elapsed = time.monotonic() - started
    cpu = (server.cpu_seconds() - cpu) / elapsed
    statements = (await _transactions(dsn) - statements) / elapsed
    memory = (server.resident_bytes() - before) / parked / 1024
    return [
        Figure(group=GROUP, name="server memory each", value=memory, unit="KiB"),
        Figure(
            group=GROUP,
            name="SQL transactions while idle",
            value=statements,
            unit="/s",
            note="of the whole process, autovacuum's included",
        ),
        Figure(group=GROUP, name="server CPU while idle", value=100 * cpu, unit="%"),
    ]


async def _transactions(dsn: str) -> float:
    """How many transactions this database has seen; the asking is counted out."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        # Sessions report their counts about once a second while they work, and late when idle.
        await asyncio.sleep(1.5)
        cursor = await conn.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database"
            " WHERE datname = current_database()"
        )
        row = await cursor.fetchone()
    assert row is not None
    return float(row[0])


async def _all_done(dsn: str) -> None:
    """Return when no task is under way any more."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        async with asyncio.timeout(60):
            while True:
                cursor = await conn.execute(
                    "SELECT EXISTS (SELECT FROM tasks WHERE status IN ('queued', 'claimed'))"
                )
                if await cursor.fetchone() == (False,):
                    return
                await asyncio.sleep(0.2)


async def _wake(
    server: Server,
    dsn: str,
    buyers: list[Buyer],
    parking: Client,
    seconds: float,
    repeats: int,
    figures: list[Figure],
    parked: int,
) -> int:
    answered: list[tuple[int, dict[str, float], float]] = []
    took: dict[int, list[list[float]]] = {}
    posted = 0
    transactions = await _transactions(dsn)
    for _ in range(repeats):
        for rate in _RATES:
            async with client(
                do="post",
                url=server.url,
                keys=[buyer.key for buyer in buyers],
                rate=rate,
                seconds=seconds,
            ) as posting:
                await asyncio.sleep(1.0)
                await posting.go()
                result = await posting.result()
            answered.append((rate, result["answered"], result["latest_s"]))
            took.setdefault(rate, []).append([one * 1_000 for one in result["took"]])
            posted += len(result["answered"]) + len(buyers)
            await _all_done(dsn)
    transactions = await _transactions(dsn) - transactions
    await parking.go()
    arrivals: dict[str, float] = await parking.result()
    for rate in _RATES:
        runs = [
            [max(0.0, arrivals[task_id] - at) * 1_000 for task_id, at in posts.items()]
            for posted_at, posts, _ in answered
            if posted_at == rate
        ]
        latest = max(late for posted_at, _, late in answered if posted_at == rate)
        note = f"{parked:,} parked; the poster ran at most {latest * 1_000:.0f} ms late"
        medians = [median(run) for run in runs]
        tails = [percentile(run, 99) for run in runs]
        title = f"POST answered → worker has it, {rate}/s"
        figures.append(
            best(GROUP, f"{title}, median", medians, "ms", aim=5, aim_at_most=True, note=note)
        )
        figures.append(best(GROUP, f"{title}, p99", tails, "ms", aim=20, aim_at_most=True))
        posts = [median(run) for run in took[rate]]
        figures.append(
            best(GROUP, f"POST → answered, {rate}/s, median", posts, "ms", aim_at_most=True)
        )
    figures.append(
        Figure(
            group=GROUP,
            name="SQL transactions a task",
            value=transactions / posted,
            unit="",
            note="at all rates; up to three look up a token, and a thousand polls ask anew",
        )
    )
    return posted
