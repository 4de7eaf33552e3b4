"""SQL of standing: who is to be stopped and why, appeals, and reviews of tiers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array
from openclaw_jobs.quality.record import CheckState, Record
from openclaw_jobs.quality.standing import (
    Appeal,
    BadResult,
    Review,
    Reviewed,
    Suspension,
    SuspensionCause,
    state_of,
)

_SUSPENSION: Final = """id, worker_id, cause, task_ids, completed, started_at, ended_at, appeal,
    appealed_at, answer, upheld, decided_by, decided_at"""


async def select_suspects(conn: Connection, limit_nats: float, most: int) -> list[str]:
    """Workers against whom the evidence is overwhelming, and who still may work."""
    cursor = await conn.execute(
        """
        SELECT r.worker_id FROM worker_records r JOIN workers w ON w.id = r.worker_id
        WHERE r.suspicion > 6.9 AND r.suspicion >= %s AND w.standing <> 'banned'
            AND NOT EXISTS (SELECT FROM suspensions s
                WHERE s.worker_id = r.worker_id AND s.ended_at IS NULL)
        ORDER BY r.worker_id LIMIT %s
        """,
        (limit_nats, most),
    )
    return [row[0] for row in await cursor.fetchall()]


async def insert_suspension(
    conn: Connection, suspension_id: str, worker_id: str, cause: SuspensionCause, most: int
) -> bool:
    """Note why a worker is stopped, with its latest bad results; False if it is stopped already."""
    cursor = await conn.execute(
        """
        INSERT INTO suspensions (id, worker_id, cause, task_ids, completed)
        SELECT %(id)s, %(worker)s, %(cause)s, ARRAY(
                SELECT o.task_id FROM outcomes o WHERE o.worker_id = %(worker)s AND o.bad
                ORDER BY o.created_at DESC, o.task_id DESC LIMIT %(most)s),
            s.completed
        FROM worker_stats s WHERE s.worker_id = %(worker)s
        ON CONFLICT (worker_id) WHERE ended_at IS NULL DO NOTHING
        """,
        {"id": suspension_id, "worker": worker_id, "cause": cause, "most": most},
    )
    return cursor.rowcount == 1


async def end_suspension(conn: Connection, worker_id: str) -> bool:
    """A worker may work again; False if it was not stopped."""
    cursor = await conn.execute(
        "UPDATE suspensions SET ended_at = now() WHERE worker_id = %s AND ended_at IS NULL",
        (worker_id,),
    )
    return cursor.rowcount == 1


async def select_suspension(conn: Connection, worker_id: str) -> Suspension | None:
    """Why a worker is stopped now."""
    cursor = await conn.execute(
        f"SELECT {_SUSPENSION} FROM suspensions"  # noqa: S608 - own columns
        " WHERE worker_id = %s AND ended_at IS NULL",
        (worker_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else Suspension(*row)


async def lock_suspension(conn: Connection, suspension_id: str) -> Suspension | None:
    """A suspension, locked."""
    cursor = await conn.execute(
        f"SELECT {_SUSPENSION} FROM suspensions WHERE id = %s FOR UPDATE",  # noqa: S608 - own columns
        (suspension_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else Suspension(*row)


async def select_results(
    conn: Connection, worker_id: str, task_ids: Sequence[str]
) -> list[BadResult]:
    """What a worker answered to these tasks of its own; a text that was erased is None."""
    cursor = await conn.execute(
        """
        SELECT t.id, t.category, t.completed_at, r.result
        FROM unnest(%s::text[]) WITH ORDINALITY AS want (id, place)
        JOIN tasks t ON t.id = want.id COLLATE "C" AND t.worker_id = %s
        LEFT JOIN task_results r ON r.task_id = t.id
        ORDER BY want.place
        """,
        (text_array(task_ids), worker_id),
    )
    return [BadResult(*row) for row in await cursor.fetchall()]


async def set_appeal(conn: Connection, worker_id: str, text: str) -> bool:
    """Keep what a stopped worker says to it; False if it said something before, or isn't."""
    cursor = await conn.execute(
        "UPDATE suspensions SET appeal = %s, appealed_at = now()"
        " WHERE worker_id = %s AND ended_at IS NULL AND appealed_at IS NULL",
        (text, worker_id),
    )
    return cursor.rowcount == 1


async def decide_appeal(
    conn: Connection, suspension_id: str, *, upheld: bool, answer: str, decided_by: str
) -> None:
    """Keep an operator's answer."""
    await conn.execute(
        "UPDATE suspensions SET upheld = %s, answer = %s, decided_by = %s, decided_at = now()"
        " WHERE id = %s",
        (upheld, answer, decided_by, suspension_id),
    )


