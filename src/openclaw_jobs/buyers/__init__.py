"""Buyers: who posts tasks, and their lifetime sums."""

from openclaw_jobs.buyers.models import BuyerTotals, TotalsChange
from openclaw_jobs.buyers.service import (
    buyer_of_user,
    create_buyer,
    refuse_suspended,
    reinstate,
    suspend,
    suspended_among,
    suspended_problem,
    totals,
    update_totals,
)

__all__ = [
    "BuyerTotals",
    "TotalsChange",
    "buyer_of_user",
    "create_buyer",
    "refuse_suspended",
    "reinstate",
    "suspend",
    "suspended_among",
    "suspended_problem",
    "totals",
    "update_totals",
]
