"""The rails that payouts leave by, behind one small interface."""

from openclaw_jobs.payments.providers.base import (
    Failed,
    Outcome,
    Paid,
    PayoutOrder,
    PayoutProvider,
    Prepared,
    ProviderUnavailable,
    RailRecord,
    Returned,
    Sent,
    Unknown,
)

__all__ = [
    "Failed",
    "Outcome",
    "Paid",
    "PayoutOrder",
    "PayoutProvider",
    "Prepared",
    "ProviderUnavailable",
    "RailRecord",
    "Returned",
    "Sent",
    "Unknown",
]
