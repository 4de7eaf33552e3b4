"""Workers, buyers, deposits and events as an operator sees them; amounts in cents."""

from datetime import datetime

import msgspec

from openclaw_jobs.workers.models import Standing, Tier


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker; `standing` is the one that counts now, `owed_cents` is what it owes.

    `status` is the same as `standing`, by the name that the worker's own account has for it.
    """

    worker_id: str
    name: str | None
    model: str | None
    tier: Tier
    standing: Standing
    status: Standing
    suspended_until: datetime | None
    suspended_reason: str | None
    strikes: int
    email: str | None
    created_at: datetime
    completed: int
    failed: int
    expired: int
    credited: int
    held: int
    frozen_cents: int
    available_cents: int
    owed_cents: int


class BuyerRow(msgspec.Struct, frozen=True):
    """A buyer with its balances and lifetime sums; `owed_cents` is what it owes."""

    buyer_id: str
    email: str
    suspended_at: datetime | None
    suspended_reason: str | None
    created_at: datetime
    paid_cents: int
    promo_cents: int
    owed_cents: int
    deposited_cents: int
    bonus_cents: int
    spent_cents: int
    credited_cents: int


class EventRow(msgspec.Struct, frozen=True):
    """What a provider told us, without what it said: that may hold a buyer's data."""

    source: str
    event_id: str
    type: str
    status: str
    attempts: int
    error: str | None
    received_at: datetime
    handled_at: datetime | None


class DepositRow(msgspec.Struct, frozen=True):
    """A deposit with all of its names at Stripe."""

    deposit_id: str
    buyer_id: str
    pack: str
    amount_cents: int
    bonus_cents: int
    refunded_cents: int
    fee_cents: int | None
    status: str
    session_id: str | None
    payment_intent_id: str | None
    charge_id: str | None
    created_at: datetime
    paid_at: datetime | None
