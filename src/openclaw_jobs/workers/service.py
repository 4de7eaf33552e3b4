"""Workers: functions over a connection; the caller commits."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from openclaw_jobs.db import Connection
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.tokens import hash_token, new_token
from openclaw_jobs.workers import store
from openclaw_jobs.workers.models import (
    Preferences,
    Profile,
    StatsChange,
    WorkerIdentity,
    WorkerStats,
)


async def register(
    conn: Connection,
    *,
    name: str | None,
    model: str | None,
    capabilities: Sequence[str],
    preferences: Preferences,
    now: datetime,
) -> tuple[Profile, str]:
    """Register a worker; returns its profile and the token that is shown this once."""
    token = new_token("ocw")
    profile = Profile(
        worker_id=new_id("wrk"),
        name=name,
        model=model,
        capabilities=list(capabilities),
        tier="bronze",
        standing="active",
        suspended_until=None,
        suspended_reason=None,
        strikes=0,
        preferences=preferences,
        schedule=None,
        created_at=now,
    )
    await store.insert_worker(conn, profile, hash_token(token))
    return profile, token


async def by_token_hash(conn: Connection, hashes: Sequence[bytes]) -> dict[bytes, WorkerIdentity]:
    """The worker of each token among `hashes`."""
    return dict(await store.select_by_token_hash(conn, hashes))


async def profile(conn: Connection, worker_id: str, *, for_update: bool = False) -> Profile | None:
    """A worker's own view of itself."""
    return await store.select_profile(conn, worker_id, for_update=for_update)


async def update_profile(conn: Connection, changed: Profile) -> None:
    """Store a profile that was read with `for_update` and changed."""
    await store.update_profile(conn, changed)


async def rotate_token(conn: Connection, worker_id: str) -> str:
    """Give a worker a new token, shown this once; the old one stops working."""
    token = new_token("ocw")
    await store.update_token(conn, worker_id, hash_token(token))
    return token


async def stats(conn: Connection, worker_id: str, now: datetime) -> WorkerStats | None:
    """A worker's statistics, those of today zero if it has done nothing today."""
    found = await store.select_stats(conn, worker_id)
    today = now.astimezone(UTC).date()
    if found is None or found.today == today:
        return found
    return WorkerStats(
        completed=found.completed,
        failed=found.failed,
        expired=found.expired,
        released=found.released,
        credited=found.credited,
        lifetime_cents=found.lifetime_cents,
        today=today,
        today_completed=0,
        today_cents=0,
    )


async def add_stats(conn: Connection, changes: Iterable[StatsChange], now: datetime) -> None:
    """Add to statistics; several changes of one worker are added up first."""
    completed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    expired: Counter[str] = Counter()
    released: Counter[str] = Counter()
    earned: Counter[str] = Counter()
    for change in changes:
        completed[change.worker_id] += change.completed
        failed[change.worker_id] += change.failed
        expired[change.worker_id] += change.expired
        released[change.worker_id] += change.released
        earned[change.worker_id] += change.earned_cents
    if not completed:
        return
    merged = [
        StatsChange(w, completed[w], failed[w], expired[w], released[w], earned[w])
        for w in sorted(completed)
    ]
    await store.add_stats(conn, merged, now.astimezone(UTC).date())


async def add_credit(conn: Connection, worker_id: str, clawed_cents: int) -> None:
    """Count a task whose buyer got its money back."""
    await store.add_credit(conn, worker_id, clawed_cents)


async def take_credit_back(conn: Connection, worker_id: str, restored_cents: int) -> None:
    """Uncount such a task: its result was not bad after all."""
    await store.take_credit_back(conn, worker_id, restored_cents)


async def clear_strikes(conn: Connection, worker_ids: Iterable[str]) -> None:
    """End the row of expiries of workers that completed a task."""
    ids = sorted(set(worker_ids))
    if ids:
        await store.clear_strikes(conn, ids)


async def strike(
    conn: Connection, worker_ids: Iterable[str], *, limit: int, suspension: timedelta, now: datetime
) -> list[str]:
    """Give a strike for each expiry; suspends and returns the workers that reach `limit`."""
    counts = sorted(Counter(worker_ids).items())
    if not counts:
        return []
    return await store.add_strikes(conn, counts, limit, now + suspension)


async def end_suspensions(conn: Connection, limit: int) -> int:
    """Reinstate workers whose suspension has run out."""
    return await store.end_suspensions(conn, limit)
