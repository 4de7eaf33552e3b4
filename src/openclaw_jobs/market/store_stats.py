"""SQL of the operator's live figures. Each statement reads an index to a bound, or says what else.

What has to read whole tables is in the second half; `read_stats` limits how often it is asked.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from openclaw_jobs.db import Connection


async def select_queue(
    conn: Connection, ages: Sequence[int], most: int
) -> tuple[list[tuple[str, int, int, list[int]]], bool]:
    """Queued tasks by category: how many, the oldest's age in seconds, how many up to each age.

    Args:
        conn: Any connection.
        ages: Upper ends in seconds; the last count is of those older than all of them.
        most: How many tasks are looked at, from the head of the queue.

    Returns:
        The categories, and whether all tasks were looked at.
    """
    cursor = await conn.execute(
        """
        WITH head AS (
            SELECT category, extract(epoch FROM now() - created_at) AS age FROM tasks
            WHERE status = 'queued' ORDER BY queue_rank, id LIMIT %(most)s
        )
        SELECT category, width_bucket(age, %(ages)s::numeric[]) AS bucket, count(*), max(age)
        FROM head GROUP BY 1, 2 ORDER BY 1, 2
        """,
        {"most": most, "ages": list(ages)},
    )
    by_category: dict[str, tuple[int, int, list[int]]] = {}
    for category, bucket, count, oldest in await cursor.fetchall():
        total, age, counts = by_category.get(category, (0, 0, [0] * (len(ages) + 1)))
        counts[bucket] = count
        by_category[category] = (total + count, max(age, int(oldest)), counts)
    rows = [(name, *found) for name, found in by_category.items()]
    return rows, sum(row[1] for row in rows) < most


async def count_claimed(conn: Connection) -> tuple[int, int]:
    """Tasks that are held, and by how many workers; reads the narrow table of leases."""
    cursor = await conn.execute("SELECT count(*), count(DISTINCT worker_id) FROM leases")
    row: Any = await cursor.fetchone()
    return row[0], row[1]


async def select_latencies(
    conn: Connection, window_s: int, most: int, shares: Sequence[float]
) -> tuple[int, list[float], list[float]]:
    """Percentiles of the wait in the queue and of the work, in seconds, of tasks just settled.

    Args:
        conn: Any connection.
        window_s: How far back, in seconds.
        most: How many of the newest transfers are looked at, whatever they are.
        shares: Which percentiles, 0 to 1.

    Returns:
        How many tasks were measured, and both rows of percentiles (empty without any).
    """
    cursor = await conn.execute(
        """
        WITH recent AS (
            SELECT kind, key FROM transfers WHERE created_at > now() - make_interval(secs => %s)
            ORDER BY created_at DESC, id DESC LIMIT %s
        ), done AS (
            SELECT extract(epoch FROM t.claimed_at - t.created_at)::float8 AS waited,
                extract(epoch FROM t.completed_at - t.claimed_at)::float8 AS worked
            FROM recent r JOIN tasks t ON t.id = split_part(r.key, ':', 2) COLLATE "C"
            WHERE r.kind = 'settle' AND t.claimed_at IS NOT NULL AND t.completed_at IS NOT NULL
        )
        SELECT count(*),
            percentile_cont(%s::float8[]) WITHIN GROUP (ORDER BY waited),
            percentile_cont(%s::float8[]) WITHIN GROUP (ORDER BY worked)
        FROM done
        """,
        (window_s, most, list(shares), list(shares)),
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1] or [], row[2] or []


async def select_credits_waiting(conn: Connection) -> tuple[int, int, datetime | None]:
    """Credits that wait for a decision: how many, for how many cents, since when."""
    cursor = await conn.execute(
        "SELECT count(*), coalesce(sum(amount_cents), 0), min(requested_at) FROM credits"
        " WHERE status = 'review'"
    )
    row: Any = await cursor.fetchone()
    return row[0], int(row[1]), row[2]


async def select_webhooks(conn: Connection) -> tuple[int, datetime | None, int]:
    """Events that wait to be worked: how many, since when; and how many have failed for good."""
    cursor = await conn.execute(
        """
        SELECT (SELECT count(*) FROM webhook_events WHERE status = 'pending'),
            (SELECT min(received_at) FROM webhook_events WHERE status = 'pending'),
            (SELECT count(*) FROM webhook_events WHERE status = 'failed')
        """
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1], row[2]


async def count_workers(conn: Connection) -> list[tuple[str, str, int]]:
    """Workers by tier and the standing that counts now; reads all workers."""
    cursor = await conn.execute(
        """
        SELECT tier, CASE WHEN standing = 'suspended' AND suspended_until <= now()
                THEN 'active' ELSE standing END AS counts, count(*)
        FROM workers GROUP BY 1, 2 ORDER BY 1, 2
        """
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def sum_worker_stats(conn: Connection) -> tuple[int, int, int, int]:
    """Completed, failed, expired and credited over all workers ever; reads all workers."""
    cursor = await conn.execute(
        "SELECT coalesce(sum(completed), 0)::bigint, coalesce(sum(failed), 0)::bigint,"
        " coalesce(sum(expired), 0)::bigint, coalesce(sum(credited), 0)::bigint FROM worker_stats"
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1], row[2], row[3]


async def sum_payouts(conn: Connection) -> list[tuple[str, int, int]]:
    """Payouts by state: how many, and their cents; reads all payouts."""
    cursor = await conn.execute(
        "SELECT status, count(*), sum(amount_cents)::bigint FROM payouts GROUP BY status ORDER BY 1"
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]
