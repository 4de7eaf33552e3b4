"""SQL of credits: a buyer asks for a task's price back."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array
from openclaw_jobs.tasks.models import Credit, CreditableTask

# Advisory locks of two keys: this one is the credits', the other is of the buyer's id.
_CREDIT_LOCK_SPACE = 0x63726564  # "cred"


async def lock_task(conn: Connection, task_id: str, buyer_id: str | None) -> CreditableTask | None:
    """A task for a decision on its price; of this buyer only, if one is given."""
    cursor = await conn.execute(
        """
        SELECT id, buyer_id, worker_id, status, price_cents, promo_cents, completed_at, now(),
            category, min_tier
        FROM tasks WHERE id = %(task)s AND (%(buyer)s::text IS NULL OR buyer_id = %(buyer)s)
        FOR UPDATE
        """,
        {"task": task_id, "buyer": buyer_id},
    )
    row = await cursor.fetchone()
    return None if row is None else CreditableTask(*row)


async def wait_for_credits(conn: Connection, buyer_id: str) -> None:
    """Let one transaction at a time decide on credits of this buyer; held until it ends.

    Only after this may they be counted: those that others are just asking for would be missing.
    """
    await conn.execute(
        "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_CREDIT_LOCK_SPACE, buyer_id)
    )


async def count_credits(conn: Connection, buyer_id: str) -> tuple[int, int]:
    """How many of a buyer's tasks were completed, and for how many it asked a credit."""
    cursor = await conn.execute(
        """
        SELECT (SELECT count(*) FROM tasks WHERE buyer_id = %(buyer)s
                AND status IN ('completed', 'credited', 'credit_review')),
            (SELECT count(*) FROM credits WHERE buyer_id = %(buyer)s)
        """,
        {"buyer": buyer_id},
    )
    row = await cursor.fetchone()
    return (0, 0) if row is None else (row[0], row[1])


async def select_credit(conn: Connection, task_id: str) -> Credit | None:
    """What was asked for a task."""
    cursor = await conn.execute(
        """
        SELECT task_id, buyer_id, worker_id, amount_cents, reason, status, requested_at,
            decided_at, decided_by
        FROM credits WHERE task_id = %s
        """,
        (task_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else Credit(*row)


async def select_in_review(conn: Connection, task_ids: Sequence[str]) -> set[str]:
    """Those of these tasks whose credit waits to be decided."""
    cursor = await conn.execute(
        "SELECT task_id FROM credits WHERE task_id = ANY(%s::text[]) AND status = 'review'",
        (text_array(task_ids),),
    )
    return {row[0] for row in await cursor.fetchall()}


async def select_waiting(conn: Connection, limit: int) -> list[Credit]:
    """What waits for an operator, oldest first."""
    cursor = await conn.execute(
        """
        SELECT task_id, buyer_id, worker_id, amount_cents, reason, status, requested_at,
            decided_at, decided_by
        FROM credits WHERE status = 'review' ORDER BY requested_at LIMIT %s
        """,
        (limit,),
    )
    return [Credit(*row) for row in await cursor.fetchall()]


async def insert_credit(conn: Connection, credit: Credit) -> None:
    """Keep what a buyer asks for, decided or not."""
    await conn.execute(
        """
        INSERT INTO credits (task_id, buyer_id, worker_id, amount_cents, reason, status,
            requested_at, decided_at, decided_by)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        tuple(getattr(credit, field) for field in credit.__struct_fields__),
    )


async def decide_credit(
    conn: Connection, task_id: str, status: str, decided_by: str, at: datetime
) -> None:
    """Write down what an operator decided."""
    await conn.execute(
        "UPDATE credits SET status = %s, decided_by = %s, decided_at = %s"
        " WHERE task_id = %s AND status = 'review'",
        (status, decided_by, at, task_id),
    )


async def set_status(conn: Connection, task_id: str, status: str, credited_cents: int) -> None:
    """Move a task that is locked between completed, in review and credited."""
    await conn.execute(
        "UPDATE tasks SET status = %s, credited_cents = %s WHERE id = %s",
        (status, credited_cents, task_id),
    )