async def select_appeals(
    conn: Connection, *, waiting: bool, before: str | None, limit: int
) -> list[Appeal]:
    """Appeals: those that wait, oldest first; or the decided ones under `before`, newest first."""
    columns = ", ".join(f"s.{name.strip()}" for name in _SUSPENSION.split(","))
    cursor = await conn.execute(
        f"""
        SELECT {columns}, w.name, w.tier, coalesce(r.good, 0), coalesce(r.bad, 0)
        FROM suspensions s JOIN workers w ON w.id = s.worker_id
        LEFT JOIN worker_records r ON r.worker_id = s.worker_id
        WHERE s.appealed_at IS NOT NULL AND (s.decided_at IS NULL) = %(waiting)s
            AND (%(before)s::text IS NULL OR s.id < %(before)s)
        ORDER BY CASE WHEN %(waiting)s THEN s.appealed_at END, s.id DESC LIMIT %(limit)s
        """,  # noqa: S608 - own columns
        {"waiting": waiting, "before": before, "limit": limit},
    )
    count = len(Suspension.__struct_fields__)
    return [Appeal(Suspension(*row[:count]), *row[count:]) for row in await cursor.fetchall()]


async def lock_due_reviews(conn: Connection, limit: int) -> list[Review]:
    """Workers whose tier is to be looked at, locked; those that others look at are left out."""
    cursor = await conn.execute(
        """
        SELECT w.id, w.tier, s.completed, s.failed, s.expired, s.credited,
            coalesce(r.good, 0), coalesce(r.bad, 0),
            CASE WHEN w.shown_quality_until > now() THEN w.shown_quality END,
            s.today >= (now() AT TIME ZONE 'UTC')::date - 1
        FROM workers w JOIN worker_stats s ON s.worker_id = w.id
        LEFT JOIN worker_records r ON r.worker_id = w.id
        WHERE w.tier_review_at <= now()
        ORDER BY w.tier_review_at LIMIT %s FOR NO KEY UPDATE OF w SKIP LOCKED
        """,
        (limit,),
    )
    return [Review(*row) for row in await cursor.fetchall()]


async def write_reviews(conn: Connection, reviews: Sequence[Reviewed]) -> None:
    """Write tiers, the quality they go by, and when each is looked at again."""
    await conn.execute(
        """
        UPDATE workers w SET tier = d.tier,
            tier_review_at = now() + make_interval(secs => d.next_seconds),
            shown_quality = d.quality,
            shown_quality_until = CASE WHEN d.quality IS NULL THEN NULL
                WHEN d.fresh_seconds > 0 THEN now() + make_interval(secs => d.fresh_seconds)
                ELSE w.shown_quality_until END
        FROM unnest(%s::text[], %s::text[], %s::float8[], %s::float8[], %s::float8[])
            AS d (id, tier, quality, next_seconds, fresh_seconds)
        WHERE w.id = d.id COLLATE "C"
        """,
        (
            text_array([r.worker_id for r in reviews]),
            text_array([r.tier for r in reviews]),
            [r.quality for r in reviews],
            [r.next_seconds for r in reviews],
            [r.fresh_seconds for r in reviews],
        ),
    )


async def shown_quality(conn: Connection, worker_id: str) -> float | None:
    """The quality that a worker's tier goes by; None while it has none to show."""
    cursor = await conn.execute("SELECT shown_quality FROM workers WHERE id = %s", (worker_id,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def select_days(
    conn: Connection, since: datetime, until: datetime
) -> tuple[int, int, int, int]:
    """Of that time: results of buyers' tasks, those checked, comparisons, and those that agreed."""
    cursor = await conn.execute(
        """
        SELECT (SELECT coalesce(sum(paid_claims), 0)::bigint FROM volume_hours
                WHERE hour >= %(since)s AND hour < %(until)s),
            count(DISTINCT original_task_id) FILTER (WHERE stage = 'decided'),
            count(*) FILTER (WHERE agree IS NOT NULL AND kind <> 'gold'),
            count(*) FILTER (WHERE first_verdict = 'good' AND second_verdict = 'good'
                AND kind <> 'gold')
        FROM checks WHERE created_at >= %(since)s AND created_at < %(until)s
        """,
        {"since": since, "until": until},
    )
    row = await cursor.fetchone()
    return (0, 0, 0, 0) if row is None else (row[0], row[1], row[2], row[3])


async def select_stopped(
    conn: Connection, since: datetime, until: datetime
) -> tuple[int, float | None]:
    """Workers stopped for their results: how many, and the median of tasks until then."""
    cursor = await conn.execute(
        """
        SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY completed)
        FROM suspensions WHERE cause = 'quality' AND upheld IS DISTINCT FROM true
            AND started_at >= %s AND started_at < %s
        """,
        (since, until),
    )
    row = await cursor.fetchone()
    return (0, None) if row is None else (row[0], row[1])


async def select_evidence(
    conn: Connection, task_ids: Sequence[str]
) -> dict[str, tuple[Record, CheckState]]:
    """What speaks for the results of these tasks: their workers' records, and their checks."""
    cursor = await conn.execute(
        """
        SELECT t.id, coalesce(r.good, 0), coalesce(r.bad, 0), c.stage, c.agree, c.first_verdict
        FROM tasks t
        LEFT JOIN worker_records r ON r.worker_id = t.worker_id
        LEFT JOIN LATERAL (
            SELECT stage, agree, first_verdict FROM checks
            WHERE original_task_id = t.id ORDER BY id DESC LIMIT 1) c ON true
        WHERE t.id = ANY(%s::text[]) AND t.worker_id IS NOT NULL
        """,
        (text_array(task_ids),),
    )
    return {
        row[0]: (Record(good=row[1], bad=row[2]), state_of(row[3], row[5], agree=row[4]))
        for row in await cursor.fetchall()
    }
