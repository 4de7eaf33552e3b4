"""The sections of the runtime configuration, one frozen struct each.

A section is what `/api/admin/config/{key}` reads and writes. Every field is required here, but for
what a later version brought: the values of the first start are in `seed.py` and nowhere else. What
one field may hold is said by its type; what fields must hold together is in `rules.py`.
`docs/reference/configuration.md` describes each field to operators.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

MAX_CENTS: Final = 100_000_000
"""No amount in the configuration exceeds this (a million dollars), so no sum nears a bigint."""

DEFAULT_CATEGORY: Final = "default"
"""The entry that serves every category that has none of its own."""

_DAY_SECONDS: Final = 86_400

Cents: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_CENTS)]
PositiveCents: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_CENTS)]
# Stripe refuses a charge under 50 cents (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
PackCents: TypeAlias = Annotated[int, Meta(ge=50, le=MAX_CENTS)]
Rate: TypeAlias = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]
Hours: TypeAlias = Annotated[int, Meta(ge=0, le=8760)] | Annotated[float, Meta(ge=0, le=8760)]
Percent: TypeAlias = Annotated[int, Meta(ge=0, le=100)]
BudgetPercent: TypeAlias = (
    Annotated[int, Meta(ge=0, le=1000)] | Annotated[float, Meta(ge=0, le=1000)]
)
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Attempted: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
WatchHours: TypeAlias = Annotated[int, Meta(ge=1, le=720)]
WaitSeconds: TypeAlias = (
    Annotated[int, Meta(ge=0, le=30 * _DAY_SECONDS)]
    | Annotated[float, Meta(ge=0, le=30 * _DAY_SECONDS)]
)
LeaseSeconds: TypeAlias = Annotated[int, Meta(ge=1, le=_DAY_SECONDS)]
LongSeconds: TypeAlias = Annotated[int, Meta(ge=1, le=365 * _DAY_SECONDS)]
Bytes: TypeAlias = Annotated[int, Meta(ge=64, le=16 * 1024 * 1024)]
# An operator's own calls fall under this limit: lower, and it could never be raised again.
SmallBytes: TypeAlias = Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)]
Category: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}\Z")]
CentsByCategory: TypeAlias = Annotated[dict[Category, Cents], Meta(min_length=1, max_length=200)]


class Tier(StrEnum):
    """A worker's rank, lowest first; it decides commission and who is served first."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections are: immutable, by keyword, and refusing fields they don't know."""


class Pricing(Section, frozen=True, kw_only=True):
    """What a task costs the buyer; see `rules.price_cents`."""

    base_cents: CentsByCategory
    per_1000_chars_cents: Cents
    min_cents: PositiveCents
    max_cents: PositiveCents


class Pack(Section, frozen=True, kw_only=True):
    """One prepaid pack: what is paid, and the bonus on top."""

    cents: PackCents
    bonus_cents: Cents


class Packs(Section, frozen=True, kw_only=True):
    """The prepaid packs on sale."""

    starter: Pack
    standard: Pack
    pro: Pack
    business: Pack


class Signup(Section, frozen=True, kw_only=True):
    """What a new buyer is given when they sign up on the web."""

    bonus_cents: Cents


class TierRates(Section, frozen=True, kw_only=True):
    """The share of a task's price that the platform keeps, for each tier."""

    bronze: Rate
    silver: Rate
    gold: Rate
    platinum: Rate


class Commissions(Section, frozen=True, kw_only=True):
    """The platform's share, and when and how a worker gets theirs."""

    rate_by_tier: TierRates
    freeze_window_hours: Hours
    min_withdrawal_cents: PositiveCents
    daily_withdrawal_limit_cents: PositiveCents
    require_verified_email: bool
    payout_change_delay_hours: Hours
    auto_approve_under_cents: Cents


class TierThreshold(Section, frozen=True, kw_only=True):
    """What a worker needs for a tier: all four at once."""

    completed: Count
    completion_rate: Rate
    credit_rate: Rate
    quality: Rate


class Tiers(Section, frozen=True, kw_only=True):
    """Thresholds of the tiers above bronze, where every worker begins."""

    silver: TierThreshold
    gold: TierThreshold
    platinum: TierThreshold


class Dispatch(Section, frozen=True, kw_only=True):
    """Who gets which task, for how long, and what happens when a lease is lost."""

    lease_seconds: LeaseSeconds
    max_attempts: Attempted
    fairness_percent: Percent
    strikes: Attempted
    suspension_seconds: LongSeconds
    queue_expiry_seconds: LongSeconds
    task_fault_after: Attempted
    cents_to_seconds: WaitSeconds
    max_price_bonus_seconds: WaitSeconds


class ComparisonRule(Section, frozen=True, kw_only=True):
    """How two results of a category are compared.

    `method` is what measures likeness where nothing firmer decides; without a threshold the
    calibrated one of the method and the kind of text counts.
    """

    method: Literal["exact", "normalised", "jaccard", "token_sort", "semantic"]
    threshold: Rate | None = None


