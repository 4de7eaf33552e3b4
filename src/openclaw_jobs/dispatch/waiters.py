"""Polls that wait in this process for a task; they cost memory and nothing else."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

from openclaw_jobs.dispatch.models import Claim, Lane, Seeker, SeekerClass
from openclaw_jobs.workers import WorkerIdentity

_LONG_S = 20.0


class Waiter:
    """One parked poll.

    Attributes:
        worker: Who asks.
        want: How many tasks it takes.
        answer: Resolved with the claims, or with the problem that keeps it from having any.
        arrival: Its place among all that have come to this process.
        blocked: It is at one of its worker's own limits; looked for again at the next tick.
        hung_up: Its caller has gone.
        looked_for: At least one round has looked for it, or need not.
        parked_at: Since when it waits, by the monotonic clock.
        patient: It waits long enough to be told of whatever is queued from now on.
        promise: Tasks are being committed for it; resolved as that ends.
    """

    __slots__ = (
        "answer",
        "arrival",
        "blocked",
        "hung_up",
        "looked_for",
        "parked_at",
        "patient",
        "promise",
        "want",
        "worker",
    )

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
        self.parked_at = time.monotonic()
        self.patient = False
        self.promise: asyncio.Future[None] | None = None

    @property
    def gone(self) -> bool:
        """Whether it needs no task any more, or can't have one now."""
        return self.hung_up or self.blocked or self.promise is not None or self.answer.done()

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
    """All parked polls of this process, by what they may have."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._classes: dict[_ClassKey, dict[int, Waiter]] = {}
        self._seeker_classes: dict[_ClassKey, SeekerClass] = {}
        self._lanes: Counter[Lane] = Counter()
        self._polls: Counter[str] = Counter()
        self._arrivals = 0
        self._parked = 0

    def __len__(self) -> int:
        """How many polls are parked."""
        return self._parked

    def __iter__(self) -> Iterator[Waiter]:
        """All of them, class by class."""
        for waiters in self._classes.values():
            yield from waiters.values()

    def polls_of(self, worker_id: str) -> int:
        """How many polls of one worker are parked."""
        return self._polls[worker_id]

    def park(
        self, worker: WorkerIdentity, want: int, answer: asyncio.Future[list[Claim]]
    ) -> Waiter:
        """Add a poll."""
        self._arrivals += 1
        waiter = Waiter(worker, want, self._arrivals, answer)
        key = _class_key(worker)
        waiters = self._classes.get(key)
        if waiters is None:
            waiters = self._classes[key] = {}
            self._seeker_classes[key] = SeekerClass(
                worker.tier, worker.preferences, partial(_walk, waiters)
            )
        waiters[waiter.arrival] = waiter
        self._parked += 1
        self._polls[worker.worker_id] += 1
        self._lanes.update(worker.preferences.categories or (None,))
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Forget a poll; harmless if it is not there."""
        key = _class_key(waiter.worker)
        waiters = self._classes.get(key)
        if waiters is None or waiters.pop(waiter.arrival, None) is None:
            return
        self._parked -= 1
        worker_id = waiter.worker.worker_id
        self._polls[worker_id] -= 1
        if self._polls[worker_id] == 0:
            del self._polls[worker_id]
        if not waiters:
            del self._classes[key], self._seeker_classes[key]
        for lane in waiter.worker.preferences.categories or (None,):
            self._lanes[lane] -= 1
            if self._lanes[lane] == 0:
                del self._lanes[lane]

    def classes(self) -> list[SeekerClass]:
        """Who seeks, by what they may have."""
        return list(self._seeker_classes.values())

    def lanes(self, woken: frozenset[str] | None) -> list[Lane]:
        """The queues in which somebody here would look, among those that were `woken`."""
        if woken is None:
            return list(self._lanes)
        if None in self._lanes:
            return list(woken)
        return [category for category in woken if category in self._lanes]


def _walk(waiters: dict[int, Waiter]) -> Iterator[Waiter]:
    # A copy: while a round waits for the database, polls come and go.
    return iter(list(waiters.values()))


def held_for(wait_seconds: float, rng: random.Random) -> float:
    """How long a poll is held that would wait so long: a long one up to a tenth less.

    Polls that came together, as all do after a restart, would otherwise come together ever again,
    and who is looked for meanwhile would wait for all of them.
    """
    return wait_seconds if wait_seconds < _LONG_S else wait_seconds * rng.uniform(0.9, 1.0)


def waiter_of(seeker: Seeker) -> Waiter:
    """The waiter that a seeker of this process is."""
    if not isinstance(seeker, Waiter):
        raise TypeError("the matcher's seekers are its own waiters")
    return seeker


_ClassKey = tuple[str, tuple[str, ...] | None, int]


def _class_key(worker: WorkerIdentity) -> _ClassKey:
    """What decides which tasks a worker may have; its own limits apart."""
    preferences = worker.preferences
    categories = preferences.categories
    return (
        worker.tier,
        None if categories is None else tuple(sorted(categories)),
        preferences.min_earning_cents,
    )
