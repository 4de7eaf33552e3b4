"""SQL of checks that are judged, many in a statement. Whoever locks tasks too locks those first."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array
from openclaw_jobs.quality.checks import Check, Step, Texts, stage_of
from openclaw_jobs.quality.record import Verdict
from openclaw_jobs.quality.store_checks import CHECK, check_of

_READY: Final = """
    SELECT c.id, c.kind, c.stage, c.category, f.result, s.result, t.result,
        CASE WHEN g.erased_at IS NULL THEN g.answers END, c.gold_id
    FROM (
        SELECT * FROM checks WHERE stage IN ('comparing', 'deciding')
            AND (kind <> 'gold' OR due_at <= now())
        ORDER BY id LIMIT %s
    ) c
    LEFT JOIN task_results f ON f.task_id = c.original_task_id
    LEFT JOIN task_results s ON s.task_id = c.copy_task_id
    LEFT JOIN task_results t ON t.task_id = c.arbiter_task_id
    LEFT JOIN golds g ON g.id = c.gold_id
    ORDER BY c.id
"""


async def select_ready(conn: Connection, limit: int) -> list[Texts]:
    """What can be compared now, oldest check first."""
    cursor = await conn.execute(_READY, (limit,))
    return [
        Texts(**dict(zip(Texts.__struct_fields__, row, strict=True)))
        for row in await cursor.fetchall()
    ]


async def lock_tasks(conn: Connection, check_ids: Sequence[str], *, hidden: bool) -> None:
    """Lock the originals of checks in id order; with `hidden` their copies and arbiters as well."""
    await conn.execute(
        """
        SELECT FROM tasks WHERE id = ANY(ARRAY(
            SELECT unnest(CASE WHEN %s THEN ARRAY[original_task_id, copy_task_id, arbiter_task_id]
                ELSE ARRAY[original_task_id] END)
            FROM checks WHERE id = ANY(%s::text[])))
        ORDER BY id FOR UPDATE
        """,
        (hidden, text_array(check_ids)),
    )


async def lock_checks(conn: Connection, check_ids: Sequence[str]) -> list[Check]:
    """Checks in id order, locked; the tasks that the caller needs are locked before."""
    cursor = await conn.execute(
        f"SELECT {CHECK} FROM checks c WHERE c.id = ANY(%s::text[])"  # noqa: S608 - own columns
        " ORDER BY c.id FOR UPDATE",
        (text_array(check_ids),),
    )
    return [check_of(row) for row in await cursor.fetchall()]


async def select_kin(
    conn: Connection, pairs: Collection[tuple[str, str]], *, by_network: bool
) -> set[tuple[str, str]]:
    """Those of these pairs of workers that share a mark."""
    cursor = await conn.execute(
        """
        SELECT p.one, p.other FROM unnest(%s::text[], %s::text[]) AS p (one, other)
        WHERE EXISTS (
            SELECT FROM worker_marks a JOIN worker_marks b ON b.mark = a.mark
            WHERE a.worker_id = p.one COLLATE "C" AND b.worker_id = p.other COLLATE "C"
                AND (%s OR a.kind <> 'network'))
        """,
        (text_array([one for one, _ in pairs]), text_array([two for _, two in pairs]), by_network),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def move_on(conn: Connection, steps: Sequence[Step]) -> None:
    """Write what becomes of locked checks that stand where their texts could be compared.

    What is over has nothing reserved any more; for what a third has to decide, that one is queued
    later. What comparing found is kept in either case.
    """
    found = [step.finding for step in steps]
    await conn.execute(
        """
        UPDATE checks c SET
            stage = m.stage, first_verdict = m.first, second_verdict = m.second,
            reason = coalesce(m.reason, c.reason), decided_by = m.decided_by,
            decided_at = CASE WHEN m.delay IS NULL THEN coalesce(c.decided_at, now()) END,
            reserved_cents = CASE WHEN m.delay IS NULL THEN 0 ELSE c.reserved_cents END,
            due_at = CASE WHEN m.delay IS NULL THEN c.due_at
                ELSE now() + make_interval(secs => m.delay) END,
            agree = coalesce(m.agree, c.agree), similarity = coalesce(m.similarity, c.similarity),
            method = coalesce(m.method, c.method), engine = coalesce(m.engine, c.engine),
            why = coalesce(m.why, c.why), evidence = coalesce(m.evidence::jsonb, c.evidence)
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::float8[], %s::bool[], %s::float8[], %s::text[], %s::text[], %s::text[], %s::text[])
            AS m (id, stage, first, second, reason, decided_by, delay, agree, similarity, method,
                engine, why, evidence)
        WHERE c.id = m.id COLLATE "C"
        """,
        (
            text_array([s.check_id for s in steps]),
            text_array([s.stage for s in steps]),
            text_array([s.first for s in steps]),
            text_array([s.second for s in steps]),
            text_array([s.reason for s in steps]),
            text_array([s.decided_by for s in steps]),
            text_array([None if (d := s.delay_seconds) is None else repr(d) for s in steps]),
            text_array([None if f is None else str(f.agree) for f in found]),
            text_array([None if f is None else repr(f.similarity) for f in found]),
            text_array([None if f is None else f.method for f in found]),
            text_array([None if f is None else f.engine for f in found]),
            text_array([None if f is None else f.why for f in found]),
            text_array(
                [None if f is None else msgspec.json.encode(f.evidence).decode() for f in found]
            ),
        ),
    )


async def decide(
    conn: Connection,
    check_id: str,
    first: Verdict | None,
    second: Verdict | None,
    reason: str,
    decided_by: str,
) -> None:
    """Write a check's verdicts; without any it is void. What it has still reserved returns."""
    await conn.execute(
        "UPDATE checks SET stage = %s, first_verdict = %s, second_verdict = %s, reason = %s,"
        " decided_by = %s, decided_at = coalesce(decided_at, now()), reserved_cents = 0"
        " WHERE id = %s",
        (stage_of(first, second), first, second, reason, decided_by, check_id),
    )
