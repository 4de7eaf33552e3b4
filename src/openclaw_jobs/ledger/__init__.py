"""Money that adds up: a double-entry, append-only ledger in integer US cents.

A transfer is one business fact; its postings sum to zero. `rules` builds a transfer for every
fact, `post` writes any number of them and moves the balances that they touch, `verify` proves
the whole. What makes it safe is in the database (revision 0001), not here.
"""

from openclaw_jobs.ledger.models import (
    BUYER_ACCOUNTS,
    WORKER_ACCOUNTS,
    Account,
    DuplicateTransfer,
    InsufficientFunds,
    LedgerError,
    Line,
    Proof,
    RefundReason,
    Split,
    Transfer,
    TransferKind,
    UnknownAccount,
)
from openclaw_jobs.ledger.rules import (
    commission_cents,
    operator_grant,
    refund,
    settle,
    signup_bonus,
    split_charge,
    task_charge,
    unfreeze,
)
from openclaw_jobs.ledger.service import (
    balances,
    open_accounts,
    post,
    verify,
)
from openclaw_jobs.ledger.store import refusal

__all__ = [
    "BUYER_ACCOUNTS",
    "WORKER_ACCOUNTS",
    "Account",
    "DuplicateTransfer",
    "InsufficientFunds",
    "LedgerError",
    "Line",
    "Proof",
    "RefundReason",
    "Split",
    "Transfer",
    "TransferKind",
    "UnknownAccount",
    "balances",
    "commission_cents",
    "open_accounts",
    "operator_grant",
    "post",
    "refund",
    "refusal",
    "settle",
    "signup_bonus",
    "split_charge",
    "task_charge",
    "unfreeze",
    "verify",
]
