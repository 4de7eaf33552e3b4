"""SQL of matching: candidates, what limits a worker, and claims."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, int_array, text_array
from openclaw_jobs.dispatch.models import Candidate, Facts, NewClaim
from openclaw_jobs.quality.checks import MAX_READERS
from openclaw_jobs.workers import Preferences, Schedule

_CANDIDATE = """t.id, t.category, t.price_cents, t.min_tier, t.queue_rank,
    CASE WHEN t.attempts > 0
        THEN ARRAY(SELECT a.worker_id FROM attempts a WHERE a.task_id = t.id) END,
    t.lineage,
    CASE WHEN t.lineage IS NOT NULL THEN ARRAY(
        SELECT r.worker_id FROM lineage_readers r WHERE r.lineage = t.lineage) END,
    CASE WHEN t.lineage IS NOT NULL THEN ARRAY(
        SELECT m.mark FROM lineage_readers r JOIN worker_marks m ON m.worker_id = r.worker_id
        WHERE r.lineage = t.lineage) END,
    coalesce(t.buyer_id, (SELECT o.buyer_id FROM tasks o WHERE o.id = t.lineage),
        (SELECT g.buyer_id FROM golds g WHERE g.id = t.lineage))"""
# A hidden copy waits in vain once its text was shown to as many workers as may see it: were it
# taken out of the queue, the last of them could tell it from a paid task that it gave up.
_MAY_BE_SHOWN = f"""(t.buyer_id IS NOT NULL OR starts_with(t.lineage, 'gold_')
    OR (SELECT count(*) FROM lineage_readers r WHERE r.lineage = t.lineage) < {MAX_READERS})"""  # noqa: S608
# Advisory locks of two keys: this one is dispatch's, the other is of the worker's id.
_WORKER_LOCK_SPACE = 1_330_795_092


_FACTS = """
    SELECT w.id, w.tier, w.standing, w.suspended_until, w.categories, w.min_earning_cents,
        w.max_concurrent, w.daily_limit, w.schedule::text,
        (SELECT count(*) FROM leases l WHERE l.worker_id = w.id),
        CASE WHEN s.today = %s THEN s.today_completed ELSE 0 END,
        ARRAY(SELECT m.mark FROM worker_marks m
            WHERE m.worker_id = w.id AND (%s OR m.kind <> 'network')),
        s.completed,
        ARRAY(SELECT b.buyer_id FROM worker_marks m JOIN buyer_marks b ON b.mark = m.mark
            WHERE %s AND m.worker_id = w.id AND m.kind <> 'network')
    FROM workers w JOIN worker_stats s ON s.worker_id = w.id WHERE w.id = ANY(%s::text[])
"""


def _facts(row: Sequence[Any]) -> Facts:
    return Facts(
        worker_id=row[0],
        tier=row[1],
        standing=row[2],
        suspended_until=row[3],
        preferences=Preferences(*row[4:8]),
        schedule=None if row[8] is None else msgspec.json.decode(row[8], type=Schedule),
        held=row[9],
        completed_today=row[10],
        marks=frozenset(bytes(mark) for mark in row[11]),
        completed=row[12],
        buyers=frozenset(row[13]),
    )


def _candidate(row: Sequence[Any]) -> Candidate:
    return Candidate(
        task_id=row[0],
        category=row[1],
        price_cents=row[2],
        min_tier=row[3],
        queue_rank=row[4],
        tried_by=frozenset((*(row[5] or ()), *(row[7] or ()))),
        lineage=row[6],
        marks=frozenset(bytes(mark) for mark in row[8] or ()),
        owner=row[9],
    )


async def select_any(
    conn: Connection, after: tuple[int, str], limit: int, min_tier: int
) -> list[Candidate]:
    """Lock the first queued tasks of all categories behind `after`, in queue order.

    Tasks that another process has locked are passed over, as are those for better tiers.
    """
    cursor = await conn.execute(
        f"""
        SELECT {_CANDIDATE} FROM tasks t
        WHERE t.status = 'queued' AND (t.queue_rank, t.id) > (%s, %s)
            AND t.min_tier <= %s AND t.expires_at > now() AND {_MAY_BE_SHOWN}
        ORDER BY t.queue_rank, t.id LIMIT %s FOR UPDATE OF t SKIP LOCKED
        """,  # noqa: S608 - own column list
        (*after, min_tier, limit),
    )
    return [_candidate(row) for row in await cursor.fetchall()]


async def select_by_category(
    conn: Connection,
    lanes: Sequence[tuple[str, int, str]],
    limit: int,
    min_tier: int,
) -> list[Candidate]:
    """As `select_any`, but of each category given, behind its own place."""
    cursor = await conn.execute(
        f"""
        SELECT c.* FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS lane (category, rank, id)
        CROSS JOIN LATERAL (
            SELECT {_CANDIDATE} FROM tasks t
            WHERE t.status = 'queued' AND t.category = lane.category COLLATE "C"
                AND (t.queue_rank, t.id) > (lane.rank, lane.id COLLATE "C")
                AND t.min_tier <= %s AND t.expires_at > now() AND {_MAY_BE_SHOWN}
            ORDER BY t.queue_rank, t.id LIMIT %s FOR UPDATE OF t SKIP LOCKED
        ) AS c
        """,  # noqa: S608 - own column list
        (
            text_array([x[0] for x in lanes]),
            int_array([x[1] for x in lanes]),
            text_array([x[2] for x in lanes]),
            min_tier,
            limit,
        ),
    )
    return [_candidate(row) for row in await cursor.fetchall()]


async def any_queued(conn: Connection) -> bool:
    """Whether any task waits at all, be it locked, or such that nobody here may have it."""
    cursor = await conn.execute("SELECT EXISTS (SELECT FROM tasks WHERE status = 'queued')")
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def ask_workers(
    conn: Connection, worker_ids: Sequence[str], today: date, *, by_network: bool, by_owner: bool
) -> Callable[[], Awaitable[list[Facts]]]:
    """Take, until the transaction ends, the right to give these workers tasks.

    Two statements, which are only sent where the transaction is pipelined: what is called later
    waits for their answers. Only after the lock may a worker's leases be counted: a count that
    started earlier could miss another process's.

    Returns:
        What gives the facts of each; those that another process is giving tasks to at this moment
        are left out.
    """
    ids = text_array(worker_ids)
    locking = await conn.execute(
        """
        SELECT id FROM unnest(%s::text[]) AS w (id)
        WHERE pg_try_advisory_xact_lock(%s, hashtext(id))
        """,
        (ids, _WORKER_LOCK_SPACE),
    )
    reading = await conn.execute(_FACTS, (today, by_network, by_owner, ids))

    async def answer() -> list[Facts]:
        locked = {row[0] for row in await locking.fetchall()}
        return [_facts(row) for row in await reading.fetchall() if row[0] in locked]

    return answer


async def wait_for_worker(conn: Connection, worker_id: str) -> None:
    """Wait until nobody is giving this worker tasks, and keep it so until the transaction ends."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_WORKER_LOCK_SPACE, worker_id)
    )


