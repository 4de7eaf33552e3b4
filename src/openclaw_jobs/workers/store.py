"""SQL of workers."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, int_array, text_array
from openclaw_jobs.workers.models import (
    Preferences,
    Profile,
    Schedule,
    StatsChange,
    WorkerIdentity,
    WorkerStats,
)

_PREFERENCES = "categories, min_earning_cents, max_concurrent, daily_limit, schedule::text"


def _schedule(text: str | None) -> Schedule | None:
    return None if text is None else msgspec.json.decode(text, type=Schedule)


def _schedule_text(schedule: Schedule | None) -> str | None:
    return None if schedule is None else msgspec.json.encode(schedule).decode()


def _preferences(row: Sequence[Any]) -> Preferences:
    return Preferences(
        categories=row[0], min_earning_cents=row[1], max_concurrent=row[2], daily_limit=row[3]
    )


async def insert_worker(conn: Connection, profile: Profile, token_hash: bytes) -> None:
    """Insert a worker with its row of statistics."""
    preferences = profile.preferences
    await conn.execute(
        """
        INSERT INTO workers (id, name, model, capabilities, tier, token_hash, categories,
            min_earning_cents, max_concurrent, daily_limit, schedule, created_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            profile.worker_id,
            profile.name,
            profile.model,
            profile.capabilities,
            profile.tier,
            token_hash,
            preferences.categories,
            preferences.min_earning_cents,
            preferences.max_concurrent,
            preferences.daily_limit,
            _schedule_text(profile.schedule),
            profile.created_at,
        ),
    )
    await conn.execute("INSERT INTO worker_stats (worker_id) VALUES (%s)", (profile.worker_id,))


async def select_by_token_hash(
    conn: Connection, hashes: Sequence[bytes]
) -> list[tuple[bytes, WorkerIdentity]]:
    """Each worker whose token is among `hashes`."""
    cursor = await conn.execute(
        f"SELECT {_PREFERENCES}, token_hash, id, tier, standing, suspended_until"  # noqa: S608 - own columns
        " FROM workers WHERE token_hash = ANY(%s::bytea[])",
        (bytes_array(hashes),),
    )
    return [
        (
            bytes(row[5]),
            WorkerIdentity(
                worker_id=row[6],
                tier=row[7],
                standing=row[8],
                suspended_until=row[9],
                preferences=_preferences(row),
                schedule=_schedule(row[4]),
            ),
        )
        for row in await cursor.fetchall()
    ]


