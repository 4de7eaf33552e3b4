"""Why a worker gets no work right now."""

from collections import Counter
from datetime import UTC, timedelta
from typing import Final

import msgspec

from openclaw_jobs.dispatch.store import claims, nodes
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
    async with market.db.read() as conn:
        facts = await claims.select_facts(conn, [worker.worker_id], now.astimezone(UTC).date())
        queued = await nodes.explain_empty(conn, worker.worker_id, _MAX_LOOKED_AT)
    why: Counter[str] = Counter()
    retry = _LATER_SECONDS
    for fact in facts:
        preferences = fact.preferences
        limit = preferences.daily_limit
        if not within_schedule(fact.schedule, now):
            why["outside your schedule"] = max(1, len(queued))
            retry = round(hours_until_open(fact.schedule, now) * _HOUR) + 1
        elif limit is not None and fact.completed_today + fact.held >= limit:
            why["your daily limit"] = max(1, len(queued))
            midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            retry = round((midnight + timedelta(days=1) - now).total_seconds()) + 1
        elif fact.held >= preferences.max_concurrent:
            why["your max_concurrent"] = max(1, len(queued))
            retry = _SOON_SECONDS
        else:
            for category, price, min_tier, tried in queued:
                if preferences.categories is not None and category not in preferences.categories:
                    why["other categories"] += 1
                elif min_tier > tier_rank(fact.tier):
                    why["for a higher tier"] += 1
                elif tried:
                    why["tried by you before"] += 1
                elif (
                    earning_cents(market.config, price, fact.tier) < preferences.min_earning_cents
                ):
                    why["under your minimum"] += 1
    if not why:
        why["no task waits"] = 1
        retry = _SOON_SECONDS
    return Emptiness(dict(why), retry)
