"""SQL of what may show that two workers are one person's."""

from collections.abc import Sequence
from datetime import timedelta

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, text_array
from openclaw_jobs.workers.marks import MarkKind


async def replace_mark(
    conn: Connection, worker_id: str, kind: MarkKind, mark: bytes, *, only_one: bool = True
) -> None:
    """Give a worker a mark; unless it may have several, of this kind it has no other then."""
    if only_one:
        await conn.execute(
            "DELETE FROM worker_marks WHERE worker_id = %s AND kind = %s AND mark <> %s",
            (worker_id, kind, mark),
        )
    await conn.execute(
        """
        INSERT INTO worker_marks (worker_id, kind, mark) VALUES (%s, %s, %s)
        ON CONFLICT (worker_id, kind, mark) DO UPDATE SET seen_at = now()
        """,
        (worker_id, kind, mark),
    )


async def add_networks(conn: Connection, seen: Sequence[tuple[str, bytes]]) -> None:
    """Note from which networks workers called; `seen` are distinct and sorted."""
    await conn.execute(
        """
        INSERT INTO worker_marks (worker_id, kind, mark)
        SELECT worker_id, 'network', mark
        FROM unnest(%s::text[], %s::bytea[]) AS seen (worker_id, mark)
        ON CONFLICT (worker_id, kind, mark) DO UPDATE SET seen_at = now()
        """,
        (text_array([worker_id for worker_id, _ in seen]), bytes_array([m for _, m in seen])),
    )


async def forget_networks(conn: Connection, after: timedelta, limit: int) -> int:
    """Forget networks that a worker has not called from for so long; returns how many."""
    cursor = await conn.execute(
        """
        DELETE FROM worker_marks WHERE (worker_id, kind, mark) IN (
            SELECT worker_id, kind, mark FROM worker_marks
            WHERE kind = 'network' AND seen_at < now() - %s LIMIT %s)
        """,
        (after, limit),
    )
    return cursor.rowcount


async def count_new(conn: Connection, mark: bytes, within: timedelta) -> int:
    """How many workers with this mark were registered so lately."""
    cursor = await conn.execute(
        """
        SELECT count(*) FROM worker_marks m JOIN workers w ON w.id = m.worker_id
        WHERE m.mark = %b AND w.created_at > now() - %s
        """,
        (mark, within),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def workers_with(conn: Connection, mark: bytes, limit: int) -> list[str]:
    """Workers with this mark, by id."""
    cursor = await conn.execute(
        "SELECT DISTINCT worker_id FROM worker_marks WHERE mark = %b ORDER BY worker_id LIMIT %s",
        (mark, limit),
    )
    return [row[0] for row in await cursor.fetchall()]
