"""What the marketplace knows of a worker."""

from datetime import date, datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Tier = Literal["bronze", "silver", "gold", "platinum"]
TIERS: Final[tuple[Tier, ...]] = ("bronze", "silver", "gold", "platinum")
"""Lowest first; a tier's place here is its rank."""

Standing = Literal["active", "suspended", "banned"]

Category = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}\Z")]
Hour = Annotated[int, Meta(ge=0, le=24)]


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a worker wants work: hours of the day in its own time zone.

    A span of `[22, 6]` goes over midnight. No span at all means at no time.
    """

    timezone: Annotated[str, Meta(max_length=64)]
    hours: Annotated[list[tuple[Hour, Hour]], Meta(max_length=24)]


class Preferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which work a worker wants; binds dispatch.

    `categories` None means any; `daily_limit` None means no limit, else the most tasks it
    completes in a UTC day; `min_earning_cents` is after commission.
    """

    categories: Annotated[list[Category], Meta(min_length=1, max_length=50)] | None = None
    min_earning_cents: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    max_concurrent: Annotated[int, Meta(ge=1, le=1000)] = 10
    daily_limit: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None


class PreferencesChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Preferences to set; what is UNSET stays as it is. The fields are those of `Preferences`.

    None is "any" or "no limit" where it can be said in preferences, and elsewhere UNSET.
    """

    categories: Annotated[list[Category], Meta(min_length=1, max_length=50)] | UnsetType | None = (
        UNSET
    )
    min_earning_cents: Annotated[int, Meta(ge=0, le=100_000_000)] | UnsetType | None = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=1000)] | UnsetType | None = UNSET
    daily_limit: Annotated[int, Meta(ge=0, le=1000000000)] | UnsetType | None = UNSET

    def applied_to(self, old: Preferences) -> Preferences:
        """`old` with what is set here."""
        changes = {
            field: value
            for field in self.__struct_fields__
            if (value := getattr(self, field)) is not UNSET
            and (value is not None or field in _NULLABLE)
        }
        return msgspec.structs.replace(old, **changes)


_NULLABLE: Final = frozenset({"categories", "daily_limit"})


class WorkerIdentity(msgspec.Struct, frozen=True):
    """A worker as authentication finds it, with all that dispatch wants to know of it."""

    worker_id: str
    tier: Tier
    standing: Standing
    suspended_until: datetime | None
    preferences: Preferences
    schedule: Schedule | None


class Profile(msgspec.Struct, frozen=True):
    """A worker as it sees itself."""

    worker_id: str
    name: str | None
    model: str | None
    capabilities: list[str]
    tier: Tier
    standing: Standing
    suspended_until: datetime | None
    suspended_reason: str | None
    strikes: int
    preferences: Preferences
    schedule: Schedule | None
    created_at: datetime


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker is reached and paid; `now` is when it was read, by the database's clock.

    Attributes:
        email: The address it gave, proven to be its own if `email_verified`.
        payout_address: A PayPal e-mail address or a Solana address, as `payout_method` says.
        payout_blocked_until: Nothing can be withdrawn before, as the payout address was changed.
    """

    email: str | None
    email_verified: bool
    payout_method: Literal["paypal", "solana"] | None
    payout_address: str | None
    payout_blocked_until: datetime | None
    standing: Standing
    suspended_until: datetime | None
    now: datetime


class WorkerStats(msgspec.Struct, frozen=True):
    """How a worker's claims ended, and what they earned; `today` is a UTC day."""

    completed: int
    failed: int
    expired: int
    released: int
    credited: int
    lifetime_cents: int
    today: date
    today_completed: int
    today_cents: int


class StatsChange(msgspec.Struct, frozen=True):
    """What a transaction adds to a worker's statistics."""

    worker_id: str
    completed: int = 0
    failed: int = 0
    expired: int = 0
    released: int = 0
    earned_cents: int = 0
