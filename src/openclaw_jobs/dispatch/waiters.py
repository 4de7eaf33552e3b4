"""Polls that wait in this process for a task; they cost memory and nothing else."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterator

from openclaw_jobs.dispatch.models import Claim, Lane
from openclaw_jobs.workers import WorkerIdentity
from openclaw_jobs.workers.rules import tier_rank


class Waiter:
    """One parked poll.

    Attributes:
        worker: Who asks.
        want: How many tasks it takes.
        answer: Resolved with the claims, or with the problem that keeps it from having any.
        arrival: Its place among all that have come to this process.
        blocked: It is at one of its worker's own limits; looked for again at the next tick.
        hung_up: Its caller has gone.
        looked_for: At least one round has looked for it.
    """

    __slots__ = ("answer", "arrival", "blocked", "hung_up", "looked_for", "want", "worker")

    def __init__(
        self, worker: WorkerIdentity, want: int, arrival: int, answer: asyncio.Future[list[Claim]]
    ) -> None:
        """See the class."""
        self.worker = worker
        self.want = want
        self.arrival = arrival
        self.answer = answer
        self.blocked = False
        self.hung_up = False
        self.looked_for = False

    @property
    def gone(self) -> bool:
        """Whether it needs no task any more, or can't have one now."""
        return self.hung_up or self.blocked or self.answer.done()

    def resolve(self, claims: list[Claim]) -> bool:
        """Answer the poll; False if it is too late, and the claims must go back."""
        if self.hung_up or self.answer.done():
            return False
        self.answer.set_result(claims)
        return True

    def fail(self, error: Exception) -> None:
        """Answer the poll with an exception, if it still waits."""
        if not self.hung_up and not self.answer.done():
            self.answer.set_exception(error)


class Waiters:
    """All parked polls of this process, to be walked by tier or by arrival."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._by_rank: list[dict[int, Waiter]] = [{}, {}, {}, {}]
        self._lanes: Counter[Lane] = Counter()
        self._arrivals = 0

    def __len__(self) -> int:
        """How many polls are parked."""
        return sum(map(len, self._by_rank))

    def __iter__(self) -> Iterator[Waiter]:
        """All of them, better tier first, then longest waiting."""
        return self.in_tier_order()

    def park(
        self, worker: WorkerIdentity, want: int, answer: asyncio.Future[list[Claim]]
    ) -> Waiter:
        """Add a poll."""
        self._arrivals += 1
        waiter = Waiter(worker, want, self._arrivals, answer)
        self._by_rank[tier_rank(worker.tier)][waiter.arrival] = waiter
        self._lanes.update(worker.preferences.categories or (None,))
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Forget a poll; harmless if it is not there."""
        if self._by_rank[tier_rank(waiter.worker.tier)].pop(waiter.arrival, None) is None:
            return
        for lane in waiter.worker.preferences.categories or (None,):
            self._lanes[lane] -= 1
            if self._lanes[lane] == 0:
                del self._lanes[lane]

    def in_tier_order(self) -> Iterator[Waiter]:
        """Better tier first, then longest waiting."""
        for waiters in reversed(self._by_rank):
            yield from waiters.values()

    def in_arrival_order(self) -> Iterator[Waiter]:
        """Longest waiting first, whatever the tier."""
        return heapq.merge(*(w.values() for w in self._by_rank), key=lambda w: w.arrival)

    def lanes(self, woken: frozenset[str] | None) -> list[Lane]:
        """The queues in which somebody here would look, among those that were `woken`."""
        if woken is None:
            return list(self._lanes)
        if None in self._lanes:
            return list(woken)
        return [category for category in woken if category in self._lanes]
