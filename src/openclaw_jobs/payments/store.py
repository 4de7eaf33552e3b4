"""SQL of earnings."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array
from openclaw_jobs.payments.models import Earning, NewEarning


async def insert_earnings(
    conn: Connection, earnings: Sequence[NewEarning], now: datetime, release_at: datetime
) -> None:
    """Insert frozen lots, one a task."""
    await conn.execute(
        """
        INSERT INTO earnings (task_id, worker_id, gross_cents, commission_cents, net_cents,
            rate_bp, created_at, release_at)
        SELECT task_id, worker_id, gross, commission, gross - commission, rate, %s, %s
        FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::int[])
            AS e (task_id, worker_id, gross, commission, rate)
        """,
        (
            now,
            release_at,
            text_array([e.task_id for e in earnings]),
            text_array([e.worker_id for e in earnings]),
            int_array([e.gross_cents for e in earnings]),
            int_array([e.commission_cents for e in earnings]),
            int_array([e.rate_bp for e in earnings]),
        ),
    )


async def select_page(
    conn: Connection, worker_id: str, before: tuple[datetime, str] | None, limit: int
) -> list[Earning]:
    """A worker's earnings under `before`, newest first."""
    at, task_id = before or (None, None)
    cursor = await conn.execute(
        """
        SELECT task_id, gross_cents, commission_cents, net_cents, rate_bp, status, created_at,
            release_at
        FROM earnings WHERE worker_id = %(worker)s
            AND (%(at)s::timestamptz IS NULL OR (created_at, task_id) < (%(at)s, %(task)s))
        ORDER BY created_at DESC, task_id DESC LIMIT %(limit)s
        """,
        {"worker": worker_id, "at": at, "task": task_id, "limit": limit},
    )
    return [Earning(*row) for row in await cursor.fetchall()]


async def select_receipts(
    conn: Connection, task_ids: Sequence[str]
) -> dict[str, tuple[int, datetime]]:
    """Net cents and release time by task."""
    cursor = await conn.execute(
        "SELECT task_id, net_cents, release_at FROM earnings WHERE task_id = ANY(%s::text[])",
        (text_array(task_ids),),
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}
