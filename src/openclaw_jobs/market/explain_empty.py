"""Why a worker gets no work right now."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from openclaw_jobs.dispatch.models import Facts
from openclaw_jobs.dispatch.rules import concurrent_limit
from openclaw_jobs.dispatch.store import claims, nodes
from openclaw_jobs.economy import Abuse, Config
from openclaw_jobs.market.claim_tasks import earning_cents
from openclaw_jobs.market.context import Market
from openclaw_jobs.workers import WorkerIdentity
from openclaw_jobs.workers.rules import hours_until_open, tier_rank, within_schedule

_MAX_LOOKED_AT: Final = 500
_SOON_SECONDS: Final = 1
_LATER_SECONDS: Final = 15
_HOUR: Final = 3600


class Emptiness(msgspec.Struct, frozen=True):
    """Reasons with how many tasks each keeps away, and when it is worth asking again."""

    why: dict[str, int]
    retry_after_s: int


async def explain_empty(market: Market, worker: WorkerIdentity) -> Emptiness:
    """Count, over the head of the queue, what keeps each task from this worker."""
    now = market.clock.now()
    today = now.astimezone(UTC).date()
    by_network = market.config.quality.separate_by_address
    async with market.db.read() as conn:
        facts = await claims.select_facts(
            conn, [worker.worker_id], today, by_network=by_network, by_owner=False
        )
        queued = await nodes.explain_empty(
            conn, worker.worker_id, _MAX_LOOKED_AT, by_network=by_network
        )
    why: dict[str, int] = {}
    retry = _SOON_SECONDS
    for fact in facts:
        limit = _own_limit(fact, now, market.config.abuse)
        if limit is not None:
            reason, retry = limit
            why = {reason: max(1, len(queued))}
        else:
            why = Counter(filter(None, (_obstacle(market.config, fact, task) for task in queued)))
            retry = _LATER_SECONDS
    return Emptiness(dict(why), retry) if why else Emptiness({"no task waits": 1}, _SOON_SECONDS)


def _own_limit(fact: Facts, now: datetime, abuse: Abuse) -> tuple[str, int] | None:
    """The limit that a worker has reached, its own or a newcomer's, and the seconds until then."""
    preferences = fact.preferences
    if not within_schedule(fact.schedule, now):
        return "outside your schedule", round(hours_until_open(fact.schedule, now) * _HOUR) + 1
    daily = preferences.daily_limit
    if daily is not None and fact.completed_today + fact.held >= daily:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        left = midnight + timedelta(days=1) - now
        return "your daily limit", round(left.total_seconds()) + 1
    if fact.held >= preferences.max_concurrent:
        return "your max_concurrent", _SOON_SECONDS
    if fact.held >= concurrent_limit(fact, abuse):
        return "the limit for new workers", _SOON_SECONDS
    return None


def _obstacle(config: Config, fact: Facts, task: tuple[str, int, int, bool]) -> str | None:
    """What keeps one queued task from a worker that has room for it."""
    category, price, min_tier, tried = task
    preferences = fact.preferences
    if preferences.categories is not None and category not in preferences.categories:
        return "other categories"
    if min_tier > tier_rank(fact.tier):
        return "for a higher tier"
    if tried:
        return "tried by you before"
    if earning_cents(config, price, fact.tier) < preferences.min_earning_cents:
        return "under your minimum"
    return None
