"""What goes over the wire in answers: what the contract names."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from openclaw_jobs.workers import Preferences, Schedule, Tier


class PostedTask(msgspec.Struct, frozen=True):
    """A task that was charged and queued."""

    id: str
    status: Literal["queued"]
    category: str
    price_cents: int
    balance_cents: int
    created_at: str


class TaskQuote(msgspec.Struct, frozen=True):
    """What a task would cost; nothing was charged."""

    dry_run: bool
    category: str
    price_cents: int
    balance_cents: int


class Queue(msgspec.Struct, frozen=True):
    """Where a queued task stands."""

    position: int
    workers_online: int
    estimated_wait_s: int | None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as its buyer sees it: `prompt` or `messages` as posted, neither if `erased`."""

    id: str
    status: str
    category: str
    price_cents: int
    prompt: str | UnsetType = UNSET
    messages: msgspec.Raw | UnsetType = UNSET
    metadata: msgspec.Raw | UnsetType = UNSET
    result: str | None
    progress: str | None
    created_at: str
    claimed_at: str | None
    completed_at: str | None
    credited_cents: int
    rating: Literal["up", "down"] | None
    confidence: float | None
    queue: Queue | None
    erased: bool | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class TaskList(msgspec.Struct, frozen=True):
    """A page of tasks, newest first."""

    tasks: list[Task]
    next_cursor: str | None


class Lifetime(msgspec.Struct, frozen=True):
    """A buyer's sums since it signed up."""

    deposited_cents: int
    bonus_cents: int
    spent_cents: int
    credited_cents: int


class Balance(msgspec.Struct, frozen=True):
    """What a buyer has to spend."""

    balance_cents: int
    promo_cents: int
    paid_cents: int
    lifetime: Lifetime


class Key(msgspec.Struct, frozen=True):
    """An API key; the secret is not kept."""

    id: str
    name: str | None
    created_at: str


class NewKey(msgspec.Struct, frozen=True):
    """A new API key with its secret, shown this once."""

    id: str
    key: str
    name: str | None
    created_at: str


class KeyList(msgspec.Struct, frozen=True):
    """A buyer's live keys."""

    keys: list[Key]


class Connected(msgspec.Struct, frozen=True):
    """A new worker with its token, shown this once."""

    worker_id: str
    token: str
    tier: Tier


class Token(msgspec.Struct, frozen=True):
    """A worker's new token, shown this once."""

    token: str


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """A task in a worker's hands; `traceparent` is there where the server has tracing on."""

    task_id: str
    lease_token: str
    lease_expires_at: str
    lease_seconds: int
    category: str
    messages: msgspec.Raw
    prompt: str | UnsetType = UNSET
    earning_cents: int
    attempt: int
    traceparent: str | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class AssignedList(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks in a worker's hands; when there is none, why, and when to ask again."""

    tasks: list[Assigned]
    why: dict[str, int] | UnsetType = UNSET
    retry_after_s: int | UnsetType = UNSET


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission earned."""

    task_id: str
    accepted: bool
    earned_cents: int
    frozen_until: str | None
    duplicate: bool | UnsetType = UNSET
    tasks: list[Assigned] | UnsetType = UNSET


class SubmissionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one of several submissions: a receipt, or why it was refused.

    One struct with absent fields, since no description can be made of a union of two.
    """

    task_id: str
    accepted: bool
    earned_cents: int | UnsetType = UNSET
    frozen_until: str | UnsetType | None = UNSET
    duplicate: bool | UnsetType = UNSET
    status: int | UnsetType = UNSET
    code: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class ReceiptList(msgspec.Struct, frozen=True, kw_only=True):
    """An answer for each submission, in order."""

    receipts: list[SubmissionAnswer]
    tasks: list[Assigned] | UnsetType = UNSET


class LeaseExtended(msgspec.Struct, frozen=True):
    """When the lease now ends."""

    lease_expires_at: str


class WorkerStats(msgspec.Struct, frozen=True):
    """How a worker's claims ended; `today` counts completed tasks of this UTC day."""

    completed: int
    failed: int
    expired: int
    credited: int
    completion_rate: float
    credit_rate: float
    today: int


class TierRequirement(msgspec.Struct, frozen=True):
    """One thing that the next tier asks for."""

    name: str
    current: float
    required: float


class TierProgress(msgspec.Struct, frozen=True):
    """What is missing for the next tier."""

    next_tier: Tier | None
    requirements: list[TierRequirement]


class WorkerBalance(msgspec.Struct, frozen=True):
    """What a worker has earned."""

    available_cents: int
    frozen_cents: int
    today_cents: int
    lifetime_cents: int


class PayoutBinding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker is paid; after a change nothing can be withdrawn until `withdrawals_from`."""

    method: str
    address: str
    withdrawals_from: str | None


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's own account. E-mail and payout are null until they are bound."""

    worker_id: str
    name: str | None
    model: str | None
    capabilities: list[str]
    tier: Tier
    status: str
    suspended_until: str | None
    suspended_reason: str | None
    strikes: int
    email: str | None
    email_verified: bool
    payout: PayoutBinding | None
    preferences: Preferences
    schedule: Schedule | None
    stats: WorkerStats
    tier_progress: TierProgress
    balance: WorkerBalance


class Earning(msgspec.Struct, frozen=True, kw_only=True):
    """What one task earned; `rate` is the share that the platform kept."""

    task_id: str
    gross_cents: int
    commission_cents: int
    net_cents: int
    rate: float
    status: str
    frozen_until: str
    created_at: str


class EarningList(msgspec.Struct, frozen=True):
    """A page of earnings, newest first."""

    earnings: list[Earning]
    next_cursor: str | None


class ConfigSection(msgspec.Struct, frozen=True):
    """A section of the runtime configuration in force."""

    key: str
    value: dict[str, Any]
    version: int
    updated_at: str


class ConfigList(msgspec.Struct, frozen=True):
    """All sections in force."""

    config: dict[str, ConfigSection]
