"""SQL of what may show that a buyer and a worker are one person's; see `workers.marks`."""

from collections.abc import Sequence
from datetime import timedelta

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, text_array


async def add_marks(conn: Connection, marks: Sequence[tuple[str, str, bytes]]) -> None:
    """Give buyers marks of these kinds; `marks` are distinct and sorted."""
    await conn.execute(
        """
        INSERT INTO buyer_marks (buyer_id, kind, mark)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[])
        ON CONFLICT (buyer_id, kind, mark) DO UPDATE SET seen_at = now()
        """,
        (
            text_array([buyer_id for buyer_id, _, _ in marks]),
            text_array([kind for _, kind, _ in marks]),
            bytes_array([mark for _, _, mark in marks]),
        ),
    )


async def lock_mark(conn: Connection, mark: bytes) -> None:
    """Let nobody else with this mark sign up before the transaction ends."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(encode(%b, 'hex'), 8))", (mark,)
    )


async def has_buyer(conn: Connection, mark: bytes) -> bool:
    """Whether any buyer has this mark."""
    cursor = await conn.execute("SELECT 1 FROM buyer_marks WHERE mark = %b LIMIT 1", (mark,))
    return await cursor.fetchone() is not None


async def count_new(conn: Connection, mark: bytes, within: timedelta) -> int:
    """How many buyers with this mark signed up so lately."""
    cursor = await conn.execute(
        """
        SELECT count(*) FROM buyer_marks m JOIN buyers b ON b.id = m.buyer_id
        WHERE m.mark = %b AND b.created_at > now() - %s
        """,
        (mark, within),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def forget_marks(conn: Connection, buyer_id: str) -> None:
    """Forget all marks of a buyer."""
    await conn.execute("DELETE FROM buyer_marks WHERE buyer_id = %s", (buyer_id,))


async def forget_networks(conn: Connection, after: timedelta, limit: int) -> int:
    """Forget networks that a buyer has not called from for so long; returns how many."""
    cursor = await conn.execute(
        """
        DELETE FROM buyer_marks WHERE (buyer_id, kind, mark) IN (
            SELECT buyer_id, kind, mark FROM buyer_marks
            WHERE kind = 'network' AND seen_at < now() - %s LIMIT %s)
        """,
        (after, limit),
    )
    return cursor.rowcount
