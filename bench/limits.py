"""The limit of the database: claim and complete on a table with nothing else to it."""

import asyncio
import time

import psycopg

from bench.report import Figure, best
from bench.stage import Stage

GROUP = "raw SQL"
_BATCH = 50
_CLAIM = """
    UPDATE raw_queue SET status = 1, claimed_at = now() WHERE id IN (
        SELECT id FROM raw_queue WHERE status = 0 ORDER BY id LIMIT 50 FOR UPDATE SKIP LOCKED)
    RETURNING id
"""
_COMPLETE = "UPDATE raw_queue SET status = 2, result = 'done' WHERE id = ANY (%s)"


def name(connections: int) -> str:
    """What the figure for so many connections is called."""
    return f"claim + complete, batches of 50, {connections} conn."


async def run(stage: Stage) -> list[Figure]:
    """Claim and complete in batches of 50 on 1, 2 and 4 connections."""
    figures = []
    rows, repeats = (5_000, 1) if stage.quick else (60_000, 3)
    for connections in (1, 2, 4):
        rates = []
        for _ in range(repeats):
            with stage.database("bench_raw") as dsn:
                rates.append(await _measure(dsn, connections, rows))
        figures.append(best(GROUP, name(connections), rates, "tasks/s"))
    return figures


async def _measure(dsn: str, connections: int, rows: int) -> float:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE raw_queue (id bigint PRIMARY KEY, status smallint NOT NULL DEFAULT 0,"
            " claimed_at timestamptz, payload text, result text)"
        )
        conn.execute("CREATE INDEX ON raw_queue (id) WHERE status = 0")
        conn.execute(
            "INSERT INTO raw_queue (id, payload) SELECT n, repeat('x', 200)"
            " FROM generate_series(1, %s) AS n",
            (rows,),
        )
        conn.execute("VACUUM ANALYZE raw_queue")
    open_connections = [
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) for _ in range(connections)
    ]
    started = time.perf_counter()
    done = sum(await asyncio.gather(*map(_drain, open_connections)))
    elapsed = time.perf_counter() - started
    for conn_ in open_connections:
        await conn_.close()
    assert done == rows
    return done / elapsed


async def _drain(conn: psycopg.AsyncConnection) -> int:
    done = 0
    while True:
        cursor = await conn.execute(_CLAIM)
        ids = [row[0] for row in await cursor.fetchall()]
        if not ids:
            return done
        await conn.execute(_COMPLETE, (ids,))
        done += len(ids)
