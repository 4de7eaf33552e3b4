"""SQL of pairs of workers that were both wrong about one text."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.quality.pairs import Counts


class Wrong(msgspec.Struct, frozen=True):
    """A worker's wrong answer to a gold task."""

    task_id: str
    worker_id: str
    result: str


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two workers, in id order, and how often they were wrong together."""

    first_worker_id: str
    second_worker_id: str
    both_bad: int
    same_bad: int
    flagged_at: datetime | None
    first_standing: str
    second_standing: str


class SharedMistake(msgspec.Struct, frozen=True, kw_only=True):
    """A gold task that both workers of a pair answered wrongly; an erased text is None."""

    gold_id: str
    first_check_id: str
    second_check_id: str
    first_result: str | None
    second_result: str | None


async def lock_gold(conn: Connection, gold_id: str) -> None:
    """Let two wrong answers to one gold task be counted one after the other."""
    await conn.execute("SELECT FROM golds WHERE id = %s FOR UPDATE", (gold_id,))


async def select_wrong(conn: Connection, gold_id: str, but_of: str) -> list[Wrong]:
    """The wrong answers to a gold task that are still there, but that of one task."""
    cursor = await conn.execute(
        """
        SELECT o.task_id, o.worker_id, r.result FROM checks c
        JOIN outcomes o ON o.check_id = c.id AND o.task_id = c.copy_task_id
        JOIN task_results r ON r.task_id = o.task_id
        WHERE c.gold_id = %s AND o.bad AND o.task_id <> %s ORDER BY o.task_id
        """,
        (gold_id, but_of),
    )
    return [Wrong(*row) for row in await cursor.fetchall()]


async def add(conn: Connection, one: str, other: str, *, same: bool) -> tuple[Counts, Counts]:
    """Count a text that both were wrong about; what there is of the pair, and of all others."""
    first, second = sorted((one, other))
    cursor = await conn.execute(
        """
        WITH all_pairs AS (
            SELECT coalesce(sum(both_bad), 0)::bigint AS both_bad,
                coalesce(sum(same_bad), 0)::bigint AS same_bad
            FROM pair_agreements WHERE (first_worker_id, second_worker_id) <> (%(a)s, %(b)s)
        )
        INSERT INTO pair_agreements AS p (first_worker_id, second_worker_id, both_bad, same_bad)
        VALUES (%(a)s, %(b)s, 1, %(same)s)
        ON CONFLICT (first_worker_id, second_worker_id) DO UPDATE SET
            both_bad = p.both_bad + 1, same_bad = p.same_bad + excluded.same_bad
        RETURNING both_bad, same_bad, (SELECT both_bad FROM all_pairs),
            (SELECT same_bad FROM all_pairs)
        """,
        {"a": first, "b": second, "same": int(same)},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("a counted pair has a row")
    return Counts(row[0], row[1]), Counts(row[2], row[3])


async def flag(conn: Connection, one: str, other: str) -> None:
    """Show a pair to operators, from now on."""
    first, second = sorted((one, other))
    await conn.execute(
        "UPDATE pair_agreements SET flagged_at = coalesce(flagged_at, now())"
        " WHERE first_worker_id = %s AND second_worker_id = %s",
        (first, second),
    )


async def totals(conn: Connection) -> Counts:
    """What was counted of all pairs together."""
    cursor = await conn.execute(
        "SELECT coalesce(sum(both_bad), 0)::bigint, coalesce(sum(same_bad), 0)::bigint"
        " FROM pair_agreements"
    )
    row = await cursor.fetchone()
    return Counts(0, 0) if row is None else Counts(row[0], row[1])


async def select_pairs(
    conn: Connection, *, flagged: bool, before: Sequence[str] | None, limit: int
) -> list[Pair]:
    """Pairs that are flagged, or all that were ever wrong together, in the order of their ids."""
    cursor = await conn.execute(
        """
        SELECT p.first_worker_id, p.second_worker_id, p.both_bad, p.same_bad, p.flagged_at,
            a.standing, b.standing
        FROM pair_agreements p
        JOIN workers a ON a.id = p.first_worker_id JOIN workers b ON b.id = p.second_worker_id
        WHERE (p.flagged_at IS NOT NULL OR NOT %(flagged)s)
            AND (%(first)s::text IS NULL
                OR (p.first_worker_id, p.second_worker_id) < (%(first)s, %(second)s))
        ORDER BY p.first_worker_id DESC, p.second_worker_id DESC LIMIT %(limit)s
        """,
        {
            "flagged": flagged,
            "first": None if before is None else before[0],
            "second": None if before is None else before[1],
            "limit": limit,
        },
    )
    names = Pair.__struct_fields__
    return [Pair(**dict(zip(names, row, strict=True))) for row in await cursor.fetchall()]


async def select_shared(
    conn: Connection, first: str, second: str, limit: int
) -> list[SharedMistake]:
    """What both workers answered wrongly, by verdicts that still stand, the latest first."""
    cursor = await conn.execute(
        """
        SELECT c.gold_id, c.id, d.id, r.result, s.result
        FROM outcomes o JOIN checks c ON c.id = o.check_id AND c.copy_task_id = o.task_id
        JOIN checks d ON d.gold_id = c.gold_id AND d.id <> c.id
        JOIN outcomes p ON p.check_id = d.id AND p.task_id = d.copy_task_id
        LEFT JOIN task_results r ON r.task_id = o.task_id
        LEFT JOIN task_results s ON s.task_id = p.task_id
        WHERE o.worker_id = %s AND o.bad AND p.worker_id = %s AND p.bad
        ORDER BY c.id DESC LIMIT %s
        """,
        (first, second, limit),
    )
    names = SharedMistake.__struct_fields__
    return [SharedMistake(**dict(zip(names, row, strict=True))) for row in await cursor.fetchall()]
