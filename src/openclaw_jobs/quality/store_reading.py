"""SQL of what an operator reads of checks."""

from typing import Any

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.quality.checks import CheckRow

_ROW = """
    SELECT c.id, c.kind, c.stage, c.category, c.price_cents, c.original_task_id, c.gold_id,
        c.copy_task_id, c.arbiter_task_id, c.first_worker_id, c.second_worker_id,
        c.third_worker_id, c.reserved_cents, c.spent_cents, c.first_verdict, c.second_verdict,
        c.agree, c.similarity, c.method, c.engine, c.why, c.evidence::text, c.reason,
        c.decided_by, c.due_at, c.created_at, c.decided_at, i.prompt, i.messages,
        f.result, s.result, t.result, g.answers
    FROM checks c
    LEFT JOIN task_inputs i ON i.task_id = coalesce(c.copy_task_id, c.original_task_id)
    LEFT JOIN task_results f ON f.task_id = c.original_task_id
    LEFT JOIN task_results s ON s.task_id = c.copy_task_id
    LEFT JOIN task_results t ON t.task_id = c.arbiter_task_id
    LEFT JOIN golds g ON g.id = c.gold_id
"""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Checks in figures.

    Attributes:
        open: How many are under way, by stage.
        decided_24h: How many verdicts of the last 24 hours there are.
        void_24h: How many of them were inconclusive, or could not be had.
        agree_24h: How many comparisons of the last 24 hours agreed.
        good_24h: Results found good in the last 24 hours.
        bad_24h: Results found bad.
        spent_24h_cents: What checks of the last 24 hours cost.
        reserved_cents: What they have set aside.
        refused_24h: How many there was no budget for.
        golds: How many gold tasks may be shown.
    """

    open: dict[str, int]
    decided_24h: int
    void_24h: int
    agree_24h: int
    good_24h: int
    bad_24h: int
    spent_24h_cents: int
    reserved_cents: int
    refused_24h: int
    golds: int


def _row(row: Any) -> CheckRow:  # noqa: ANN401 - a row of the driver
    return msgspec.convert(
        dict(zip(CheckRow.__struct_fields__, row, strict=True)), CheckRow, strict=False
    )


async def select_page(
    conn: Connection,
    before: str | None,
    limit: int,
    *,
    stage: str | None = None,
    kind: str | None = None,
    worker_id: str | None = None,
) -> list[CheckRow]:
    """Checks under `before`, newest first; of a worker those that judged a result of it."""
    cursor = await conn.execute(
        _ROW  # noqa: S608 - own text
        + """
        WHERE (%(before)s::text IS NULL OR c.id < %(before)s)
            AND (%(stage)s::text IS NULL OR c.stage = %(stage)s)
            AND (%(kind)s::text IS NULL OR c.kind = %(kind)s)
            AND (%(worker)s::text IS NULL OR c.id IN (
                SELECT check_id FROM outcomes WHERE worker_id = %(worker)s))
        ORDER BY c.id DESC LIMIT %(limit)s
        """,
        {"before": before, "stage": stage, "kind": kind, "worker": worker_id, "limit": limit},
    )
    return [_row(row) for row in await cursor.fetchall()]


async def select_one(conn: Connection, check_id: str) -> CheckRow | None:
    """One check."""
    cursor = await conn.execute(_ROW + " WHERE c.id = %s", (check_id,))
    row = await cursor.fetchone()
    return None if row is None else _row(row)


async def select_figures(conn: Connection) -> Figures:
    """How many checks there are, what they found and what they cost; reads those of 24 hours."""
    cursor = await conn.execute(
        """
        SELECT count(*) FILTER (WHERE stage = 'decided'),
            count(*) FILTER (WHERE stage = 'void' OR first_verdict = 'inconclusive'),
            count(*) FILTER (WHERE agree),
            coalesce(sum(spent_cents), 0)::bigint, coalesce(sum(reserved_cents), 0)::bigint,
            (SELECT count(*) FROM outcomes
                WHERE created_at > now() - interval '24 hours' AND NOT bad),
            (SELECT count(*) FROM outcomes WHERE created_at > now() - interval '24 hours' AND bad),
            (SELECT coalesce(sum(refused_checks), 0)::bigint FROM volume_hours
                WHERE hour > now() - interval '24 hours'),
            (SELECT count(*) FROM golds WHERE retired_at IS NULL)
        FROM checks WHERE created_at > now() - interval '24 hours'
        """
    )
    row: Any = await cursor.fetchone()
    stages = await conn.execute(
        "SELECT stage, count(*) FROM checks WHERE stage NOT IN ('decided', 'void')"
        " GROUP BY stage ORDER BY stage"
    )
    return Figures(
        open=dict(await stages.fetchall()),
        decided_24h=row[0],
        void_24h=row[1],
        agree_24h=row[2],
        spent_24h_cents=row[3],
        reserved_cents=row[4],
        good_24h=row[5],
        bad_24h=row[6],
        refused_24h=row[7],
        golds=row[8],
    )
