"""The chart of accounts, transfers and their lines, and how the ledger refuses."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

import msgspec


class Account(StrEnum):
    """Every account there is; a migration adds to the chart and to this at once."""

    BUYER_PAID = "buyer:paid"
    """Credit that a buyer paid for."""
    BUYER_PROMO = "buyer:promo"
    """Credit that a buyer was given; spent before what was paid."""
    ESCROW_TASK = "escrow:task"
    """A task's price from its charge to its end; the task's state is its floor."""
    WORKER_FROZEN = "worker:frozen"
    """Earnings that a credit to the buyer may still take back."""
    WORKER_AVAILABLE = "worker:available"
    """Earnings that a worker may withdraw."""
    PAYOUT = "payout"
    """Money on its way to a worker; the payout's state is its floor."""
    DISPUTE_HOLD = "dispute_hold"
    """Money set aside until a card dispute is decided."""

    STRIPE = "stripe"
    """The balance at Stripe."""
    BANK = "bank"
    """The bank account."""
    PAYPAL = "paypal"
    """The balance at PayPal."""
    USDC_SOL = "usdc_sol"
    """USDC on Solana, at one dollar each."""
    DISPUTE_RECEIVABLE = "dispute_receivable"
    """What Stripe took for a dispute and gives back if it is won."""
    RECEIVABLE_WORKER = "receivable:worker"
    """What a worker owes after a credit for earnings that were already withdrawn."""
    RECEIVABLE_BUYER = "receivable:buyer"
    """What a buyer owes after disputing a payment that was already spent."""

    COMMISSION = "commission"
    """The platform's share of settled tasks."""
    EXPENSE_PROMO = "expense:promo"
    """Credit given away."""
    EXPENSE_STRIPE_FEE = "expense:stripe_fee"
    """Stripe's fees."""
    EXPENSE_PAYOUT_FEE = "expense:payout_fee"
    """The fees of paying workers."""
    EXPENSE_QUALITY = "expense:quality"
    """What hidden checks cost."""
    EXPENSE_GOODWILL = "expense:goodwill"
    """Credits that no worker bears."""
    EXPENSE_DISPUTE = "expense:dispute"
    """The fees of disputes."""
    OWNER = "owner"
    """The owner's own money."""


ASSETS: Final = frozenset(
    {
        Account.STRIPE,
        Account.BANK,
        Account.PAYPAL,
        Account.USDC_SOL,
        Account.DISPUTE_RECEIVABLE,
        Account.RECEIVABLE_WORKER,
        Account.RECEIVABLE_BUYER,
    }
)
"""What the platform has or is owed."""

LIABILITIES: Final = frozenset(
    {
        Account.BUYER_PAID,
        Account.BUYER_PROMO,
        Account.ESCROW_TASK,
        Account.WORKER_FROZEN,
        Account.WORKER_AVAILABLE,
        Account.PAYOUT,
        Account.DISPUTE_HOLD,
    }
)
"""What the platform owes; none may fall below zero. What is neither is profit and loss."""

EXPENSES: Final = frozenset(account for account in Account if account.startswith("expense:"))
"""What running the platform costs."""

OWNER_PREFIXES: Final[Mapping[Account, str]] = {
    Account.BUYER_PAID: "byr",
    Account.BUYER_PROMO: "byr",
    Account.RECEIVABLE_BUYER: "byr",
    Account.WORKER_FROZEN: "wrk",
    Account.WORKER_AVAILABLE: "wrk",
    Account.RECEIVABLE_WORKER: "wrk",
    Account.ESCROW_TASK: "task",
    Account.PAYOUT: "pay",
}
"""The type of id that every line on an account names; lines on the others name nobody."""

BUYER_ACCOUNTS: Final = (Account.BUYER_PAID, Account.BUYER_PROMO, Account.RECEIVABLE_BUYER)
"""What a buyer has a balance in; on the receivable it is what the buyer owes."""

WORKER_ACCOUNTS: Final = (
    Account.RECEIVABLE_WORKER,
    Account.WORKER_AVAILABLE,
    Account.WORKER_FROZEN,
)
"""What a worker has a balance in; on the receivable it is what the worker owes."""

RECEIVABLES: Final = frozenset({Account.RECEIVABLE_BUYER, Account.RECEIVABLE_WORKER})
"""Balances that are owed to the platform and not by it."""

Rail = Literal[Account.PAYPAL, Account.USDC_SOL, Account.BANK]
"""The accounts that payouts leave through; `bank` is what an operator pays by hand."""


