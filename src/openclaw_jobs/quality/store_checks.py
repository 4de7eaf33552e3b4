"""SQL of checks: made, moved on, and looked at. Whoever locks tasks too locks those first."""

from collections.abc import Sequence
from typing import Final

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array
from openclaw_jobs.quality.checks import Check, Ended, NewCheck, Part
from openclaw_jobs.quality.record import Verdict

CHECK: Final = """c.id, c.kind, c.stage, c.category, c.price_cents, c.original_task_id, c.gold_id,
    c.copy_task_id, c.arbiter_task_id, c.first_worker_id, c.second_worker_id, c.third_worker_id,
    c.reserved_cents, c.spent_cents, c.first_verdict, c.second_verdict"""


def check_of(row: Sequence[object]) -> Check:
    """A row of the columns `CHECK`."""
    first, second = (None if v is None else Verdict(str(v)) for v in row[14:16])
    fields = dict(zip(Check.__struct_fields__[:14], row[:14], strict=True))
    return Check(**fields, first_verdict=first, second_verdict=second)  # type: ignore[arg-type]


_FRESH: Final = """
    fresh AS (
        SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[],
            %s::text[], %s::text[], %s::float8[], %s::bigint[])
            AS f (id, kind, category, price, original, gold, first_worker, delay, reserved)
    ), read AS (
        INSERT INTO lineage_readers (lineage, worker_id)
        SELECT coalesce(t.lineage, t.id), a.worker_id FROM fresh f
        JOIN tasks t ON t.id = f.original COLLATE "C"
        JOIN attempts a ON a.task_id = t.id
        UNION SELECT coalesce(t.lineage, t.id), f.first_worker FROM fresh f
        JOIN tasks t ON t.id = f.original COLLATE "C" WHERE f.first_worker IS NOT NULL
        ON CONFLICT DO NOTHING
    )"""
_INSERT: Final = """
    INSERT INTO checks (id, kind, stage, category, price_cents, original_task_id, gold_id,
        first_worker_id, due_at, reserved_cents)
    SELECT id, kind, 'due', category, price, original, gold, first_worker,
        now() + make_interval(secs => delay), reserved
    FROM fresh"""


async def insert_checks(conn: Connection, checks: Sequence[NewCheck]) -> None:
    """Insert checks whose hidden task is queued later.

    Who has been shown an original is noted in the same statement: nobody of them does the copy.
    """
    await conn.execute(f"WITH {_FRESH} {_INSERT}", _values(checks))


def _values(checks: Sequence[NewCheck]) -> tuple[str, ...]:
    return (
        text_array([c.check_id for c in checks]),
        text_array([c.kind for c in checks]),
        text_array([c.category for c in checks]),
        int_array([c.price_cents for c in checks]),
        text_array([c.original_task_id for c in checks]),
        text_array([c.gold_id for c in checks]),
        text_array([c.first_worker_id for c in checks]),
        "{" + ",".join(str(c.delay_seconds) for c in checks) + "}",
        int_array([c.reserved_cents for c in checks]),
    )


async def note_results(
    conn: Connection, parts: Sequence[Part], fresh: Sequence[NewCheck], delay_seconds: float
) -> None:
    """Note who did which part, move checks on that have all they need, and insert `fresh` ones.

    One statement, and the same for results that have nothing to do with checks: they take the time
    that others take. One row a check, even where several of its parts come in one batch. A gold
    task's result is judged at a random time, as late as one that is done again twice: at once, and
    it would be plain that no third was asked.
    """
    await conn.execute(
        f"""
        WITH {_FRESH}, drawn AS ({_INSERT}), done AS (
            SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])
                AS d (check_id, task_id, worker_id)
        ), locked AS (
            SELECT c.id, c.original_task_id, c.copy_task_id, c.arbiter_task_id FROM checks c
            WHERE c.id = ANY(ARRAY(SELECT check_id FROM done)) ORDER BY c.id FOR UPDATE
        ), roles AS (
            SELECT l.id,
                max(d.worker_id) FILTER (WHERE d.task_id = l.original_task_id) AS first,
                max(d.worker_id) FILTER (WHERE d.task_id = l.copy_task_id) AS second,
                max(d.worker_id) FILTER (WHERE d.task_id = l.arbiter_task_id) AS third
            FROM locked l JOIN done d ON d.check_id = l.id GROUP BY l.id
        )
        UPDATE checks c SET
            first_worker_id = coalesce(c.first_worker_id, r.first),
            second_worker_id = coalesce(c.second_worker_id, r.second),
            third_worker_id = coalesce(c.third_worker_id, r.third),
            stage = CASE
                WHEN c.stage = 'copying' AND coalesce(c.second_worker_id, r.second) IS NOT NULL
                    AND (c.kind = 'gold' OR coalesce(c.first_worker_id, r.first) IS NOT NULL)
                THEN 'comparing'
                WHEN c.stage = 'arbitrating' AND r.third IS NOT NULL THEN 'deciding'
                ELSE c.stage END,
            due_at = CASE WHEN c.kind = 'gold'
                THEN now() + (random() + random()) * make_interval(secs => %s) ELSE c.due_at END
        FROM roles r WHERE c.id = r.id
        """,  # noqa: S608 - own parts
        (
            *_values(fresh),
            text_array([p.check_id for p in parts]),
            text_array([p.task_id for p in parts]),
            text_array([p.worker_id for p in parts]),
            delay_seconds,
        ),
    )