ComparisonByCategory: TypeAlias = Annotated[
    dict[Category, Rate | ComparisonRule], Meta(min_length=1, max_length=200)
]
"""A number is a threshold of the default method, `token_sort`."""


class Quality(Section, frozen=True, kw_only=True):
    """How much is checked behind the scenes, what it may cost, and what a buyer may ask back."""

    enabled: bool
    shadow_rate: Rate
    spot_check_rate: Rate | None
    benchmark_rate: Rate
    check_delay_seconds: WaitSeconds
    daily_budget_percent: BudgetPercent
    budget_floor_cents: Cents
    thresholds: ComparisonByCategory
    separate_by_address: bool
    credit_window_hours: Hours
    auto_credit_rate: Rate
    auto_credit_min_tasks: Count


class RateLimit(Section, frozen=True, kw_only=True):
    """At most `limit` calls in any `per_seconds` seconds."""

    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    per_seconds: Annotated[int, Meta(ge=1, le=_DAY_SECONDS)]


class RateLimits(Section, frozen=True, kw_only=True):
    """One limit for each kind of call, counted by address and, where there is one, by token."""

    connect: RateLimit
    work_next: RateLimit
    task_submit: RateLimit
    work_submit: RateLimit
    auth_failures: RateLimit
    withdraw: RateLimit
    deposit: RateLimit
    heartbeat: RateLimit
    worker_write: RateLimit
    buyer_write: RateLimit
    api_read: RateLimit
    stream: RateLimit
    webhook: RateLimit
    sign_in: RateLimit
    email_code: RateLimit
    # Came later than the others: what was stored before lacks it.
    health: RateLimit = RateLimit(limit=1_200, per_seconds=60)
    admin: RateLimit


class Retention(Section, frozen=True, kw_only=True):
    """How long what people wrote is kept; the books are kept for ever."""

    task_text_days: Annotated[int, Meta(ge=1, le=36_500)] | None


class Abuse(Section, frozen=True, kw_only=True):
    """From when on something looks like abuse; see `docs/how-to/fight-abuse.md`."""

    window_hours: WatchHours
    unfinished_claims_min: Attempted
    unfinished_rate_limit: Rate
    new_worker_completed: Count
    new_worker_max_concurrent: Annotated[int, Meta(ge=1, le=1000)]
    workers_per_network_per_day: Attempted
    sign_ups_per_network_per_day: Attempted
    bonuses_per_network_per_day: Attempted
    one_bonus_per_mailbox: bool
    bonus_for_disposable_mail: bool
    separate_own_workers: bool
    payout_changes_max: Attempted
    payout_changes_days: Annotated[int, Meta(ge=1, le=365)]
    rejected_credits_max: Attempted
    scan_texts: bool


class PayloadLimits(Section, frozen=True, kw_only=True):
    """The largest body of each kind of call, in bytes."""

    worker_connect: Bytes
    task_input: Bytes
    work_submit: Bytes
    worker_profile: Bytes
    small_body: SmallBytes
    webhook: Bytes


ConfigKey: TypeAlias = Literal[
    "pricing",
    "packs",
    "signup",
    "commissions",
    "tiers",
    "dispatch",
    "quality",
    "rate_limits",
    "payload_limits",
    "retention",
    "abuse",
]

SECTIONS: Final[Mapping[str, type[Section]]] = {
    "pricing": Pricing,
    "packs": Packs,
    "signup": Signup,
    "commissions": Commissions,
    "tiers": Tiers,
    "dispatch": Dispatch,
    "quality": Quality,
    "rate_limits": RateLimits,
    "payload_limits": PayloadLimits,
    "retention": Retention,
    "abuse": Abuse,
}
"""Every configuration key with the type of its value, in the order they are shown."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All sections as they stood at one moment, and the version of each."""

    pricing: Pricing
    packs: Packs
    signup: Signup
    commissions: Commissions
    tiers: Tiers
    dispatch: Dispatch
    quality: Quality
    rate_limits: RateLimits
    payload_limits: PayloadLimits
    retention: Retention
    abuse: Abuse
    versions: dict[str, int]


class ConfigEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One section in force, as `/api/admin/config/{key}` answers it."""

    key: str
    value: Section
    version: int
    updated_at: datetime


class ConfigVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a section as it was written; an old one need not fit today's schema."""

    key: str
    version: int
    value: dict[str, Any]
    actor: str
    created_at: datetime


class FieldChange(msgspec.Struct, frozen=True):
    """A field that changed: its dotted path below the key, and its value before and after.

    A field that did not exist on one side is None there.
    """

    field: str
    old: Any
    new: Any


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a write did: the section now in force, and what differs from the one before."""

    entry: ConfigEntry
    previous_version: int
    changes: list[FieldChange]


class StoredConfigError(Exception):
    """What the database holds cannot be used: a section is missing or fails its own schema."""
