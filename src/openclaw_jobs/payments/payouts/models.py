"""What a payout and an attempt at paying it are; all amounts in US cents."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from openclaw_jobs.payments.providers import PayoutOrder
from openclaw_jobs.payments.providers.base import ProviderName

PayoutMethod = Literal["paypal", "solana"]
PayoutStatus = Literal[
    "pending",
    "approved",
    "submitting",
    "submitted",
    "unknown",
    "paid",
    "failed",
    "rejected",
    "returned",
]
AttemptStatus = Literal["started", "sent", "paid", "failed"]

STARTED: Final[frozenset[PayoutStatus]] = frozenset({"submitting", "submitted", "unknown"})
"""An attempt is under way, and its money may have left."""
LIVE: Final[frozenset[PayoutStatus]] = STARTED | {"pending", "approved"}
"""The money is set aside: it is neither the worker's nor out."""


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's withdrawal.

    Attributes:
        method: What the worker chose when it asked, with the `address` of that moment.
        provider: Who pays it; None until it is approved.
        attempt: The latest attempt, 0 before the first.
        fee_cents: What the rail took on top, once it is paid.
        error: Why it failed, was rejected or came back, or what was last not known.
        ended_at: When it was paid, failed, rejected or returned.
    """

    payout_id: str
    worker_id: str
    amount_cents: int
    fee_cents: int
    method: PayoutMethod
    address: str
    provider: ProviderName | None
    status: PayoutStatus
    attempt: int
    approved_by: str | None
    approved_at: datetime | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a provider; see `providers.PayoutOrder` for what its fields mean.

    Attributes:
        prepared: Whether it may have been sent: what must be stored first has been.
    """

    payout_id: str
    attempt: int
    provider: ProviderName
    key: str
    reference: str | None
    signed: bytes | None
    valid_until: int | None
    prepared: bool
    status: AttemptStatus


class DuePayout(msgspec.Struct, frozen=True, kw_only=True):
    """A payout that something is to be done for now.

    Attributes:
        attempt: Its latest attempt, None before the first.
        age_s: Seconds since that attempt began, by the database's clock.
    """

    payout: Payout
    attempt: Attempt | None
    age_s: float


class PayoutPage(msgspec.Struct, frozen=True):
    """Some payouts, newest first; `next_cursor` is the last one's id if there are more."""

    payouts: list[Payout]
    next_cursor: str | None


def order_of(payout: Payout, attempt: Attempt) -> PayoutOrder:
    """The attempt as a provider is asked for it."""
    return PayoutOrder(
        payout_id=payout.payout_id,
        attempt=attempt.attempt,
        key=attempt.key,
        amount_cents=payout.amount_cents,
        address=payout.address,
        reference=attempt.reference,
        signed=attempt.signed,
        valid_until=attempt.valid_until,
    )