RefundReason = Literal["cancelled", "failed", "expired"]
"""How a task ended that nobody is paid for."""

TransferKind = Literal[
    "signup_bonus",
    "operator_grant",
    "task_charge",
    "settle",
    "refund_cancelled",
    "refund_failed",
    "refund_expired",
    "unfreeze",
    "deposit",
    "deposit_fee",
    "pack_bonus",
    "card_refund",
    "bonus_clawback",
    "credit",
    "dispute_opened",
    "dispute_won",
    "dispute_lost",
    "stripe_payout",
    "rail_top_up",
    "withdrawal",
    "payout_paid",
    "payout_fee",
    "payout_failed",
    "payout_rejected",
    "payout_returned",
    "check_charge",
    "check_refund",
    "check_clawback",
    "check_restore",
]
"""Every business fact that moves money; the database holds `transfers.kind` to the same."""


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One side of a transfer, which becomes one posting.

    Attributes:
        account: Where the money stands.
        owner: Whose it is: the id that `OWNER_PREFIXES` asks for, or None.
        amount_cents: US cents, never zero; a debit is positive, a credit is negative.
    """

    account: Account
    owner: str | None
    amount_cents: int


class Transfer(msgspec.Struct, frozen=True):
    """One business fact that moves money; the builders in `rules` make them.

    Attributes:
        key: The fact's own name, such as `settle:task_…`; the ledger takes each key once.
        kind: Which fact it is.
        lines: Two or more, which sum to zero.
        actor: The operator who decided it; None when the rules of the marketplace did.
    """

    key: str
    kind: TransferKind
    lines: tuple[Line, ...]
    actor: str | None = None


class Split(msgspec.Struct, frozen=True, gc=False):
    """How a price divides over a buyer's two balances, in cents; kept with the task."""

    promo_cents: int
    paid_cents: int


class Position(msgspec.Struct, frozen=True, order=True):
    """A place among all postings, which are in the order of their transfers' time.

    Attributes:
        at: A transfer's time.
        transfer_id: Parts transfers of the same time.
        line: A line of it; the place is just before it.
    """

    at: datetime
    transfer_id: UUID = UUID(int=0)
    line: int = 0


class Posting(msgspec.Struct, frozen=True):
    """A posting with what its transfer says of it.

    Attributes:
        position: Where it stands.
        kind: Which fact it is of.
        key: The fact's own name.
        account: Where the money stands.
        amount_cents: A debit is positive, a credit is negative.
        counter_accounts: The accounts on the other side of its transfer.
    """

    position: Position
    kind: TransferKind
    key: str
    account: Account
    amount_cents: int
    counter_accounts: tuple[Account, ...]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found, all of it in one snapshot of the database.

    Attributes:
        ok: Whether there is no violation.
        transactions: How many transfers there are.
        entries: How many postings there are.
        accounts: How many accounts have postings, counting those of each owner apart.
        sum_cents: The sum of all postings; zero, or money came from nowhere.
        violations: What is wrong, a sentence each; bounded, so it may not be all.
    """

    ok: bool
    transactions: int
    entries: int
    accounts: int
    sum_cents: int
    violations: tuple[str, ...]


class LedgerError(Exception):
    """The ledger refuses; the transaction that asked can only be rolled back."""


class InsufficientFunds(LedgerError):  # noqa: N818 - the ledger's own word, as in the API
    """A balance would fall below zero.

    Attributes:
        owner: Whose balance, a buyer's or a worker's id.
        account: Which balance.
        balance_cents: What it holds.
        change_cents: What the whole batch would move it by; negative.
    """

    def __init__(self, owner: str, account: Account, balance_cents: int, change_cents: int) -> None:
        super().__init__(f"{owner} {account} holds {balance_cents} cents, short for {change_cents}")
        self.owner = owner
        self.account = account
        self.balance_cents = balance_cents
        self.change_cents = change_cents


class DuplicateTransfer(LedgerError):  # noqa: N818 - says what it is, not that it is an error
    """This fact is already in the ledger (or twice in one batch).

    Attributes:
        key: The transfer's key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is already in the ledger")
        self.key = key


class UnknownAccount(LedgerError):  # noqa: N818 - says what it is, not that it is an error
    """The owner has no balance in this account: `open_accounts` was never called for it.

    Attributes:
        owner: A buyer's or a worker's id.
        account: The account that has no row.
    """

    def __init__(self, owner: str, account: Account) -> None:
        super().__init__(f"{owner} has no account {account}")
        self.owner = owner
        self.account = account