async def select_facts(
    conn: Connection, worker_ids: Sequence[str], today: date, *, by_network: bool, by_owner: bool
) -> list[Facts]:
    """What decides how many tasks these workers may have; see `ask_workers`."""
    cursor = await conn.execute(_FACTS, (today, by_network, by_owner, text_array(worker_ids)))
    return [_facts(row) for row in await cursor.fetchall()]


async def write_claims(
    conn: Connection,
    claims: Sequence[NewClaim],
    lease_seconds: int,
    *,
    see_left: bool,
) -> tuple[list[tuple[str, int, datetime, str, str | None, str | None, datetime]], bool]:
    """Compare-and-set tasks from queued to claimed and write their leases, in one statement.

    Of a lineage a worker becomes a reader, and only then gets the task: its other tasks may have
    been handed out since the candidates were read, to as many workers as may be shown it.

    Args:
        conn: A connection in a transaction that holds `ask_workers` of these workers.
        claims: What to write; of a lineage at most one.
        lease_seconds: How long each lease lasts.
        see_left: Whether to look for what is left; else it is taken for granted.

    Returns:
        For each task that was still queued: its id, attempt, the lease's end, the buyer, the
        text as prompt or as messages, and when it was posted. And whether any task still waits,
        be it locked, or such that nobody here may have it.
    """
    cursor = await conn.execute(
        f"""
        WITH pick AS (
            SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::int[], %s::bigint[],
                %s::text[]) AS p (task_id, worker_id, token_hash, rate_bp, earning_cents, lineage)
        ), readers AS (
            INSERT INTO lineage_readers (lineage, worker_id)
            SELECT p.lineage, p.worker_id FROM pick p
            JOIN tasks t ON t.id = p.task_id COLLATE "C"
            WHERE p.lineage IS NOT NULL AND {_MAY_BE_SHOWN}
            ON CONFLICT DO NOTHING RETURNING lineage
        ), claimed AS (
            UPDATE tasks t SET status = 'claimed', worker_id = p.worker_id, claimed_at = now(),
                attempts = t.attempts + 1
            FROM pick p WHERE t.id = p.task_id COLLATE "C" AND t.status = 'queued'
                AND (p.lineage IS NULL OR p.lineage IN (SELECT lineage FROM readers))
            RETURNING t.id, t.attempts, t.buyer_id, p.worker_id, p.token_hash, p.rate_bp,
                p.earning_cents, t.created_at
        ), leased AS (
            INSERT INTO leases (task_id, worker_id, attempt, token_hash, rate_bp, earning_cents,
                expires_at)
            SELECT id, worker_id, attempts, token_hash, rate_bp, earning_cents,
                now() + make_interval(secs => %s) FROM claimed
            RETURNING task_id, expires_at
        )
        SELECT c.id, c.attempts, l.expires_at, c.buyer_id, i.prompt, i.messages, c.created_at,
            (SELECT NOT %s OR EXISTS (SELECT FROM tasks q WHERE q.status = 'queued'
                AND q.id NOT IN (SELECT task_id COLLATE "C" FROM pick)))
        FROM claimed c JOIN leased l ON l.task_id = c.id JOIN task_inputs i ON i.task_id = c.id
        """,  # noqa: S608 - own conditions
        (
            text_array([c.task_id for c in claims]),
            text_array([c.worker_id for c in claims]),
            bytes_array([c.token_hash for c in claims]),
            int_array([c.rate_bp for c in claims]),
            int_array([c.earning_cents for c in claims]),
            text_array([c.lineage for c in claims]),
            lease_seconds,
            see_left,
        ),
    )
    rows = await cursor.fetchall()
    left = len(rows) < len(claims) or any(row[7] for row in rows)
    return [(r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in rows], left
