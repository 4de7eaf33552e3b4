"""SQL of tasks as buyers see them; claims and leases are dispatch's."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array
from openclaw_jobs.tasks.models import NewTask, QueuedTask, TaskView

_VIEW = """
    SELECT t.id, t.status, t.category, t.price_cents, i.prompt, i.messages, i.metadata,
        t.conversation_id, r.result, l.progress, t.created_at, t.claimed_at, t.completed_at,
        CASE t.rating WHEN 1 THEN 'up' WHEN -1 THEN 'down' END, t.queue_rank,
        t.credited_cents, i.erased_at IS NOT NULL
    FROM tasks t
    JOIN task_inputs i ON i.task_id = t.id
    LEFT JOIN task_results r ON r.task_id = t.id
    LEFT JOIN leases l ON l.task_id = t.id
"""


async def insert_tasks(conn: Connection, tasks: Sequence[NewTask]) -> None:
    """Insert queued tasks and their texts in one statement."""
    await conn.execute(
        """
        WITH fresh AS (
            SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                %s::smallint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[],
                %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
                AS f (id, buyer_id, category, price, promo, min_tier, rank, conversation_id,
                    created_at, expires_at, prompt, messages, metadata, check_id, lineage)
        ), texts AS (
            INSERT INTO task_inputs (task_id, prompt, messages, metadata)
            SELECT id, prompt, messages, metadata FROM fresh
        )
        INSERT INTO tasks (id, buyer_id, category, price_cents, promo_cents, min_tier,
            queue_rank, conversation_id, created_at, expires_at, check_id, lineage)
        SELECT id, buyer_id, category, price, promo, min_tier, rank, conversation_id,
            created_at, expires_at, check_id, lineage
        FROM fresh
        """,
        (
            text_array([t.task_id for t in tasks]),
            text_array([t.buyer_id for t in tasks]),
            text_array([t.category for t in tasks]),
            int_array([t.price_cents for t in tasks]),
            int_array([t.promo_cents for t in tasks]),
            int_array([t.min_tier for t in tasks]),
            int_array([t.queue_rank for t in tasks]),
            text_array([t.conversation_id for t in tasks]),
            text_array([t.created_at.isoformat() for t in tasks]),
            text_array([t.expires_at.isoformat() for t in tasks]),
            text_array([t.prompt for t in tasks]),
            text_array([t.messages for t in tasks]),
            text_array([t.metadata for t in tasks]),
            text_array([t.check_id for t in tasks]),
            text_array([t.lineage for t in tasks]),
        ),
    )


async def select_view(conn: Connection, buyer_id: str, task_id: str) -> TaskView | None:
    """A buyer's own task; None for another's as for none."""
    cursor = await conn.execute(_VIEW + "WHERE t.id = %s AND t.buyer_id = %s", (task_id, buyer_id))
    row = await cursor.fetchone()
    return None if row is None else TaskView(*row)


async def select_page(
    conn: Connection, buyer_id: str, before: str | None, status: str | None, limit: int
) -> list[TaskView]:
    """A buyer's tasks under `before`, newest first."""
    cursor = await conn.execute(
        _VIEW
        + """
        WHERE t.buyer_id = %(buyer)s
            AND (%(before)s::text IS NULL OR t.id < %(before)s)
            AND (%(status)s::text IS NULL OR t.status = %(status)s)
        ORDER BY t.id DESC LIMIT %(limit)s
        """,
        {"buyer": buyer_id, "before": before, "status": status, "limit": limit},
    )
    return [TaskView(*row) for row in await cursor.fetchall()]


async def select_status(conn: Connection, buyer_id: str, task_id: str) -> str | None:
    """The status of a buyer's own task."""
    cursor = await conn.execute(
        "SELECT status FROM tasks WHERE id = %s AND buyer_id = %s", (task_id, buyer_id)
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def count_ahead(conn: Connection, category: str, rank: int, task_id: str, most: int) -> int:
    """How many buyers' queued tasks of the category stand before this one, up to `most`."""
    cursor = await conn.execute(
        """
        SELECT count(*) FROM (
            SELECT FROM tasks WHERE status = 'queued' AND category = %s
                AND buyer_id IS NOT NULL AND (queue_rank, id) < (%s, %s) LIMIT %s) ahead
        """,
        (category, rank, task_id, most),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def end_queued(
    conn: Connection, buyer_id: str, task_id: str, status: str, now: datetime
) -> QueuedTask | None:
    """Take a buyer's task out of the queue; None if it is not queued (any more)."""
    cursor = await conn.execute(
        """
        UPDATE tasks SET status = %s, completed_at = %s
        WHERE id = %s AND buyer_id = %s AND status = 'queued'
        RETURNING id, buyer_id, price_cents, promo_cents, category, check_id
        """,
        (status, now, task_id, buyer_id),
    )
    row = await cursor.fetchone()
    return None if row is None else QueuedTask(*row)


async def expire_queued(conn: Connection, limit: int) -> list[QueuedTask]:
    """Expire tasks that nobody took in time by the database's clock."""
    cursor = await conn.execute(
        """
        UPDATE tasks SET status = 'expired', completed_at = now()
        WHERE id IN (
            SELECT id FROM tasks WHERE status = 'queued' AND expires_at <= now()
            ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)
        RETURNING id, buyer_id, price_cents, promo_cents, category, check_id
        """,
        (limit,),
    )
    return [QueuedTask(*row) for row in await cursor.fetchall()]


async def expire(conn: Connection, task_ids: Sequence[str]) -> list[QueuedTask]:
    """Expire tasks that are locked and queued, before their time."""
    cursor = await conn.execute(
        """
        UPDATE tasks SET status = 'expired', completed_at = now()
        WHERE id = ANY(%s::text[]) AND status = 'queued'
        RETURNING id, buyer_id, price_cents, promo_cents, category, check_id
        """,
        (text_array(task_ids),),
    )
    return [QueuedTask(*row) for row in await cursor.fetchall()]


async def set_rating(conn: Connection, buyer_id: str, task_id: str, rating: int | None) -> bool:
    """Rate a task that was done; False if there is none such."""
    cursor = await conn.execute(
        """
        UPDATE tasks SET rating = %s
        WHERE id = %s AND buyer_id = %s
            AND status IN ('completed', 'credited', 'credit_review') RETURNING id
        """,
        (rating, task_id, buyer_id),
    )
    return await cursor.fetchone() is not None
