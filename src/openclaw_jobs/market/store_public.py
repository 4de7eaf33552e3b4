"""SQL of what anybody may know of the marketplace.

Hidden tasks are counted like any other here: were they left out, a worker could tell them by
looking for its own work.
"""

from datetime import datetime
from typing import Any

from openclaw_jobs.db import Connection


async def select_done(
    conn: Connection, within_s: float, scanned: int, most: int
) -> list[tuple[str, str, float, datetime]]:
    """Tasks settled lately, newest first: id, category, seconds of work, when.

    Args:
        conn: Any connection.
        within_s: How far back, in seconds.
        scanned: How many of the newest transfers are looked at, whatever they are.
        most: How many tasks are wanted.
    """
    cursor = await conn.execute(
        """
        WITH recent AS (
            SELECT kind, key, created_at FROM transfers
            WHERE created_at > now() - make_interval(secs => %s)
            ORDER BY created_at DESC, id DESC LIMIT %s
        )
        SELECT t.id, t.category, extract(epoch FROM t.completed_at - t.claimed_at)::float8,
            t.completed_at
        FROM recent r JOIN tasks t ON t.id = split_part(r.key, ':', 2) COLLATE "C"
        WHERE r.kind = 'settle' AND t.claimed_at IS NOT NULL AND t.completed_at IS NOT NULL
        ORDER BY r.created_at DESC, t.id DESC LIMIT %s
        """,
        (within_s, scanned, most),
    )
    return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]


async def sum_work(conn: Connection) -> tuple[int, int, int]:
    """Tasks completed, those credited of them, and cents earned, ever; reads all workers."""
    cursor = await conn.execute(
        "SELECT coalesce(sum(completed), 0)::bigint, coalesce(sum(credited), 0)::bigint,"
        " coalesce(sum(lifetime_cents), 0)::bigint FROM worker_stats"
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1], row[2]
