"""What follows from workers' records, at times that have nothing to do with any one task."""

from typing import Final

import msgspec

from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market import store_parties
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.manage_parties import take_tasks
from openclaw_jobs.market.unit import begin
from openclaw_jobs.quality import rules
from openclaw_jobs.quality import store_standing as store
from openclaw_jobs.quality.record import Achievement, Record
from openclaw_jobs.quality.rules import ALWAYS_CHECKED, SUSPICION_LIMIT
from openclaw_jobs.quality.standing import (
    MAX_EVIDENCE,
    QUALITY_REASON,
    Review,
    Reviewed,
    stats_of,
)
from openclaw_jobs.workers.rules import completion_rate, credit_rate

_CHANCE: Final = 0.3
"""Of being stopped in one run, so that the moment tells nothing of the task that was the last."""

_BATCH: Final = 200
_MAX_BATCHES: Final = 20
_BUSY_SECONDS: Final = (30.0, 120.0)
_IDLE_SECONDS: Final = (900.0, 2700.0)
_SHOWN_SECONDS: Final = (18 * 3600.0, 30 * 3600.0)


class Stopped(msgspec.Struct, frozen=True):
    """How many workers were stopped, and how many will be."""

    suspended: int
    waiting: int


async def stop_suspects(market: Market, *, at_once: bool = False) -> Stopped:
    """Suspend workers whose record speaks a thousand to one against them.

    Each is taken in this run or in a later one, by chance; with `at_once` in this one.
    """
    async with market.db.read() as conn:
        suspects = await store.select_suspects(conn, SUSPICION_LIMIT, _BATCH)
    chosen = [w for w in suspects if at_once or market.rng.random() < _CHANCE]
    stopped = 0
    for worker_id in chosen:
        stopped += await _stop(market, worker_id)
    return Stopped(stopped, len(suspects) - stopped)


async def _stop(market: Market, worker_id: str) -> bool:
    async with begin(market) as unit:
        await take_tasks(unit, worker_id)
        if not await store.insert_suspension(
            unit.conn, new_id("sus"), worker_id, "quality", MAX_EVIDENCE
        ):
            return False
        await store_parties.suspend_worker(unit.conn, worker_id, QUALITY_REASON, None)
        return True


async def review_tiers(market: Market) -> int:
    """Give workers whose review is due the tier that they have earned; returns how many changed.

    Each worker's next review is at a time of its own, by chance.
    """
    changed = 0
    for _ in range(_MAX_BATCHES):
        async with begin(market) as unit:
            due = await store.lock_due_reviews(unit.conn, _BATCH)
            if not due:
                break
            done = [_review(market, review) for review in due]
            await store.write_reviews(unit.conn, done)
        changed += sum(new.tier != old.tier for old, new in zip(due, done, strict=True))
        if len(due) < _BATCH:
            break
    return changed


def _review(market: Market, review: Review) -> Reviewed:
    shown, fresh = review.shown_quality, 0.0
    if shown is None and review.good + review.bad >= ALWAYS_CHECKED:
        # In whole percent, rounded down: finer, and it would tell of a single outcome.
        shown = int(rules.quality(Record(good=review.good, bad=review.bad)) * 100) / 100
        fresh = market.rng.uniform(*_SHOWN_SECONDS)
    return Reviewed(
        worker_id=review.worker_id,
        tier=rules.tier_for(market.config.tiers, achievement(review, shown)).value,
        quality=shown,
        next_seconds=market.rng.uniform(*(_BUSY_SECONDS if review.busy else _IDLE_SECONDS)),
        fresh_seconds=fresh,
    )


def achievement(review: Review, shown: float | None) -> Achievement:
    """What a worker has to show for a tier; without a quality to show, a newcomer's."""
    stats = stats_of(review)
    return Achievement(
        completed=stats.completed,
        completion_rate=completion_rate(stats),
        credit_rate=credit_rate(stats),
        quality=rules.quality(Record()) if shown is None else shown,
    )


__all__ = ["Stopped", "review_tiers", "stop_suspects"]
