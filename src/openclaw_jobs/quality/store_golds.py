"""SQL of gold tasks."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.quality.store_hidden import MAX_EXPOSURES
from openclaw_jobs.workers.models import TIERS


class Gold(msgspec.Struct, frozen=True, kw_only=True):
    """A gold task; `messages` is JSON text."""

    gold_id: str
    category: str
    prompt: str | None
    messages: str | None
    answers: list[str]
    buyer_id: str | None
    origin_task_id: str | None
    created_by: str
    exposures: int
    created_at: datetime
    retired_at: datetime | None


class GoldChoice(msgspec.Struct, frozen=True):
    """A gold task that may be slipped in, and how many characters its text has.

    They are counted as `tasks.rules.input_chars` does: its price must be that of a paid one.
    """

    gold_id: str
    category: str
    chars: int


_GOLD = """id, category, prompt, messages, answers, buyer_id, origin_task_id, created_by,
    exposures, created_at, retired_at"""


def _gold(row: Sequence[object]) -> Gold:
    return Gold(**dict(zip(Gold.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]


async def insert_gold(
    conn: Connection,
    gold_id: str,
    category: str,
    prompt: str | None,
    messages: str | None,
    answers: Sequence[str],
    created_by: str,
) -> Gold:
    """Insert a gold task that an operator wrote."""
    cursor = await conn.execute(
        "INSERT INTO golds (id, category, prompt, messages, answers, created_by)"  # noqa: S608 - own columns
        f" VALUES (%s, %s, %s, %s, %s, %s) RETURNING {_GOLD}",
        (gold_id, category, prompt, messages, list(answers), created_by),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an INSERT that returned has a row")
    return _gold(row)


async def mint(
    conn: Connection, gold_id: str, original: str, good_task: str, arbiter_task: str
) -> None:
    """Make a gold task of an arbitrated one, if its buyer shares its texts; once for each task.

    Whoever was shown the text never gets it again, nor does who is of a lower tier than its buyer
    asked for. The buyer is held: who takes the texts back at
    this moment does so before, and there is no gold task, or after, and erases it.
    """
    await conn.execute(
        """
        WITH sharing AS (
            SELECT b.id FROM buyers b JOIN users u ON u.id = b.user_id
            WHERE b.id = (SELECT buyer_id FROM tasks WHERE id = %(original)s)
                AND b.shares_texts AND u.deleted_at IS NULL
            FOR SHARE OF b
        ), minted AS (
            INSERT INTO golds (id, category, prompt, messages, answers, buyer_id, origin_task_id,
                min_tier, created_by)
            SELECT %(gold)s, t.category, i.prompt, i.messages,
                array_agg(DISTINCT r.result), t.buyer_id, t.id, t.min_tier, 'checks'
            FROM tasks t
            JOIN sharing b ON b.id = t.buyer_id
            JOIN task_inputs i ON i.task_id = t.id AND num_nonnulls(i.prompt, i.messages) = 1
            JOIN task_results r ON r.task_id IN (%(good)s, %(arbiter)s)
            WHERE t.id = %(original)s
            GROUP BY t.id, i.prompt, i.messages
            ON CONFLICT (origin_task_id) DO NOTHING RETURNING id
        )
        INSERT INTO lineage_readers (lineage, worker_id)
        SELECT m.id, r.worker_id FROM minted m, tasks t
        JOIN lineage_readers r ON r.lineage = coalesce(t.lineage, t.id)
        WHERE t.id = %(original)s
        ON CONFLICT DO NOTHING
        """,
        {"gold": gold_id, "original": original, "good": good_task, "arbiter": arbiter_task},
    )


async def select_page(
    conn: Connection, before: str | None, limit: int, *, live: bool | None
) -> list[Gold]:
    """Gold tasks under `before`, newest first."""
    cursor = await conn.execute(
        f"""
        SELECT {_GOLD} FROM golds
        WHERE (%(before)s::text IS NULL OR id < %(before)s)
            AND (%(live)s::bool IS NULL OR (retired_at IS NULL) = %(live)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - own columns
        {"before": before, "live": live, "limit": limit},
    )
    return [_gold(row) for row in await cursor.fetchall()]


async def retire(conn: Connection, gold_id: str) -> bool:
    """Show a gold task to nobody any more; False if there is none of this id."""
    cursor = await conn.execute(
        "UPDATE golds SET retired_at = coalesce(retired_at, now()) WHERE id = %s", (gold_id,)
    )
    return cursor.rowcount == 1


async def choose(conn: Connection, limit: int) -> list[GoldChoice]:
    """Live gold tasks in random order that somebody active may have and has not been shown.

    One that is waiting for a worker already is left out: two of one text would stand in the queue.
    """
    cursor = await conn.execute(
        """
        SELECT g.id, g.category, coalesce(length(g.prompt),
            (SELECT sum(length(m ->> 'content')) FROM json_array_elements(g.messages::json) m), 0)
        FROM golds g
        WHERE g.retired_at IS NULL AND g.exposures < %s
            AND NOT EXISTS (SELECT FROM checks c WHERE c.gold_id = g.id
                AND c.stage IN ('due', 'copying'))
            AND EXISTS (SELECT FROM workers w WHERE w.standing = 'active'
                AND array_position(%s::text[], w.tier) > g.min_tier
                AND NOT EXISTS (SELECT FROM lineage_readers r
                    WHERE r.lineage = g.id AND r.worker_id = w.id))
        ORDER BY random() LIMIT %s
        """,
        (MAX_EXPOSURES, list(TIERS), limit),
    )
    return [GoldChoice(*row) for row in await cursor.fetchall()]
