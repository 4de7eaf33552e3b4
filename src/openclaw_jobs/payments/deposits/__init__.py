"""Deposits: what a buyer pays by card, through Stripe, and what becomes of it afterwards.

`gateway` is the only file that talks to Stripe; `rules` decides; `store` and `store_events` keep.
What an event of Stripe's changes here is a use case in `market/`.
"""

from openclaw_jobs.payments.deposits.desk import DepositDesk, open_desk
from openclaw_jobs.payments.deposits.gateway import (
    BuiltSession,
    ChargeFee,
    StripeGateway,
    StripeRefused,
    StripeUnavailable,
)
from openclaw_jobs.payments.deposits.models import (
    PACKS,
    Deposit,
    DepositStatus,
    NewDeposit,
    PackName,
    StoredEvent,
)

__all__ = [
    "PACKS",
    "BuiltSession",
    "ChargeFee",
    "Deposit",
    "DepositDesk",
    "DepositStatus",
    "NewDeposit",
    "PackName",
    "StoredEvent",
    "StripeGateway",
    "StripeRefused",
    "StripeUnavailable",
    "open_desk",
]
