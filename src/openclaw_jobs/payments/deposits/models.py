"""A deposit, and as much of Stripe's objects as we read. Amounts are US cents."""

from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

PackName = Literal["starter", "standard", "pro", "business"]
PACKS: Final[tuple[PackName, ...]] = get_args(PackName)
"""The packs on sale; what each costs and gives is in the runtime configuration."""

DepositStatus = Literal["creating", "open", "paid", "failed", "expired"]

CURRENCY: Final = "usd"
"""The only currency of this marketplace, as Stripe spells it."""

PRODUCT: Final = "OpenClaw Credits"
"""What a buyer buys, as Checkout and the receipt call it."""


class NewDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit as it is begun; `request_key` is the buyer's `Idempotency-Key`, if any."""

    deposit_id: str
    buyer_id: str
    pack: PackName
    cents: int
    bonus_cents: int
    request_key: str | None


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """A pack that a buyer wants to pay, or has paid.

    Attributes:
        status: `creating` until Stripe has made a session of it; `paid` once and for ever.
        session_id: Stripe's Checkout session.
        payment_intent_id: Stripe's payment, known once the session is completed.
        charge_id: Stripe's charge, known from the first thing that is told of it.
        fee_cents: What Stripe kept; None until it has said so.
        refunded_cents: All that went back to the card so far.
        clawed_bonus_cents: All of the bonus that was taken back for it.
    """

    deposit_id: str
    buyer_id: str
    pack: PackName
    cents: int
    bonus_cents: int
    status: DepositStatus
    session_id: str | None
    payment_intent_id: str | None
    charge_id: str | None
    fee_cents: int | None
    refunded_cents: int
    clawed_bonus_cents: int
    fee_attempts: int
    created_at: datetime
    paid_at: datetime | None


class DepositPage(msgspec.Struct, frozen=True):
    """Some of a buyer's deposits, newest first; `resume_after` is the last id if there are more."""

    deposits: list[Deposit]
    resume_after: str | None


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that the buyer's bank took back; `paid_cents` of it were still unspent."""

    dispute_id: str
    deposit_id: str
    buyer_id: str
    cents: int
    fee_cents: int
    paid_cents: int
    status: Literal["open", "won", "lost"]


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider told us, as it came; `attempts` is how often it was tried in vain."""

    source: str
    event_id: str
    type: str
    payload: str
    attempts: int


# Stripe's ids stand in keys of the ledger between colons, so they have to be plain.
StripeId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}\Z")]
Amount = Annotated[int, Meta(ge=0, le=10**12)]


class EventHead(msgspec.Struct, frozen=True):
    """What every event has; the rest depends on its type."""

    id: StripeId
    type: Annotated[str, Meta(pattern=r"^[a-z0-9_.]{1,255}\Z")]


class EventData(msgspec.Struct, frozen=True):
    """The object that an event is about, as it was at that time."""

    object: msgspec.Raw


class EventBody(msgspec.Struct, frozen=True):
    """An event with its object, still to be decoded by the type."""

    data: EventData


class SessionObject(msgspec.Struct, frozen=True):
    """A Checkout session."""

    id: StripeId
    payment_status: str = "unpaid"
    payment_intent: StripeId | None = None
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, str] | None = None


class ChargeObject(msgspec.Struct, frozen=True):
    """A charge; `amount_refunded` is all that was refunded so far."""

    id: StripeId
    amount_refunded: Amount
    payment_intent: StripeId | None = None
    currency: str = CURRENCY


class BalanceChange(msgspec.Struct, frozen=True):
    """What a dispute did to the balance at Stripe; money that left is negative."""

    amount: int
    fee: int = 0


class DisputeObject(msgspec.Struct, frozen=True):
    """A dispute; `balance_transactions` are the money that left and, if it did, came back."""

    id: StripeId
    amount: Annotated[int, Meta(ge=1, le=10**12)]
    status: str
    charge: StripeId | None = None
    payment_intent: StripeId | None = None
    currency: str = CURRENCY
    balance_transactions: list[BalanceChange] = []


class PayoutObject(msgspec.Struct, frozen=True):
    """Money on its way from Stripe to the bank account."""

    id: StripeId
    amount: Amount
    currency: str = CURRENCY
