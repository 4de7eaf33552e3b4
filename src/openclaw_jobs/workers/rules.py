"""Rules of workers: pure functions."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from openclaw_jobs.workers.models import TIERS, Schedule, Standing, Tier, WorkerStats


def tier_rank(tier: Tier) -> int:
    """0 for bronze up to 3 for platinum."""
    return TIERS.index(tier)


def next_tier(tier: Tier) -> Tier | None:
    """The tier above, None at the top."""
    rank = tier_rank(tier) + 1
    return TIERS[rank] if rank < len(TIERS) else None


def effective_standing(
    standing: Standing, suspended_until: datetime | None, now: datetime
) -> Standing:
    """The standing that counts now: a suspension whose time has passed is over."""
    if standing == "suspended" and suspended_until is not None and suspended_until <= now:
        return "active"
    return standing


def suspension_detail(until: str | None) -> str:
    """What a suspended worker is told; `until` is RFC 3339, None for no set end."""
    if until is None:
        return "This worker is suspended; GET /api/worker/me tells why."
    return f"This worker is suspended until {until}; GET /api/worker/me tells why."


def is_timezone(name: str) -> bool:
    """Whether the IANA time zone database knows `name`."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def within_schedule(schedule: Schedule | None, now: datetime) -> bool:
    """Whether the worker wants work at this moment; no schedule means always."""
    if schedule is None:
        return True
    local = now.astimezone(ZoneInfo(schedule.timezone))
    hour = local.hour + local.minute / 60 + local.second / 3600
    return any(
        start <= hour < end if start < end else hour >= start or hour < end
        for start, end in schedule.hours
        if start != end
    )


def hours_until_open(schedule: Schedule | None, now: datetime) -> float:
    """Hours until the worker wants work again; 0 if it does now, 24 if its schedule never opens.

    By the wall clock: on a day when the clock is changed it may be an hour off.
    """
    if schedule is None or within_schedule(schedule, now):
        return 0.0
    local = now.astimezone(ZoneInfo(schedule.timezone))
    hour = local.hour + local.minute / 60 + local.second / 3600
    spans = [(start, end) for start, end in schedule.hours if start % 24 != end % 24]
    return min(((start - hour) % 24 for start, _ in spans), default=24.0)


def completion_rate(stats: WorkerStats) -> float:
    """Completed claims as a share of those that ended by the worker's doing; 1 with none."""
    ended = stats.completed + stats.failed + stats.expired
    return 1.0 if ended == 0 else stats.completed / ended


def credit_rate(stats: WorkerStats) -> float:
    """Share of completed tasks whose buyer got its money back; 0 with none."""
    return 0.0 if stats.completed == 0 else stats.credited / stats.completed
