"""Rules of dispatch: pure functions, shared by the server and the simulation."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from openclaw_jobs.dispatch.models import Candidate, ClaimRequest, Facts, Seeker
from openclaw_jobs.workers import Preferences, Tier
from openclaw_jobs.workers.rules import effective_standing, tier_rank, within_schedule

Earning = Callable[[int, Tier], int]
"""What a worker of this tier would get for a task of this price, in cents."""


def may_have(
    candidate: Candidate, worker_id: str, tier: Tier, preferences: Preferences, earning: Earning
) -> bool:
    """Whether this task may be handed to this worker, its own limits apart."""
    wanted = preferences.categories
    return (
        (wanted is None or candidate.category in wanted)
        and tier_rank(tier) >= candidate.min_tier
        and worker_id not in candidate.tried_by
        and (
            preferences.min_earning_cents == 0
            or earning(candidate.price_cents, tier) >= preferences.min_earning_cents
        )
    )


def propose(
    candidates: Sequence[Candidate],
    request: ClaimRequest,
    facts: Mapping[str, Facts],
    room: Mapping[str, int],
    earning: Earning,
    fair_pick: Callable[[], bool],
) -> list[tuple[Candidate, Seeker]]:
    """Pair tasks, best first, with seekers: better tier first, then longest waiting.

    Args:
        candidates: Tasks in queue order.
        request: The seekers, in both orders.
        facts: What is known for sure of a worker; the seeker's own word counts until then.
        room: How many tasks a worker can still take, where that is known.
        earning: What a task would bring a worker.
        fair_pick: Whether this pick goes by waiting time alone, whatever the tier, so that a
            market full of platinum workers still feeds a newcomer.
    """
    pairs: list[tuple[Candidate, Seeker]] = []
    by_seeker: Counter[int] = Counter()
    by_worker: Counter[str] = Counter()
    for candidate in candidates:
        order = request.in_arrival_order if fair_pick() else request.in_tier_order
        for seeker in order():
            worker_id = seeker.worker.worker_id
            if (
                seeker.gone
                or by_seeker[id(seeker)] >= seeker.want
                or by_worker[worker_id] >= room.get(worker_id, seeker.want)
            ):
                continue
            known = facts.get(worker_id) or seeker.worker
            if may_have(candidate, worker_id, known.tier, known.preferences, earning):
                by_seeker[id(seeker)] += 1
                by_worker[worker_id] += 1
                pairs.append((candidate, seeker))
                break
    return pairs


def capacity(facts: Facts, now: datetime) -> int:
    """How many more tasks a worker may hold now: its standing, schedule and limits."""
    if effective_standing(facts.standing, facts.suspended_until, now) != "active":
        return 0
    if not within_schedule(facts.schedule, now):
        return 0
    room = facts.preferences.max_concurrent - facts.held
    if facts.preferences.daily_limit is not None:
        left_today = facts.preferences.daily_limit - facts.completed_today - facts.held
        room = min(room, left_today)
    return max(0, room)


def is_tasks_fault(failures: int, fault_after: int) -> bool:
    """Whether so many other workers failed a task that an expiry is no worker's fault."""
    return failures >= fault_after
