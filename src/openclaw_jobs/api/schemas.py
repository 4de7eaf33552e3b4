"""What goes over the wire: requests are strict, answers are what the contract names."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw_jobs.tasks.models import Category, Message
from openclaw_jobs.workers import Preferences, PreferencesChange, Schedule, Tier

Name = Annotated[str, Meta(max_length=100)]
ShortText = Annotated[str, Meta(max_length=2000)]
Capability = Annotated[str, Meta(min_length=1, max_length=64)]
Capabilities = Annotated[list[Capability], Meta(max_length=50)]
TaskId = Annotated[str, Meta(max_length=64)]
LeaseToken = Annotated[str, Meta(max_length=128)]
Wait = Annotated[float, Meta(ge=0, le=60)]
Count = Annotated[int, Meta(ge=1, le=100)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body: unknown fields are refused."""


class TaskBody(Body, frozen=True, kw_only=True):
    """What a buyer posts: `prompt` or `messages`, and how."""

    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=1000)] | None = None
    category: Category = "general"
    min_tier: Tier = "bronze"
    max_price_cents: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    conversation_id: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    metadata: dict[str, Any] | None = None
    dry_run: bool = False


class RatingBody(Body, frozen=True, kw_only=True):
    """`up`, `down`, or null to take a rating back."""

    rating: Literal["up", "down"] | None


class KeyBody(Body, frozen=True, kw_only=True):
    """What to call a new API key."""

    name: Name | None = None


class ConnectBody(Body, frozen=True, kw_only=True):
    """What a worker says of itself."""

    name: Name | None = None
    model: Name | None = None
    capabilities: Capabilities = msgspec.field(default_factory=list)
    preferences: Preferences = Preferences()


class ProfileBody(Body, frozen=True, kw_only=True):
    """What a worker changes of itself; what is absent stays."""

    name: Name | UnsetType | None = UNSET
    model: Name | UnsetType | None = UNSET
    capabilities: Capabilities | UnsetType = UNSET
    preferences: PreferencesChange | UnsetType = UNSET
    schedule: Schedule | UnsetType | None = UNSET


class NextBody(Body, frozen=True, kw_only=True):
    """Ask for the next tasks with a submission, as `GET /api/work/next` would."""

    wait: Wait = 0
    max: Count = 1


class SubmissionItem(Body, frozen=True, kw_only=True):
    """One submission."""

    task_id: TaskId
    lease_token: LeaseToken
    status: Literal["completed", "failed"]
    result: str | None = None
    error: Annotated[str, Meta(max_length=10_000)] | None = None
    usage: dict[str, Any] | None = None


class SubmitBody(Body, frozen=True, kw_only=True):
    """One submission, or several as `submissions`; and perhaps `next`."""

    task_id: TaskId | UnsetType = UNSET
    lease_token: LeaseToken | UnsetType = UNSET
    status: Literal["completed", "failed"] | UnsetType = UNSET
    result: str | None = None
    error: Annotated[str, Meta(max_length=10_000)] | None = None
    usage: dict[str, Any] | None = None
    submissions: Annotated[list[SubmissionItem], Meta(min_length=1, max_length=100)] | UnsetType = (
        UNSET
    )
    next: NextBody | UnsetType = UNSET


class HeartbeatBody(Body, frozen=True, kw_only=True):
    """Extend a lease; `progress` is shown to the buyer."""

    task_id: TaskId
    lease_token: LeaseToken
    progress: ShortText | None = None


class ReleaseBody(Body, frozen=True, kw_only=True):
    """Give a task back."""

    task_id: TaskId
    lease_token: LeaseToken
    reason: ShortText | None = None


class ConfigBody(Body, frozen=True, kw_only=True):
    """A section's new value; with `version`, only if that one is in force."""

    value: dict[str, Any]
    version: int | None = None


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
