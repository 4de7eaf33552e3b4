"""SQL of what hidden tasks are made of: an original's text, or a gold task's."""

import msgspec

from openclaw_jobs.db import Connection

MAX_EXPOSURES = 5
"""A gold task that so many workers were shown retires, since they might talk of it."""


class Source(msgspec.Struct, frozen=True):
    """What is to be done again, by whom at the least, and how many were shown it.

    `lineage` is what all tasks with this text have in common; `waiting`: the original itself is
    still in the queue.
    """

    lineage: str
    prompt: str | None
    messages: str | None
    min_tier: int
    readers: int
    waiting: bool


async def select_source(
    conn: Connection, original_task_id: str | None, gold_id: str | None
) -> Source | None:
    """The text of a check's hidden task.

    None if there is none any more: it was erased, the gold task was retired by an operator, or
    the original ended without a result.
    """
    cursor = await conn.execute(
        """
        SELECT coalesce(t.lineage, t.id), i.prompt, i.messages, t.min_tier,
            (SELECT count(*) FROM lineage_readers r WHERE r.lineage = coalesce(t.lineage, t.id)),
            t.status = 'queued'
        FROM tasks t JOIN task_inputs i ON i.task_id = t.id
        WHERE t.id = %(original)s AND t.status NOT IN ('failed', 'cancelled', 'expired')
            AND num_nonnulls(i.prompt, i.messages) = 1
        UNION ALL SELECT id, prompt, messages, 0, 0, false FROM golds
        WHERE id = %(gold)s AND retired_at IS NULL
        """,
        {"original": original_task_id, "gold": gold_id},
    )
    row = await cursor.fetchone()
    return None if row is None else Source(*row)


async def add_exposure(conn: Connection, gold_id: str) -> None:
    """Count a gold task that is queued once more; after enough of them it retires."""
    await conn.execute(
        "UPDATE golds SET exposures = exposures + 1, retired_at = CASE"
        " WHEN exposures + 1 >= %s THEN coalesce(retired_at, now()) ELSE retired_at END"
        " WHERE id = %s",
        (MAX_EXPOSURES, gold_id),
    )
