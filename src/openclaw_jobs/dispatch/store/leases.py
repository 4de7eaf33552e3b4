"""SQL of leases: how they are found, extended and ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, int_array, text_array
from openclaw_jobs.dispatch.models import EndedLease, Lease, PastAttempt
from openclaw_jobs.quality.record import Record
from openclaw_jobs.quality.rules import ALWAYS_BEGUN, ALWAYS_CHECKED

# How many checks are under way is asked only while it matters, and no further than it does.
_LEASE = f"""t.id, l.worker_id, l.token_hash, l.attempt, l.rate_bp, l.earning_cents,
    l.claimed_at, l.expires_at > now(), t.buyer_id, t.category, t.price_cents, t.promo_cents,
    t.failures, w.standing, w.suspended_until, now(), t.check_id,
    CASE WHEN coalesce(r.good + r.bad, 0) < {ALWAYS_CHECKED} THEN (
        SELECT count(*) FROM (SELECT FROM checks c WHERE c.first_worker_id = l.worker_id
            AND c.stage NOT IN ('decided', 'void') LIMIT {ALWAYS_BEGUN}) AS pending)
        ELSE 0 END,
    r.good, r.bad, r.streak, r.suspicion"""  # noqa: S608 - own numbers


def _lease(row: Sequence[Any]) -> Lease:
    record = Record() if row[18] is None else Record(*row[18:22])
    return Lease(row[0], row[1], bytes(row[2]), *[*row[3:18], record])


async def lock_leases(conn: Connection, task_ids: Sequence[str]) -> list[Lease]:
    """The leases of these tasks, the tasks locked in id order; no row where none is held."""
    # Who waited for a task's lock gets the task as it is now, but the lease as it was before: the
    # attempt tells whether the two still belong together.
    cursor = await conn.execute(
        f"""
        SELECT {_LEASE} FROM tasks t JOIN leases l ON l.task_id = t.id AND l.attempt = t.attempts
        JOIN workers w ON w.id = l.worker_id
        LEFT JOIN worker_records r ON r.worker_id = l.worker_id
        WHERE t.id = ANY(%s::text[]) AND t.status = 'claimed' ORDER BY t.id FOR UPDATE OF t
        """,  # noqa: S608 - own column list
        (text_array(task_ids),),
    )
    return [_lease(row) for row in await cursor.fetchall()]


async def lock_expired_leases(conn: Connection, limit: int) -> list[Lease]:
    """Leases past their end, locked with their tasks; those locked by others are left for later.

    Among those others are heartbeats that came in time and are not committed yet.
    """
    cursor = await conn.execute(
        f"""
        SELECT {_LEASE} FROM leases l JOIN tasks t ON t.id = l.task_id AND t.attempts = l.attempt
        JOIN workers w ON w.id = l.worker_id
        LEFT JOIN worker_records r ON r.worker_id = l.worker_id
        WHERE l.expires_at <= now() AND t.status = 'claimed'
        ORDER BY t.id LIMIT %s FOR UPDATE OF t, l SKIP LOCKED
        """,  # noqa: S608 - own column list
        (limit,),
    )
    return [_lease(row) for row in await cursor.fetchall()]


async def select_past_attempts(conn: Connection, task_ids: Sequence[str]) -> list[PastAttempt]:
    """How earlier leases of these tasks ended."""
    cursor = await conn.execute(
        "SELECT task_id, worker_id, token_hash, outcome FROM attempts"
        " WHERE task_id = ANY(%s::text[]) ORDER BY attempt",
        (text_array(task_ids),),
    )
    return [PastAttempt(r[0], r[1], bytes(r[2]), r[3]) for r in await cursor.fetchall()]


async def end_leases(conn: Connection, ended: Sequence[EndedLease]) -> None:
    """Delete leases and keep how each ended, in one statement."""
    await conn.execute(
        """
        WITH done AS (
            SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
                AS d (task_id, outcome, error, usage)
        ), gone AS (
            DELETE FROM leases l USING done d WHERE l.task_id = d.task_id COLLATE "C"
            RETURNING l.task_id, l.attempt, l.worker_id, d.outcome, l.token_hash, l.claimed_at,
                d.error, d.usage
        )
        INSERT INTO attempts (task_id, attempt, worker_id, outcome, token_hash, claimed_at, error,
            usage)
        SELECT * FROM gone
        """,
        (
            text_array([e.lease.task_id for e in ended]),
            text_array([e.outcome for e in ended]),
            text_array([e.error for e in ended]),
            text_array([e.usage for e in ended]),
        ),
    )


async def complete_tasks(conn: Connection, task_ids: Sequence[str], results: Sequence[str]) -> None:
    """Set claimed, locked tasks to completed and keep their results, in one statement."""
    await conn.execute(
        """
        WITH done AS (
            SELECT * FROM unnest(%s::text[], %s::text[]) AS d (task_id, result)
        ), kept AS (
            INSERT INTO task_results (task_id, result) SELECT task_id, result FROM done
        )
        UPDATE tasks t SET status = 'completed', completed_at = now()
        FROM done d WHERE t.id = d.task_id COLLATE "C" AND t.status = 'claimed'
        """,
        (text_array(task_ids), text_array(results)),
    )


async def requeue_tasks(conn: Connection, task_ids: Sequence[str], failures: Sequence[int]) -> None:
    """Put claimed, locked tasks back; `failures` is what each adds to the count against it."""
    await conn.execute(
        """
        UPDATE tasks t SET status = 'queued', worker_id = NULL, claimed_at = NULL,
            failures = t.failures + d.failures
        FROM unnest(%s::text[], %s::int[]) AS d (task_id, failures)
        WHERE t.id = d.task_id COLLATE "C" AND t.status = 'claimed'
        """,
        (text_array(task_ids), int_array(failures)),
    )


async def fail_tasks(conn: Connection, task_ids: Sequence[str]) -> None:
    """Give up claimed, locked tasks that have failed for the last time."""
    await conn.execute(
        """
        UPDATE tasks t SET status = 'failed', worker_id = NULL, completed_at = now(),
            failures = t.failures + 1
        WHERE t.id = ANY(%s::text[]) AND t.status = 'claimed'
        """,
        (text_array(task_ids),),
    )


async def undo_claims(
    conn: Connection, task_ids: Sequence[str], token_hashes: Sequence[bytes]
) -> list[tuple[str, str | None, str]]:
    """Put back tasks that were claimed for a worker that had hung up: it never saw them.

    Returns:
        Category, buyer and id of each task that was still so held.
    """
    cursor = await conn.execute(
        """
        WITH undo AS (
            SELECT * FROM unnest(%s::text[], %s::bytea[]) AS u (task_id, token_hash)
        ), locked AS (
            SELECT t.id FROM tasks t JOIN undo ON t.id = undo.task_id COLLATE "C"
            ORDER BY t.id FOR UPDATE OF t
        ), gone AS (
            DELETE FROM leases l USING undo u JOIN locked ON locked.id = u.task_id
            WHERE l.task_id = u.task_id COLLATE "C" AND l.token_hash = u.token_hash
            RETURNING l.task_id, l.worker_id
        ), unread AS (
            DELETE FROM lineage_readers r USING gone g JOIN tasks s ON s.id = g.task_id
            WHERE r.lineage = s.lineage AND r.worker_id = g.worker_id
        )
        UPDATE tasks t SET status = 'queued', worker_id = NULL, claimed_at = NULL,
            attempts = t.attempts - 1
        FROM gone WHERE t.id = gone.task_id AND t.status = 'claimed'
        RETURNING t.category, t.buyer_id, t.id
        """,
        (text_array(task_ids), bytes_array(token_hashes)),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def extend_lease(
    conn: Connection,
    task_id: str,
    worker_id: str,
    token_hash: bytes,
    lease_seconds: int,
    progress: str | None,
) -> tuple[datetime, str | None, bool] | None:
    """Extend a live lease and keep what the worker says of its progress.

    Returns:
        The new end, the buyer's id, and whether the progress is news; None if this lease is not
        held any more.
    """
    cursor = await conn.execute(
        """
        WITH old AS (
            SELECT l.task_id, l.progress, t.buyer_id FROM leases l JOIN tasks t ON t.id = l.task_id
            WHERE l.task_id = %(task)s AND l.worker_id = %(worker)s AND l.token_hash = %(token)s
                AND l.expires_at > now() FOR UPDATE OF l
        )
        UPDATE leases l SET expires_at = now() + make_interval(secs => %(seconds)s),
            progress = coalesce(%(progress)s::text, l.progress)
        FROM old WHERE l.task_id = old.task_id
        RETURNING l.expires_at, old.buyer_id, l.progress IS DISTINCT FROM old.progress
        """,
        {
            "task": task_id,
            "worker": worker_id,
            "token": token_hash,
            "seconds": lease_seconds,
            "progress": progress,
        },
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1], row[2])


async def has_held(conn: Connection, task_id: str, worker_id: str) -> bool:
    """Whether this worker holds or ever held the task."""
    cursor = await conn.execute(
        """
        SELECT 1 FROM attempts WHERE task_id = %(task)s AND worker_id = %(worker)s
        UNION ALL SELECT 1 FROM leases WHERE task_id = %(task)s AND worker_id = %(worker)s LIMIT 1
        """,
        {"task": task_id, "worker": worker_id},
    )
    return await cursor.fetchone() is not None
