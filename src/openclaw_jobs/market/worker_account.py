"""A worker sees and changes its own account."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from openclaw_jobs import ledger
from openclaw_jobs.db import Connection
from openclaw_jobs.economy import TierThreshold
from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments import EarningPage
from openclaw_jobs.payments import store as earnings
from openclaw_jobs.quality import rules
from openclaw_jobs.quality.record import Achievement, Record
from openclaw_jobs.quality.store_standing import shown_quality
from openclaw_jobs.workers import (
    Contact,
    PreferencesChange,
    Profile,
    Schedule,
    Tier,
    WorkerStats,
)
from openclaw_jobs.workers import service as workers
from openclaw_jobs.workers.rules import completion_rate, credit_rate, is_timezone, next_tier
from openclaw_jobs.workers.store_contact import select_contact


class Requirement(msgspec.Struct, frozen=True):
    """One thing that the next tier asks for; rates are shares from 0 to 1."""

    name: str
    current: float
    required: float


class WorkerAccount(msgspec.Struct, frozen=True):
    """All that a worker may know of itself; money in cents."""

    profile: Profile
    contact: Contact
    stats: WorkerStats
    next_tier: Tier | None
    requirements: list[Requirement]
    available_cents: int
    frozen_cents: int


class ProfileChange(msgspec.Struct, frozen=True):
    """What a worker changes of itself; what is UNSET stays."""

    name: str | UnsetType | None
    model: str | UnsetType | None
    capabilities: Sequence[str] | UnsetType
    preferences: PreferencesChange | UnsetType
    schedule: Schedule | UnsetType | None


async def get_account(market: Market, worker_id: str) -> WorkerAccount:
    """A worker's own account.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.transaction() as conn:
        return await read_account(market, conn, worker_id)


async def read_account(market: Market, conn: Connection, worker_id: str) -> WorkerAccount:
    """A worker's own account, as the transaction of `conn` sees it.

    Raises:
        Problem: `not_found`.
    """
    profile = await workers.profile(conn, worker_id)
    contact = await select_contact(conn, worker_id)
    stats = await workers.stats(conn, worker_id, market.clock.now())
    balances = await ledger.balances(conn, worker_id)
    if profile is None or stats is None or contact is None:
        raise not_found("worker")
    above = next_tier(profile.tier)
    shown = await shown_quality(conn, worker_id)
    requirements = (
        [] if above is None else _requirements(getattr(market.config.tiers, above), stats, shown)
    )
    return WorkerAccount(
        profile=profile,
        contact=contact,
        stats=stats,
        next_tier=above,
        requirements=requirements,
        available_cents=balances[Account.WORKER_AVAILABLE],
        frozen_cents=balances[Account.WORKER_FROZEN],
    )


def _requirements(
    threshold: TierThreshold, stats: WorkerStats, shown: float | None
) -> list[Requirement]:
    """What the next tier asks for; the quality is the one that the last review went by."""
    has = Achievement(
        completed=stats.completed,
        completion_rate=completion_rate(stats),
        credit_rate=credit_rate(stats),
        quality=rules.quality(Record()) if shown is None else shown,
    )
    return [Requirement(r.name, r.current, r.required) for r in rules.requirements(threshold, has)]


async def find_worker(market: Market, token_hash: bytes) -> str | None:
    """The worker with the token of this hash."""
    async with market.db.read() as conn:
        found = await workers.by_token_hash(conn, [token_hash])
    known = found.get(token_hash)
    return None if known is None else known.worker_id


async def change_profile(market: Market, worker_id: str, change: ProfileChange) -> None:
    """Change what a worker says of itself and what it wants.

    Raises:
        Problem: `validation_failed` for an unknown time zone.
    """
    schedule = change.schedule
    if isinstance(schedule, Schedule) and not is_timezone(schedule.timezone):
        raise invalid("schedule.timezone", "This is no IANA time zone, such as Europe/Berlin.")
    async with begin(market) as unit:
        old = await workers.profile(unit.conn, worker_id, for_update=True)
        if old is None:
            raise not_found("worker")
        changes = {
            field: getattr(change, field)
            for field in ("name", "model", "capabilities", "schedule")
            if getattr(change, field) is not UNSET
        }
        if not isinstance(change.preferences, UnsetType):
            changes["preferences"] = change.preferences.applied_to(old.preferences)
        await workers.update_profile(unit.conn, msgspec.structs.replace(old, **changes))


async def list_earnings(
    market: Market, worker_id: str, before: tuple[datetime, str] | None, limit: int
) -> EarningPage:
    """A page of a worker's earnings, newest first; `before` is the last one of the page before."""
    async with market.db.read() as conn:
        found = await earnings.select_page(conn, worker_id, before, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return EarningPage(page, page[-1] if more else None)
