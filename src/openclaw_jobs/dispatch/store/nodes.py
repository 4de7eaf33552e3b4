"""SQL of what is known of the queue and of the workers that wait."""

from openclaw_jobs.db import Connection


async def explain_empty(
    conn: Connection, worker_id: str, most: int, *, by_network: bool
) -> list[tuple[str, int, int, bool]]:
    """Up to `most` queued tasks: category, price, least tier, and whether this worker tried it.

    Those whose text the worker, or one that shares a mark with it, was shown as another task are
    left out: no word of a reason must tell that there are such. What it gave up itself is told of,
    whether there are others with that text or not.
    """
    cursor = await conn.execute(
        """
        SELECT t.category, t.price_cents, t.min_tier, t.attempts > 0 AND EXISTS (
            SELECT FROM attempts a WHERE a.task_id = t.id AND a.worker_id = %(worker)s)
        FROM tasks t WHERE t.status = 'queued' AND t.expires_at > now()
            AND (t.lineage IS NULL OR EXISTS (
                SELECT FROM attempts a WHERE a.task_id = t.id AND a.worker_id = %(worker)s)
                OR NOT EXISTS (
                SELECT FROM lineage_readers r WHERE r.lineage = t.lineage
                    AND (r.worker_id = %(worker)s OR EXISTS (
                        SELECT FROM worker_marks a JOIN worker_marks b ON b.mark = a.mark
                        WHERE a.worker_id = r.worker_id AND b.worker_id = %(worker)s
                            AND (%(network)s OR a.kind <> 'network')))))
        ORDER BY t.queue_rank, t.id LIMIT %(most)s
        """,
        {"worker": worker_id, "most": most, "network": by_network},
    )
    return [(r[0], r[1], r[2], r[3]) for r in await cursor.fetchall()]


async def report_node(conn: Connection, node_id: str, parked_workers: int) -> None:
    """Tell the other nodes how many workers are parked here."""
    await conn.execute(
        """
        INSERT INTO nodes (id, parked_workers) VALUES (%s, %s) ON CONFLICT (id)
        DO UPDATE SET seen_at = now(), parked_workers = excluded.parked_workers
        """,
        (node_id, parked_workers),
    )


async def forget_nodes(conn: Connection, node_id: str | None, silent_seconds: int) -> None:
    """Forget a node that stops, and those that have been silent for long."""
    await conn.execute(
        "DELETE FROM nodes WHERE id = %s OR seen_at < now() - make_interval(secs => %s)",
        (node_id, silent_seconds),
    )


async def count_online(conn: Connection, silent_seconds: int) -> int:
    """Workers that are parked somewhere or hold a task."""
    cursor = await conn.execute(
        """
        SELECT (SELECT count(DISTINCT worker_id) FROM leases) + coalesce((
            SELECT sum(parked_workers) FROM nodes
            WHERE seen_at > now() - make_interval(secs => %s)), 0)
        """,
        (silent_seconds,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
