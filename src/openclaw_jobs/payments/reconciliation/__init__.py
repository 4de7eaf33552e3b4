"""A rail's own records against the ledger, movement by movement."""

from openclaw_jobs.payments.reconciliation.models import (
    Finding,
    LedgerMovement,
    RailRecords,
    Reconciliation,
)
from openclaw_jobs.payments.reconciliation.rules import compare

__all__ = ["Finding", "LedgerMovement", "RailRecords", "Reconciliation", "compare"]
