"""Seekers and candidates for the pure rules of dispatch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from openclaw_jobs.dispatch import rules
from openclaw_jobs.dispatch.models import Candidate, Facts, Seeker, SeekerClass
from openclaw_jobs.workers import TIERS, Preferences, Schedule, Standing, Tier, WorkerIdentity

KEEPS_PERCENT: Mapping[Tier, int] = {"bronze": 30, "silver": 25, "gold": 20, "platinum": 15}


@dataclass
class Someone:
    """A seeker as the rules see it."""

    worker: WorkerIdentity
    want: int
    arrival: int
    gone: bool = False


def identity(
    worker_id: str,
    tier: Tier = "bronze",
    *,
    categories: list[str] | None = None,
    min_earning_cents: int = 0,
    max_concurrent: int = 10,
) -> WorkerIdentity:
    preferences = Preferences(categories, min_earning_cents, max_concurrent)
    return WorkerIdentity(worker_id, tier, "active", None, preferences, None)


def someone(
    worker_id: str, tier: Tier = "bronze", *, want: int = 1, arrival: int, gone: bool = False
) -> Someone:
    return Someone(identity(worker_id, tier), want, arrival, gone)


def task(
    task_id: str,
    *,
    category: str = "general",
    price_cents: int = 10,
    min_tier: Tier = "bronze",
    queue_rank: int = 0,
    tried_by: Sequence[str] = (),
) -> Candidate:
    return Candidate(
        task_id, category, price_cents, TIERS.index(min_tier), queue_rank, frozenset(tried_by)
    )


def classes_of(seekers: Sequence[Someone]) -> list[SeekerClass]:
    """Seekers grouped as the matcher groups them, longest waiting first."""
    groups: dict[tuple[object, ...], list[Someone]] = {}
    for seeker in sorted(seekers, key=lambda s: s.arrival):
        wants = seeker.worker.preferences
        categories = None if wants.categories is None else tuple(sorted(wants.categories))
        key = (seeker.worker.tier, categories, wants.min_earning_cents)
        groups.setdefault(key, []).append(seeker)
    return [
        SeekerClass(group[0].worker.tier, group[0].worker.preferences, partial(iter, group))
        for group in groups.values()
    ]


def earning(price_cents: int, tier: Tier) -> int:
    return price_cents * (100 - KEEPS_PERCENT[tier]) // 100


def facts(
    worker: WorkerIdentity,
    *,
    standing: Standing = "active",
    held: int = 0,
    completed_today: int = 0,
    daily_limit: int | None = None,
    schedule: Schedule | None = None,
) -> Facts:
    wants = worker.preferences
    preferences = Preferences(
        wants.categories, wants.min_earning_cents, wants.max_concurrent, daily_limit
    )
    return Facts(
        worker_id=worker.worker_id,
        tier=worker.tier,
        standing=standing,
        suspended_until=None,
        preferences=preferences,
        schedule=schedule,
        held=held,
        completed_today=completed_today,
    )


def pairs_of(
    candidates: Sequence[Candidate],
    seekers: Sequence[Someone],
    *,
    known: Sequence[Facts] = (),
    room: Mapping[str, int] | None = None,
    fair: bool = False,
) -> list[tuple[Candidate, Seeker]]:
    return rules.propose(
        candidates,
        classes_of(seekers),
        {fact.worker_id: fact for fact in known},
        room or {},
        earning,
        lambda: fair,
    )


def names(pairs: Sequence[tuple[Candidate, Seeker]]) -> list[tuple[str, str]]:
    return [(candidate.task_id, seeker.worker.worker_id) for candidate, seeker in pairs]
