"""A made-up claim for the matcher, and polls that park before it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec.structs import replace

from openclaw_jobs.dispatch import Claim, ClaimRequest, Matcher, Seeker
from openclaw_jobs.dispatch.commits import Written
from openclaw_jobs.dispatch.models import Assignment, ClaimResult, Suspended
from tests.dispatch.seekers import identity

FOREVER = 30.0
SOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def claim_of(task_id: str, worker_id: str) -> Claim:
    return Claim(
        task_id=task_id,
        worker_id=worker_id,
        lease_token=f"lease of {task_id}",
        lease_expires_at=SOON,
        lease_seconds=60,
        category="general",
        prompt="x",
        messages=None,
        earning_cents=7,
        attempt=1,
    )


@dataclass
class Queue:
    """What `market.claim_tasks` is in production: hands tasks out, if it is let.

    `unfit` are tasks that wait as well, but that nobody here may have. A round is `held_back`
    before it has written anything, and `committing` until that is set.
    """

    tasks: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    full: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    error: Exception | None = None
    returned: list[str] = field(default_factory=list)
    requests: list[ClaimRequest] = field(default_factory=list)
    asked_if_any: int = 0
    held_back: asyncio.Event | None = None
    committing: asyncio.Event | None = None
    commit_error: Exception | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def claim(self, request: ClaimRequest, written: Written) -> ClaimResult:
        self.requests.append(request)
        self.begun.set()
        result = ClaimResult([], [], [], dict.fromkeys(request.lanes), more=False, empty=False)
        if self.error is not None:
            raise self.error
        for seeker in [s for c in request.classes for s in c.seekers()]:
            self._serve(seeker, result)
        result = replace(result, empty=not (self.tasks or self.unfit))
        if self.held_back is not None:
            await self.held_back.wait()
        if self.committing is not None and result.assignments:
            written(result)
            await self.committing.wait()
            if self.commit_error is not None:
                self.tasks.extend(a.claim.task_id for a in result.assignments)
                raise self.commit_error
        return result

    def _serve(self, seeker: Seeker, result: ClaimResult) -> None:
        worker_id = seeker.worker.worker_id
        if seeker.gone:
            return
        if worker_id in self.suspended:
            result.suspended.append(Suspended(seeker, SOON))
        elif worker_id in self.full:
            result.blocked.append(seeker)
        else:
            taken, self.tasks = self.tasks[: seeker.want], self.tasks[seeker.want :]
            result.assignments.extend(Assignment(seeker, claim_of(t, worker_id)) for t in taken)

    async def give_back(self, claims: Sequence[Claim]) -> None:
        self.returned.extend(claim.task_id for claim in claims)
        self.tasks.extend(claim.task_id for claim in claims)

    async def any_queued(self) -> bool:
        self.asked_if_any += 1
        if self.error is not None:
            raise self.error
        return bool(self.tasks or self.unfit)


@asynccontextmanager
async def matching(queue: Queue) -> AsyncIterator[Matcher]:
    made = Matcher(
        claim=queue.claim,
        give_back=queue.give_back,
        any_queued=queue.any_queued,
        rng=random.Random(1),  # noqa: S311 - the jitter of a tick
    )
    made.start()
    try:
        yield made
    finally:
        for held in (queue.held_back, queue.committing):
            if held is not None:
                held.set()
        await made.stop()


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is a fact, not an event
            await asyncio.sleep(0.002)


async def park(
    made: Matcher, worker_id: str, categories: list[str] | None = None
) -> "asyncio.Task[list[Claim]]":
    """A poll that has had its first look and waits."""
    before = made.parked
    seeker = identity(worker_id, categories=categories)
    poll = asyncio.create_task(made.next(seeker, 1, FOREVER))
    await until(lambda: made.parked == before + 1)
    waiter = max(made._waiters, key=lambda w: w.arrival)
    await until(lambda: waiter.looked_for)
    return poll


def tasks_of(claims: Sequence[Claim]) -> list[str]:
    return [claim.task_id for claim in claims]
