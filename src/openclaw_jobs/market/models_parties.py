"""Workers and buyers as an operator sees them; amounts in cents."""

from datetime import datetime

import msgspec

from openclaw_jobs.workers.models import Standing, Tier


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker; `standing` is the one that counts now, `owed_cents` is what it owes."""

    worker_id: str
    name: str | None
    model: str | None
    tier: Tier
    standing: Standing
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
