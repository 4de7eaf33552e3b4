"""Rules of dispatch: pure functions, shared by the server and the simulation."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from openclaw_jobs.dispatch.models import Candidate, Facts, Seeker, SeekerClass
from openclaw_jobs.economy import Abuse
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


class _Queue:
    """The seekers of one class on their way through a proposal; who is full drops out."""

    def __init__(self, seeker_class: SeekerClass) -> None:
        self.tier = seeker_class.tier
        self.rank = tier_rank(seeker_class.tier)
        self.preferences = seeker_class.preferences
        self._coming = seeker_class.seekers()
        self._waiting: deque[Seeker] = deque()

    def first(
        self,
        candidate: Candidate,
        has_room: Callable[[Seeker], bool],
        facts: Mapping[str, Facts],
        earning: Earning,
    ) -> Seeker | None:
        """The longest waiting seeker with room that may have this task."""
        while self._waiting and not has_room(self._waiting[0]):
            self._waiting.popleft()
        for seeker in self._waiting:
            if has_room(seeker) and self._suits(candidate, seeker, facts, earning):
                return seeker
        for seeker in self._coming:
            if has_room(seeker):
                self._waiting.append(seeker)
                if self._suits(candidate, seeker, facts, earning):
                    return seeker
        return None

    def _suits(
        self, candidate: Candidate, seeker: Seeker, facts: Mapping[str, Facts], earning: Earning
    ) -> bool:
        """What the class may have holds for its members, but for what is each one's own."""
        worker_id = seeker.worker.worker_id
        known = facts.get(worker_id)
        if known is not None and (
            candidate.owner in known.buyers or not known.marks.isdisjoint(candidate.marks)
        ):
            return False
        if known is None or (known.tier == self.tier and known.preferences == self.preferences):
            return worker_id not in candidate.tried_by
        return may_have(candidate, worker_id, known.tier, known.preferences, earning)


def propose(
    candidates: Sequence[Candidate],
    classes: Sequence[SeekerClass],
    facts: Mapping[str, Facts],
    room: Mapping[str, int],
    earning: Earning,
    fair_pick: Callable[[], bool],
) -> list[tuple[Candidate, Seeker]]:
    """Pair tasks, best first, with seekers: better tier first, then longest waiting.

    Args:
        candidates: Tasks in queue order.
        classes: The seekers.
        facts: What is known for sure of a worker; the class's word counts until then.
        room: How many tasks a worker can still take, where that is known.
        earning: What a task would bring a worker.
        fair_pick: Whether this pick goes by waiting time alone, whatever the tier, so that a
            market full of platinum workers still feeds a newcomer.
    """
    pairs: list[tuple[Candidate, Seeker]] = []
    by_seeker: Counter[int] = Counter()
    by_worker: Counter[str] = Counter()
    queues = [_Queue(c) for c in classes]
    suitable: dict[tuple[str, int, int], list[_Queue]] = {}
    lineages: set[str | None] = set()

    def has_room(seeker: Seeker) -> bool:
        worker_id = seeker.worker.worker_id
        return (
            not seeker.gone
            and by_seeker[seeker.arrival] < seeker.want
            and by_worker[worker_id] < room.get(worker_id, seeker.want)
        )

    for candidate in candidates:
        # Whom the first of two tasks with one text is shown to is known when it is written.
        if candidate.lineage in lineages:
            continue
        kind = (candidate.category, candidate.price_cents, candidate.min_tier)
        if kind not in suitable:
            suitable[kind] = [
                q for q in queues if may_have(candidate, "", q.tier, q.preferences, earning)
            ]
        fair = fair_pick()
        best: tuple[int, int] | None = None
        chosen: Seeker | None = None
        for queue in suitable[kind]:
            seeker = queue.first(candidate, has_room, facts, earning)
            if seeker is not None:
                key = (0 if fair else -queue.rank, seeker.arrival)
                if best is None or key < best:
                    best, chosen = key, seeker
        if chosen is not None:
            by_seeker[chosen.arrival] += 1
            by_worker[chosen.worker.worker_id] += 1
            pairs.append((candidate, chosen))
            if candidate.lineage is not None:
                lineages.add(candidate.lineage)
    return pairs


def concurrent_limit(facts: Facts, abuse: Abuse) -> int:
    """How many tasks a worker may hold at once: what it wants, or less while it is new."""
    wanted = facts.preferences.max_concurrent
    if facts.completed >= abuse.new_worker_completed:
        return wanted
    return min(wanted, abuse.new_worker_max_concurrent)


def capacity(facts: Facts, now: datetime, abuse: Abuse) -> int:
    """How many more tasks a worker may hold now: its standing, schedule and limits."""
    if effective_standing(facts.standing, facts.suspended_until, now) != "active":
        return 0
    if not within_schedule(facts.schedule, now):
        return 0
    room = concurrent_limit(facts, abuse) - facts.held
    if facts.preferences.daily_limit is not None:
        left_today = facts.preferences.daily_limit - facts.completed_today - facts.held
        room = min(room, left_today)
    return max(0, room)


def is_tasks_fault(failures: int, fault_after: int) -> bool:
    """Whether so many other workers failed a task that an expiry is no worker's fault."""
    return failures >= fault_after
