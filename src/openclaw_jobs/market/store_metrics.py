"""SQL of the figures in `/metrics`. Each statement reads an index to a bound, or a narrow table.

Counts that could grow without end are cut off: a queue or a state that is longer than that is as
alarming as it will ever be.
"""

from collections.abc import Sequence
from typing import Any

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array


async def select_queue(
    conn: Connection, most_categories: int, most_tasks: int
) -> list[tuple[str, int, float]]:
    """Queued tasks by category: how many, and the age in seconds of the one that is next.

    Walks the index from category to category, and counts in the index; buyers may name any
    category, so both are bounded.
    """
    cursor = await conn.execute(
        """
        WITH RECURSIVE walk AS (
            SELECT (SELECT category FROM tasks WHERE status = 'queued'
                    ORDER BY category, queue_rank, id LIMIT 1) AS category, 1 AS n
            UNION ALL
            SELECT (SELECT t.category FROM tasks t
                    WHERE t.status = 'queued' AND t.category > w.category
                    ORDER BY t.category, t.queue_rank, t.id LIMIT 1), n + 1
            FROM walk w WHERE w.category IS NOT NULL AND n < %(categories)s
        )
        SELECT w.category, c.queued, extract(epoch FROM now() - h.created_at)::float8
        FROM walk w
        CROSS JOIN LATERAL (
            SELECT count(*) AS queued FROM (
                SELECT FROM tasks WHERE status = 'queued' AND category = w.category
                LIMIT %(tasks)s) AS counted
        ) AS c
        CROSS JOIN LATERAL (
            SELECT created_at FROM tasks WHERE status = 'queued' AND category = w.category
            ORDER BY queue_rank, id LIMIT 1
        ) AS h
        WHERE w.category IS NOT NULL
        """,
        {"categories": most_categories, "tasks": most_tasks},
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def select_payouts(
    conn: Connection, states: Sequence[str], most: int
) -> list[tuple[str, int, int, float]]:
    """Payouts by state: how many (up to `most`), their cents, and the oldest's age in seconds."""
    cursor = await conn.execute(
        """
        SELECT s.state, p.found, p.cents, p.oldest FROM unnest(%s::text[]) AS s (state)
        CROSS JOIN LATERAL (
            SELECT count(*) AS found, coalesce(sum(amount_cents), 0)::bigint AS cents,
                coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
            FROM (SELECT amount_cents, created_at FROM payouts WHERE status = s.state
                  ORDER BY id LIMIT %s) AS counted
        ) AS p
        """,
        (text_array(states), most),
    )
    return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]


async def select_checks(
    conn: Connection, stages: Sequence[str], most: int
) -> list[tuple[str, int]]:
    """Quality checks by stage, each counted up to `most`."""
    cursor = await conn.execute(
        """
        SELECT s.stage, c.found FROM unnest(%s::text[]) AS s (stage)
        CROSS JOIN LATERAL (
            SELECT count(*) AS found FROM (
                SELECT FROM checks WHERE stage = s.stage ORDER BY id LIMIT %s) AS counted
        ) AS c
        """,
        (text_array(stages), most),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def count_verdicts(conn: Connection, window_s: int, most: int) -> tuple[int, int]:
    """Results that checks found good and bad within `window_s`, of the `most` newest."""
    cursor = await conn.execute(
        """
        SELECT count(*) FILTER (WHERE NOT bad), count(*) FILTER (WHERE bad)
        FROM (SELECT bad FROM outcomes WHERE created_at > now() - make_interval(secs => %s)
              ORDER BY created_at DESC LIMIT %s) AS counted
        """,
        (window_s, most),
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1]


async def count_webhooks(conn: Connection) -> tuple[int, float]:
    """Events of providers that wait to be worked, and the oldest's age in seconds."""
    cursor = await conn.execute(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8"
        " FROM webhook_events WHERE status = 'pending'"
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1]
