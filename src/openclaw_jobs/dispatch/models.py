"""What dispatch deals in: seekers, candidates, claims and leases."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from openclaw_jobs.quality.record import Record
from openclaw_jobs.workers import Preferences, Schedule, Standing, Tier, WorkerIdentity

Lane = str | None
"""A queue to look into: one category's, or None for that of all categories."""


class Candidate(msgspec.Struct, frozen=True):
    """A queued task that might be handed out.

    Attributes:
        task_id: The task.
        category: Its category.
        price_cents: Its price.
        min_tier: The rank of the least tier that may have it.
        queue_rank: Its place; see `tasks.rules.queue_rank`.
        tried_by: The workers that released, lost or failed it, or that were shown the same text as
            another task: it is never offered to them.
        lineage: What is common to all tasks with its text; None where there is no other.
        marks: The marks of those that were shown its text: nobody who shares one may have it.
        owner: The buyer whose text it is, of a hidden copy too: not for that buyer's own workers.
    """

    task_id: str
    category: str
    price_cents: int
    min_tier: int
    queue_rank: int
    tried_by: frozenset[str]
    lineage: str | None = None
    marks: frozenset[bytes] = frozenset()
    owner: str | None = None


class Seeker(Protocol):
    """Somebody that wants tasks now; in production a parked poll."""

    @property
    def worker(self) -> WorkerIdentity:
        """Who asks."""
        ...

    @property
    def want(self) -> int:
        """How many tasks it takes at the most."""
        ...

    @property
    def arrival(self) -> int:
        """Its place among all that came; a lower one has waited longer."""
        ...

    @property
    def gone(self) -> bool:
        """Whether it has hung up, been served, or need not be asked in this round."""
        ...


class SeekerClass(msgspec.Struct, frozen=True):
    """Seekers of one tier that want the same: what one may have, all of them may.

    Attributes:
        tier: Their tier.
        preferences: What they want.
        seekers: Walks them, longest waiting first.
    """

    tier: Tier
    preferences: Preferences
    seekers: Callable[[], Iterator[Seeker]]


class ClaimRequest(msgspec.Struct, frozen=True):
    """What one round of matching may look at.

    Attributes:
        lanes: The queues to look into, each with the place to read on from (None: its head).
        limit: The most tasks to hand out.
        classes: The seekers.
        expected: How many of them will be given tasks, most likely: they are asked about at once.
    """

    lanes: Mapping[Lane, tuple[int, str] | None]
    limit: int
    classes: Sequence[SeekerClass]
    expected: int = 1


class Facts(msgspec.Struct, frozen=True):
    """What the database says of a worker at the moment of a claim.

    `completed` are all tasks that it ever did; `buyers` are who it has a mark in common with.
    """

    worker_id: str
    tier: Tier
    standing: Standing
    suspended_until: datetime | None
    preferences: Preferences
    schedule: Schedule | None
    held: int
    completed_today: int
    marks: frozenset[bytes] = frozenset()
    completed: int = 0
    buyers: frozenset[str] = frozenset()


class NewClaim(msgspec.Struct, frozen=True):
    """A claim to be written; `token_hash` is that of its lease's token."""

    task_id: str
    worker_id: str
    token_hash: bytes
    rate_bp: int
    earning_cents: int
    lineage: str | None


class Claim(msgspec.Struct, frozen=True):
    """A task in a worker's hands; `messages` is JSON text if the task was posted as messages.

    `queued_at` is when it was queued, by this process's monotonic clock; None if that was not its
    first time. With tracing on each claim has a `traceparent`, else none has.
    """

    task_id: str
    worker_id: str
    lease_token: str
    lease_expires_at: datetime
    lease_seconds: int
    category: str
    prompt: str | None
    messages: str | None
    earning_cents: int
    attempt: int
    queued_at: float | None = None
    traceparent: str | None = None


class Assignment(msgspec.Struct, frozen=True):
    """A claim and the seeker that it is for."""

    seeker: Seeker
    claim: Claim


class Suspended(msgspec.Struct, frozen=True):
    """A seeker that may not have work now."""

    seeker: Seeker
    until: datetime | None


class ClaimResult(msgspec.Struct, frozen=True):
    """What a round of matching came to.

    Attributes:
        assignments: What was handed out.
        suspended: Seekers that may not have work.
        blocked: Seekers that are at one of their own limits.
        lanes: Where each lane was read up to; None: it was read to its end.
        more: Whether another round may find more tasks for those that are left.
        empty: No task at all was left in the queue, whoever may have it. One that is queued
            later is told of after this round began.
    """

    assignments: list[Assignment]
    suspended: list[Suspended]
    blocked: list[Seeker]
    lanes: dict[Lane, tuple[int, str] | None]
    more: bool
    empty: bool


class Lease(msgspec.Struct, frozen=True):
    """A lease with its task, which is locked, and its worker's standing.

    `now` is the database's; `live`: the lease is not past its end by that clock. Without a buyer
    the task is the platform's own; `check_id` is the check that looks at it. `record` is what
    checks have found of the worker, `pending` how many of its results are being looked at, as far
    as that matters (see `quality.rules.check_rate`).
    """

    task_id: str
    worker_id: str
    token_hash: bytes
    attempt: int
    rate_bp: int
    earning_cents: int
    claimed_at: datetime
    live: bool
    buyer_id: str | None
    category: str
    price_cents: int
    promo_cents: int
    failures: int
    standing: Standing
    suspended_until: datetime | None
    now: datetime
    check_id: str | None
    pending: int
    record: Record


Outcome = Literal["completed", "failed", "released", "expired"]


class EndedLease(msgspec.Struct, frozen=True):
    """How a lease ended; `error` and `usage` are what the worker said of it."""

    lease: Lease
    outcome: Outcome
    error: str | None = None
    usage: str | None = None


class PastAttempt(msgspec.Struct, frozen=True):
    """A lease that ended before, found by the task and the worker that held it."""

    task_id: str
    worker_id: str
    token_hash: bytes
    outcome: Outcome
