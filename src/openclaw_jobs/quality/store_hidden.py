"""SQL of what hidden tasks are made of: an original's text, or a gold task's."""

from collections.abc import Sequence

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array

MAX_EXPOSURES = 5
"""A gold task that so many workers were shown retires, since they might talk of it."""


class Source(msgspec.Struct, frozen=True):
    """What is to be done again, by whom at the least, and how many were shown it.

    `lineage` is what all tasks with this text have in common; `waiting`: it cannot be queued yet,
    as the original itself is still in the queue, or the gold task is held by somebody else.
    """

    lineage: str
    prompt: str | None
    messages: str | None
    min_tier: int
    readers: int
    waiting: bool


async def lock_sources(conn: Connection, check_ids: Sequence[str]) -> dict[str, Source]:
    """The texts of the hidden tasks of locked checks; gold tasks are locked too, or `waiting`.

    A check is left out that has none any more: it was erased, the gold task was retired by an
    operator, or the original ended without a result. A text is held too, so that who erases it
    finds the task that is made of it; one that is being erased at this moment is gone.
    """
    cursor = await conn.execute(
        """
        WITH held AS (
            SELECT g.id, g.retired_at FROM golds g
            WHERE g.id = ANY(ARRAY(SELECT gold_id FROM checks
                    WHERE id = ANY(%(checks)s::text[])))
            ORDER BY g.id FOR UPDATE SKIP LOCKED
        ), texts AS (
            SELECT i.task_id, i.prompt, i.messages FROM task_inputs i
            WHERE i.task_id = ANY(ARRAY(SELECT original_task_id FROM checks
                    WHERE id = ANY(%(checks)s::text[])))
                AND num_nonnulls(i.prompt, i.messages) = 1
            FOR SHARE SKIP LOCKED
        )
        SELECT c.id, coalesce(t.lineage, t.id), i.prompt, i.messages, t.min_tier,
            (SELECT count(*) FROM lineage_readers r WHERE r.lineage = coalesce(t.lineage, t.id)),
            t.status = 'queued'
        FROM checks c JOIN tasks t ON t.id = c.original_task_id
        JOIN texts i ON i.task_id = t.id
        WHERE c.id = ANY(%(checks)s::text[])
            AND t.status NOT IN ('failed', 'cancelled', 'expired')
        UNION ALL
        SELECT c.id, g.id, g.prompt, g.messages, g.min_tier, 0, h.id IS NULL
        FROM checks c JOIN golds g ON g.id = c.gold_id LEFT JOIN held h ON h.id = g.id
        WHERE c.id = ANY(%(checks)s::text[]) AND g.retired_at IS NULL AND h.retired_at IS NULL
        """,
        {"checks": text_array(check_ids)},
    )
    return {row[0]: Source(*row[1:]) for row in await cursor.fetchall()}
