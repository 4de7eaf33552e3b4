"""SQL of what a worker's pages add up."""

from datetime import date, datetime

from openclaw_jobs.db import Connection


async def select_days(
    conn: Connection, worker_id: str, since: datetime
) -> list[tuple[date, int, int]]:
    """By UTC day: net cents that were not taken back, and how many earnings."""
    cursor = await conn.execute(
        """
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
            coalesce(sum(net_cents) FILTER (WHERE status <> 'credited'), 0)::bigint, count(*)
        FROM earnings WHERE worker_id = %s AND created_at >= %s GROUP BY day ORDER BY day
        """,
        (worker_id, since),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def select_thaws(conn: Connection, worker_id: str, limit: int) -> list[tuple[datetime, int]]:
    """When the next frozen earnings thaw, and how much each is."""
    cursor = await conn.execute(
        """
        SELECT release_at, net_cents FROM earnings
        WHERE worker_id = %s AND status = 'frozen' ORDER BY created_at, task_id LIMIT %s
        """,
        (worker_id, limit),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def count_held(conn: Connection, worker_id: str) -> int:
    """How many tasks a worker holds."""
    cursor = await conn.execute("SELECT count(*) FROM leases WHERE worker_id = %s", (worker_id,))
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