async def end_parts(conn: Connection, ended: Sequence[Ended]) -> None:
    """End checks that lost one of their tasks: nobody is blamed, and the reserve returns.

    What a hidden task cost and got back is no expense any more, be its check over or not. A gold
    task that nobody did was shown to nobody who answered, and may be shown again.
    """
    await conn.execute(
        """
        WITH lost AS (
            SELECT check_id, sum(cents)::bigint AS cents, max(reason) AS reason
            FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS l (check_id, cents, reason)
            GROUP BY check_id
        ), locked AS (
            SELECT c.id, c.stage, c.gold_id FROM checks c
            WHERE c.id = ANY(ARRAY(SELECT check_id FROM lost)) ORDER BY c.id FOR UPDATE
        ), golden AS (
            SELECT g.id FROM golds g WHERE g.id = ANY(ARRAY(
                SELECT gold_id FROM locked WHERE stage NOT IN ('decided', 'void')))
            ORDER BY g.id FOR UPDATE
        ), unseen AS (
            UPDATE golds g SET exposures = greatest(0, g.exposures - 1)
            FROM golden WHERE g.id = golden.id
        )
        UPDATE checks c SET
            spent_cents = c.spent_cents - l.cents,
            reserved_cents = 0,
            stage = CASE WHEN c.stage IN ('decided', 'void') THEN c.stage ELSE 'void' END,
            reason = CASE WHEN c.stage IN ('decided', 'void') THEN c.reason ELSE l.reason END,
            decided_at = coalesce(c.decided_at, now())
        FROM lost l JOIN locked k ON k.id = l.check_id WHERE c.id = k.id
        """,
        (
            text_array([e.check_id for e in ended]),
            int_array([e.refunded_cents for e in ended]),
            text_array([e.reason for e in ended]),
        ),
    )


async def set_void(conn: Connection, check_id: str, reason: str) -> None:
    """End a check that is locked, with nobody blamed; its reserve returns."""
    await conn.execute(
        "UPDATE checks SET stage = 'void', reason = %s, reserved_cents = 0, decided_at = now()"
        " WHERE id = %s AND stage NOT IN ('decided', 'void')",
        (reason, check_id),
    )


async def lock_leftovers(conn: Connection, limit: int) -> list[str]:
    """Hidden tasks that wait although their check is over; those locked by others are left."""
    cursor = await conn.execute(
        """
        SELECT t.id FROM tasks t JOIN checks c ON c.id = t.check_id
        WHERE t.buyer_id IS NULL AND t.status = 'queued' AND c.stage IN ('decided', 'void')
        ORDER BY t.check_id LIMIT %s FOR UPDATE OF t SKIP LOCKED
        """,
        (limit,),
    )
    return sorted(row[0] for row in await cursor.fetchall())


async def expire_crowded(
    conn: Connection, task_ids: Sequence[str], most: int, linger_seconds: float
) -> None:
    """Let queued copies end soon, at a random time, whose text `most` workers were shown.

    Nobody may have them any more; see `dispatch.store.claims`.
    """
    await conn.execute(
        """
        UPDATE tasks t SET
            expires_at = least(t.expires_at, now() + random() * make_interval(secs => %s))
        FROM checks c
        WHERE t.id = ANY(%s::text[]) AND t.buyer_id IS NULL AND t.status = 'queued'
            AND c.id = t.check_id AND c.gold_id IS NULL
            AND (SELECT count(*) FROM lineage_readers r WHERE r.lineage = t.lineage) >= %s
        """,
        (linger_seconds, text_array(task_ids), most),
    )


async def decided_of_task(conn: Connection, task_id: str) -> tuple[Verdict | None, bool]:
    """What is known of an original: its verdict, and whether a check of it is under way."""
    cursor = await conn.execute(
        """
        SELECT (SELECT CASE WHEN bad THEN 'bad' ELSE 'good' END FROM outcomes
                WHERE task_id = %(task)s),
            EXISTS (SELECT FROM checks WHERE original_task_id = %(task)s
                AND stage NOT IN ('decided', 'void'))
        """,
        {"task": task_id},
    )
    row = await cursor.fetchone()
    if row is None:
        return None, False
    return (None if row[0] is None else Verdict(row[0])), bool(row[1])
