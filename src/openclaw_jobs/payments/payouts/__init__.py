"""Payouts: earnings on their way to a worker, from the wish to the money's arrival."""

from openclaw_jobs.payments.payouts.models import (
    LIVE,
    Attempt,
    DuePayout,
    Payout,
    PayoutMethod,
    PayoutPage,
    PayoutStatus,
)

__all__ = [
    "LIVE",
    "Attempt",
    "DuePayout",
    "Payout",
    "PayoutMethod",
    "PayoutPage",
    "PayoutStatus",
]