async def select_profile(conn: Connection, worker_id: str, *, for_update: bool) -> Profile | None:
    """A worker as it sees itself, its row locked if asked."""
    cursor = await conn.execute(
        f"SELECT {_PREFERENCES}, id, name, model, capabilities, tier, standing,"  # noqa: S608 - own columns
        " suspended_until, suspended_reason, strikes, created_at"
        f" FROM workers WHERE id = %s{' FOR NO KEY UPDATE' if for_update else ''}",
        (worker_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Profile(
        worker_id=row[5],
        name=row[6],
        model=row[7],
        capabilities=row[8],
        tier=row[9],
        standing=row[10],
        suspended_until=row[11],
        suspended_reason=row[12],
        strikes=row[13],
        preferences=_preferences(row),
        schedule=_schedule(row[4]),
        created_at=row[14],
    )


async def update_profile(conn: Connection, profile: Profile) -> None:
    """Write what a worker may change of itself."""
    preferences = profile.preferences
    await conn.execute(
        """
        UPDATE workers SET name = %s, model = %s, capabilities = %s, categories = %s,
            min_earning_cents = %s, max_concurrent = %s, daily_limit = %s, schedule = %s
        WHERE id = %s
        """,
        (
            profile.name,
            profile.model,
            profile.capabilities,
            preferences.categories,
            preferences.min_earning_cents,
            preferences.max_concurrent,
            preferences.daily_limit,
            _schedule_text(profile.schedule),
            profile.worker_id,
        ),
    )


async def update_token(conn: Connection, worker_id: str, token_hash: bytes) -> None:
    """Replace a worker's token; the old one is unknown from the commit on."""
    await conn.execute("UPDATE workers SET token_hash = %s WHERE id = %s", (token_hash, worker_id))


async def select_stats(conn: Connection, worker_id: str) -> WorkerStats | None:
    """A worker's statistics as stored; `today` may be a day that is over."""
    cursor = await conn.execute(
        "SELECT completed, failed, expired, released, credited, lifetime_cents, today,"
        " today_completed, today_cents FROM worker_stats WHERE worker_id = %s",
        (worker_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else WorkerStats(*row)


async def add_stats(conn: Connection, changes: Sequence[StatsChange], today: date) -> None:
    """Add to statistics of workers given in id order, each once; a new day starts at zero."""
    await conn.execute(
        """
        WITH change AS (
            SELECT * FROM unnest(%(workers)s::text[], %(completed)s::int[], %(failed)s::int[],
                %(expired)s::int[], %(released)s::int[], %(earned)s::bigint[])
                AS c (worker_id, completed, failed, expired, released, earned)
        ), locked AS (
            SELECT worker_id FROM worker_stats WHERE worker_id = ANY(%(workers)s::text[])
            ORDER BY worker_id FOR UPDATE
        )
        UPDATE worker_stats s SET
            completed = s.completed + c.completed,
            failed = s.failed + c.failed,
            expired = s.expired + c.expired,
            released = s.released + c.released,
            lifetime_cents = s.lifetime_cents + c.earned,
            today_completed = c.completed
                + CASE WHEN s.today = %(today)s THEN s.today_completed ELSE 0 END,
            today_cents = c.earned + CASE WHEN s.today = %(today)s THEN s.today_cents ELSE 0 END,
            today = %(today)s
        FROM change c JOIN locked USING (worker_id) WHERE s.worker_id = c.worker_id
        """,
        {
            "workers": text_array([c.worker_id for c in changes]),
            "completed": int_array([c.completed for c in changes]),
            "failed": int_array([c.failed for c in changes]),
            "expired": int_array([c.expired for c in changes]),
            "released": int_array([c.released for c in changes]),
            "earned": int_array([c.earned_cents for c in changes]),
            "today": today,
        },
    )


async def add_credit(conn: Connection, worker_id: str, clawed_cents: int) -> None:
    """Count a task whose buyer got its money back, and take it off the lifetime earnings."""
    await conn.execute(
        "UPDATE worker_stats SET credited = credited + 1, lifetime_cents = lifetime_cents - %s"
        " WHERE worker_id = %s",
        (clawed_cents, worker_id),
    )


async def take_credit_back(conn: Connection, worker_id: str, restored_cents: int) -> None:
    """The opposite of `add_credit`."""
    await conn.execute(
        "UPDATE worker_stats SET credited = credited - 1, lifetime_cents = lifetime_cents + %s"
        " WHERE worker_id = %s AND credited > 0",
        (restored_cents, worker_id),
    )


async def clear_strikes(conn: Connection, worker_ids: Sequence[str]) -> None:
    """A task done ends a row of expiries; touches only workers that have strikes."""
    await conn.execute(
        """
        WITH locked AS (
            SELECT id FROM workers WHERE id = ANY(%s::text[]) AND strikes > 0
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE workers w SET strikes = 0 FROM locked WHERE w.id = locked.id
        """,
        (text_array(worker_ids),),
    )


async def add_strikes(
    conn: Connection, strikes: Sequence[tuple[str, int]], limit: int, suspend_until: datetime
) -> list[str]:
    """Add strikes (workers in id order); suspends and returns those that reach `limit`.

    No more are counted than the column holds, and no limit is higher.
    """
    cursor = await conn.execute(
        """
        WITH strike AS (
            SELECT * FROM unnest(%(workers)s::text[], %(strikes)s::int[]) AS s (worker_id, n)
        ), locked AS (
            SELECT id FROM workers WHERE id = ANY(%(workers)s::text[]) ORDER BY id
            FOR NO KEY UPDATE
        ), struck AS (
            SELECT w.id, least(w.strikes + n, 32767) AS strikes,
                w.strikes + n >= least(%(limit)s, 32767) AND w.standing = 'active' AS stops
            FROM workers w JOIN strike ON w.id = worker_id JOIN locked ON locked.id = w.id
        ), changed AS (
            UPDATE workers w SET
                strikes = CASE WHEN stops THEN 0 ELSE s.strikes END,
                standing = CASE WHEN stops THEN 'suspended' ELSE w.standing END,
                suspended_until = CASE WHEN stops THEN %(until)s ELSE w.suspended_until END,
                suspended_reason = CASE WHEN stops
                    THEN 'several claimed tasks in a row ran out of time'
                    ELSE w.suspended_reason END
            FROM struck s WHERE w.id = s.id RETURNING w.id, stops
        )
        SELECT id FROM changed WHERE stops
        """,
        {
            "workers": [w for w, _ in strikes],
            "strikes": [n for _, n in strikes],
            "limit": limit,
            "until": suspend_until,
        },
    )
    return [row[0] for row in await cursor.fetchall()]


async def end_suspensions(conn: Connection, limit: int) -> int:
    """Reinstate workers whose suspension is over by the database's clock; returns how many."""
    cursor = await conn.execute(
        """
        UPDATE workers SET standing = 'active', suspended_until = NULL, suspended_reason = NULL
        WHERE id IN (
            SELECT id FROM workers WHERE standing = 'suspended' AND suspended_until <= now()
            ORDER BY suspended_until LIMIT %s FOR UPDATE SKIP LOCKED)
        """,
        (limit,),
    )
    return cursor.rowcount
