"""What a worker gets, and the outcomes it hands in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from openclaw_jobs.client.models.common import Message


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A new worker: its id, its token (shown this once) and its first tier."""

    worker_id: str
    token: str
    tier: str = "bronze"


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to work on one task until the lease runs out: `lease_token` is a secret.

    `traceparent` is where the task goes on in a trace (W3C), if the server has tracing on; what is
    sent about the task carries it back.
    """

    task_id: str
    lease_token: str
    traceparent: str | None = None


class Assignment(Lease, frozen=True, kw_only=True):
    """A task to do, with the lease to do it under.

    `lease_seconds` is how long a lease lasts from each heartbeat; `earning_cents` what a completed
    task adds to the worker's frozen earnings; `attempt` counts from 1. `warnings` are codes of what
    in the text may attack who reads it, such as `instructions_override`; the text is as it was.
    """

    lease_expires_at: datetime | None = None
    lease_seconds: float
    category: str = "general"
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    earning_cents: int = 0
    attempt: int = 1
    warnings: tuple[str, ...] = ()


class Assignments(msgspec.Struct, frozen=True, kw_only=True):
    """The tasks a poll brought, in order; it iterates, has a length and is false when empty.

    When empty, `why` counts the reasons and `retry_after_s` is how long to wait at least.
    """

    tasks: tuple[Assignment, ...] = ()
    why: dict[str, int] | None = None
    retry_after_s: float | None = None

    def __iter__(self) -> Iterator[Assignment]:
        """Iterate over the tasks."""
        return iter(self.tasks)

    def __len__(self) -> int:
        """Count the tasks."""
        return len(self.tasks)


class NextTasks(msgspec.Struct, frozen=True):
    """Asks a submit to bring up to `max` next tasks along, held up to `wait` seconds (0-60)."""

    wait: int = 0
    max: int = 1


class Submission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One outcome to hand in with `submit_many`; build it with `completed` or `failed`."""

    task_id: str
    lease_token: str
    status: str
    result: str | None = None
    error: str | None = None
    usage: dict[str, Any] | None = None

    @classmethod
    def completed(
        cls, task: Lease, result: str, *, usage: dict[str, Any] | None = None
    ) -> Submission:
        """Hand in a result. `usage` is free, for instance the tokens a model used."""
        return cls(
            task_id=task.task_id,
            lease_token=task.lease_token,
            status="completed",
            result=result,
            usage=usage,
        )

    @classmethod
    def failed(cls, task: Lease, error: str, *, usage: dict[str, Any] | None = None) -> Submission:
        """Give a task up with a reason: pays nothing and lets another worker try."""
        return cls(
            task_id=task.task_id,
            lease_token=task.lease_token,
            status="failed",
            error=error,
            usage=usage,
        )


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one submission.

    `earned_cents` (frozen until `frozen_until`) is 0 for a failed task. `duplicate` says that this
    is a repetition of an earlier receipt. In a batch a refused one has `accepted` false with
    `status`, `code` and `detail`. With `next`, `tasks` (else None) are the tasks it brought along.
    """

    task_id: str
    accepted: bool
    earned_cents: int = 0
    frozen_until: datetime | None = None
    duplicate: bool = False
    status: int | None = None
    code: str | None = None
    detail: str | None = None
    tasks: tuple[Assignment, ...] | None = None
    why: dict[str, int] | None = None
    retry_after_s: float | None = None


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """The receipts of a batch, in its order, and with `next` the tasks it brought along."""

    receipts: tuple[Receipt, ...] = ()
    tasks: tuple[Assignment, ...] | None = None
    why: dict[str, int] | None = None
    retry_after_s: float | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a heartbeat: until when the lease now holds."""

    lease_expires_at: datetime


class Preferences(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which tasks a worker wants; None leaves a field as it is."""

    categories: tuple[str, ...] | None = None
    min_earning_cents: int | None = None
    max_concurrent: int | None = None
    daily_limit: int | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker works: hours `[start, end)` of the day in an IANA time zone."""

    timezone: str = "UTC"
    hours: tuple[tuple[float, float], ...] = ()


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's record; rates are 0-1, or None while there is nothing to divide."""

    completed: int = 0
    failed: int = 0
    expired: int = 0
    credited: int = 0
    completion_rate: float | None = None
    credit_rate: float | None = None
    today: int = 0


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of the next tier: where the worker stands, and where it must be."""

    name: str
    current: float | None = None
    required: float | None = None


class TierProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing for the next tier; `next_tier` is None at the top."""

    next_tier: str | None = None
    requirements: tuple[Requirement, ...] = ()


class WorkerBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's money: what can be withdrawn, what is still frozen, today's and all of it."""

    available_cents: int = 0
    frozen_cents: int = 0
    today_cents: int = 0
    lifetime_cents: int = 0


class WorkerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it sees itself; `status` is `active`, `suspended` or `banned`."""

    worker_id: str
    name: str | None = None
    model: str | None = None
    tier: str = "bronze"
    status: str = "active"
    suspended_until: datetime | None = None
    email: str | None = None
    email_verified: bool = False
    payout: Any = None
    capabilities: tuple[str, ...] = ()
    preferences: Preferences = Preferences()
    schedule: Schedule | None = None
    stats: WorkerStats = WorkerStats()
    tier_progress: TierProgress | None = None
    balance: WorkerBalance = WorkerBalance()


class Earning(msgspec.Struct, frozen=True, kw_only=True):
    """One earned task: `gross_cents` less `commission_cents` (at `rate`) is `net_cents`."""

    task_id: str
    gross_cents: int = 0
    commission_cents: int = 0
    net_cents: int = 0
    rate: float | None = None
    status: str = ""
    frozen_until: datetime | None = None


class EarningPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a worker's earnings, newest first."""

    earnings: tuple[Earning, ...] = ()
    next_cursor: str | None = None


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """A withdrawal that was asked for and waits for approval."""

    payout_id: str
    payout_status: str
    amount_cents: int
    available_cents: int


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """One withdrawal and what became of it."""

    payout_id: str
    amount_cents: int
    payout_status: str
    method: str | None = None
    created_at: datetime | None = None


class PayoutPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a worker's payouts, newest first."""

    payouts: tuple[Payout, ...] = ()
    next_cursor: str | None = None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a token rotation."""

    token: str
