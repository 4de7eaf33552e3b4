"""SQL of what a buyer's pages add up and list."""

from datetime import date

from openclaw_jobs.db import Connection
from openclaw_jobs.market.models_spending import SpentDay, TaskLine

_LINE_CHARS = 200


async def select_held(conn: Connection, buyer_id: str, floor: str) -> tuple[int, int]:
    """What is in escrow for a buyer's tasks above the id `floor`, and how many they are."""
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(price_cents), 0)::bigint, count(*) FROM tasks
        WHERE buyer_id = %s AND id > %s AND status IN ('queued', 'claimed')
        """,
        (buyer_id, floor),
    )
    row = await cursor.fetchone()
    return (0, 0) if row is None else (row[0], row[1])


async def select_days(conn: Connection, buyer_id: str, floor: str) -> list[SpentDay]:
    """What a buyer spent on each UTC day on which it posted tasks, from the id `floor` on."""
    cursor = await conn.execute(
        """
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
            coalesce(sum(price_cents - credited_cents)
                FILTER (WHERE status NOT IN ('failed', 'cancelled', 'expired')), 0)::bigint,
            count(*)
        FROM tasks WHERE buyer_id = %s AND id > %s GROUP BY day ORDER BY day
        """,
        (buyer_id, floor),
    )
    days: list[tuple[date, int, int]] = await cursor.fetchall()
    return [SpentDay(*row) for row in days]


async def select_lines(
    conn: Connection,
    buyer_id: str,
    *,
    before: str | None,
    floor: str | None,
    status: str | None,
    category: str | None,
    limit: int,
) -> list[TaskLine]:
    """A buyer's tasks with the beginning of what was asked, newest first."""
    cursor = await conn.execute(
        """
        SELECT t.id, t.status, t.category, t.price_cents, t.credited_cents,
            CASE t.rating WHEN 1 THEN 'up' WHEN -1 THEN 'down' END,
            t.created_at, t.claimed_at, t.completed_at,
            coalesce(left(coalesce(i.prompt, i.messages::jsonb -> -1 ->> 'content'), %(chars)s),
                '')
        FROM (
            SELECT * FROM tasks
            WHERE buyer_id = %(buyer)s
                AND (%(before)s::text IS NULL OR id < %(before)s)
                AND (%(floor)s::text IS NULL OR id > %(floor)s)
                AND (%(status)s::text IS NULL OR status = %(status)s)
                AND (%(category)s::text IS NULL OR category = %(category)s)
            ORDER BY id DESC LIMIT %(limit)s
        ) t JOIN task_inputs i ON i.task_id = t.id ORDER BY t.id DESC
        """,
        {
            "buyer": buyer_id,
            "before": before,
            "floor": floor,
            "status": status,
            "category": category,
            "limit": limit,
            "chars": _LINE_CHARS,
        },
    )
    return [TaskLine(*row) for row in await cursor.fetchall()]
