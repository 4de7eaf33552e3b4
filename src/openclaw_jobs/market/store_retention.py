"""SQL of retention: what people wrote goes when its time is over, and the books stay."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array


async def erase_conversations(conn: Connection, before: datetime, limit: int) -> int:
    """Erase some conversations in which nothing was said since `before`; how many."""
    cursor = await conn.execute(
        """
        WITH old AS (
            SELECT id FROM conversations WHERE title <> '' AND updated_at < %(before)s
            ORDER BY updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ), links AS (
            DELETE FROM turn_tasks a USING turns u, old
            WHERE u.conversation_id = old.id AND a.turn_id = u.id
        )
        UPDATE conversations c SET title = '', deleted_at = coalesce(deleted_at, now())
        FROM old WHERE c.id = old.id RETURNING c.id
        """,
        {"before": before, "limit": limit},
    )
    erased = [row[0] for row in await cursor.fetchall()]
    # A statement of its own: the rows that point at them are gone only now.
    await conn.execute("DELETE FROM turns WHERE conversation_id = ANY(%s)", (erased,))
    await conn.execute("DELETE FROM drafts WHERE conversation_id = ANY(%s)", (erased,))
    return len(erased)


async def pick_old_texts(conn: Connection, before: datetime, under: str, limit: int) -> list[str]:
    """Some tasks with a text that were over before a moment, locked.

    What is under way, still compared, or part of a conversation that goes on, waits.

    Args:
        conn: A connection inside a transaction.
        before: Tasks that ended earlier.
        under: An id over those of all tasks that were made earlier.
        limit: At most this many.
    """
    cursor = await conn.execute(
        """
        SELECT t.id FROM task_inputs i JOIN tasks t ON t.id = i.task_id
        WHERE i.erased_at IS NULL AND i.task_id < %(under)s
            AND t.status NOT IN ('queued', 'claimed', 'credit_review')
            AND t.completed_at < %(before)s
            AND NOT EXISTS (SELECT FROM checks c WHERE c.original_task_id = t.id
                AND c.stage NOT IN ('decided', 'void'))
            AND NOT EXISTS (SELECT FROM checks c WHERE c.id = t.check_id
                AND c.stage NOT IN ('decided', 'void'))
            AND NOT EXISTS (SELECT FROM golds g JOIN checks c ON c.gold_id = g.id
                WHERE g.origin_task_id = t.id AND c.stage NOT IN ('decided', 'void'))
            AND NOT EXISTS (SELECT FROM turn_tasks a JOIN turns u ON u.id = a.turn_id
                JOIN conversations v ON v.id = u.conversation_id
                WHERE a.task_id = t.id AND v.updated_at >= %(before)s)
        ORDER BY i.task_id LIMIT %(limit)s FOR UPDATE OF i SKIP LOCKED
        """,
        {"before": before, "under": under, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def erase_texts(conn: Connection, task_ids: Sequence[str]) -> None:
    """Erase what was written in these tasks.

    With a task go the copies that checked it, the gold tasks minted of it, and the copies of
    those; all but what a worker has, or will have, at this moment.
    """
    if not task_ids:
        return
    await conn.execute(
        """
        WITH minted AS (
            SELECT g.id FROM golds g WHERE g.origin_task_id = ANY(%(tasks)s::text[])
        ), looked AS (
            SELECT c.id, c.copy_task_id, c.arbiter_task_id FROM checks c
            WHERE c.original_task_id = ANY(%(tasks)s::text[])
            UNION ALL
            SELECT c.id, c.copy_task_id, c.arbiter_task_id FROM checks c
            JOIN minted m ON c.gold_id = m.id
        ), touched AS (
            SELECT unnest(%(tasks)s::text[]) COLLATE "C" AS id
            UNION
            SELECT t.id FROM looked CROSS JOIN LATERAL (VALUES (copy_task_id), (arbiter_task_id))
                AS x (id) JOIN tasks t ON t.id = x.id WHERE t.status NOT IN ('queued', 'claimed')
        ), results AS (
            DELETE FROM task_results r USING touched WHERE r.task_id = touched.id
        ), reasons AS (
            UPDATE credits c SET reason = NULL FROM touched
            WHERE c.task_id = touched.id AND c.reason IS NOT NULL
        ), said AS (
            UPDATE attempts a SET error = NULL, usage = NULL FROM touched
            WHERE a.task_id = touched.id AND num_nonnulls(a.error, a.usage) > 0
        ), evidence AS (
            UPDATE checks c SET evidence = NULL FROM looked
            WHERE c.id = looked.id AND c.evidence IS NOT NULL
        ), gold AS (
            UPDATE golds g SET prompt = '', messages = NULL, answers = ARRAY[''],
                erased_at = now(), retired_at = coalesce(g.retired_at, now())
            FROM minted WHERE g.id = minted.id AND g.erased_at IS NULL
        )
        UPDATE task_inputs i
        SET prompt = NULL, messages = NULL, metadata = NULL, erased_at = now()
        FROM touched WHERE i.task_id = touched.id AND i.erased_at IS NULL
        """,
        {"tasks": text_array(task_ids)},
    )
