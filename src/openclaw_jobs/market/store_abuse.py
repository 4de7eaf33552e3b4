"""SQL that looks for abuse, behind everybody's back: a few statements a minute, none by a call."""

from datetime import timedelta

from openclaw_jobs.db import Connection


async def select_unfinished(
    conn: Connection, within: timedelta, least: int, rate: float, limit: int
) -> list[tuple[str, int, int]]:
    """Active workers that finished too few of their claims lately: id, unfinished, completed.

    What a worker was flagged for before does not count again.
    """
    cursor = await conn.execute(
        """
        WITH lately AS (
            SELECT a.worker_id, count(*) AS unfinished, max(f.last_seen) AS since
            FROM attempts a LEFT JOIN flags f
                ON f.subject = a.worker_id AND f.kind = 'unfinished_claims'
            WHERE a.outcome <> 'completed' AND a.ended_at > now() - %(within)s
                AND (f.last_seen IS NULL OR a.ended_at > f.last_seen)
            GROUP BY a.worker_id HAVING count(*) > %(least)s * %(rate)s
        ), shares AS (
            SELECT l.worker_id, l.unfinished, (SELECT count(*) FROM earnings e
                WHERE e.worker_id = l.worker_id AND e.created_at > greatest(
                    now() - %(within)s, coalesce(l.since, '-infinity'))) AS completed
            FROM lately l
        )
        SELECT s.worker_id, s.unfinished, s.completed
        FROM shares s JOIN workers w ON w.id = s.worker_id
        WHERE w.standing = 'active' AND s.unfinished + s.completed >= %(least)s
            AND s.unfinished > (s.unfinished + s.completed) * %(rate)s
        ORDER BY s.worker_id LIMIT %(limit)s
        """,
        {"within": within, "least": least, "rate": rate, "limit": limit},
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def select_rejected_credits(
    conn: Connection, within: timedelta, least: int
) -> list[tuple[str, int]]:
    """Buyers that asked for so many credits lately that were rejected."""
    cursor = await conn.execute(
        """
        SELECT buyer_id, count(*) FROM credits
        WHERE status = 'rejected' AND decided_at > now() - %s
        GROUP BY buyer_id HAVING count(*) >= %s ORDER BY buyer_id
        """,
        (within, least),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def select_own_workers(conn: Connection, limit: int) -> list[tuple[str, list[str]]]:
    """Buyers with workers that share an e-mail or payout address with them, or a browser."""
    cursor = await conn.execute(
        """
        SELECT b.buyer_id, (array_agg(DISTINCT m.worker_id ORDER BY m.worker_id))[1:20]
        FROM buyer_marks b JOIN worker_marks m ON m.mark = b.mark
        WHERE m.kind <> 'network' GROUP BY b.buyer_id ORDER BY b.buyer_id LIMIT %s
        """,
        (limit,),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def select_shared_networks(
    conn: Connection, since_id: str, limit: int
) -> list[tuple[str, str, int]]:
    """Buyers, workers of their network, and how many of their tasks from this id on those did."""
    cursor = await conn.execute(
        """
        SELECT p.buyer_id, p.worker_id, count(*)
        FROM (SELECT DISTINCT b.buyer_id, m.worker_id FROM buyer_marks b
            JOIN worker_marks m ON m.mark = b.mark WHERE b.kind = 'network') AS p
        JOIN tasks t ON t.buyer_id = p.buyer_id AND t.id >= %s AND t.worker_id = p.worker_id
            AND t.status IN ('completed', 'credited', 'credit_review')
        GROUP BY p.buyer_id, p.worker_id ORDER BY p.buyer_id, p.worker_id LIMIT %s
        """,
        (since_id, limit),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def forget_payout_changes(conn: Connection, after: timedelta) -> int:
    """Forget changes of payout addresses that are so old; returns how many."""
    cursor = await conn.execute(
        "DELETE FROM payout_changes WHERE changed_at < now() - %s", (after,)
    )
    return cursor.rowcount


async def suspend_for_a_while(
    conn: Connection, worker_id: str, reason: str, pause: timedelta
) -> bool:
    """Suspend a worker for so long; False if it is not active."""
    cursor = await conn.execute(
        """
        UPDATE workers SET standing = 'suspended', suspended_until = now() + %s,
            suspended_reason = %s
        WHERE id = %s AND standing = 'active'
        """,
        (pause, reason, worker_id),
    )
    return cursor.rowcount == 1
