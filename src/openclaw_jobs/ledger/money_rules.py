"""What deposits, credits, payouts and disputes do to the accounts; pure, one builder a fact.

`rules` has the facts of a task's own life. Keys name the object that a fact is about, never the
message that told of it, so that a message in any order and any number of times changes nothing.
"""

from collections.abc import Mapping
from typing import Final

from openclaw_jobs.ledger.models import Account, Line, Rail, Split, Transfer
from openclaw_jobs.ledger.rules import not_negative, transfer

_STRIPE: Final = Account.STRIPE
_BUYER_PAID: Final = Account.BUYER_PAID
_BUYER_PROMO: Final = Account.BUYER_PROMO
_BUYER_OWES: Final = Account.RECEIVABLE_BUYER
_WORKER_OWES: Final = Account.RECEIVABLE_WORKER
_FROZEN: Final = Account.WORKER_FROZEN
_AVAILABLE: Final = Account.WORKER_AVAILABLE
_PAYOUT: Final = Account.PAYOUT


def deposit(session: str, buyer: str, cents: int, owed_cents: int) -> Transfer | None:
    """A buyer's payment arrived at Stripe; what the buyer owes is repaid first.

    Args:
        session: The Checkout session's id, which names the deposit.
        buyer: Who paid.
        cents: How much.
        owed_cents: What the buyer owes on its receivable.
    """
    not_negative(cents=cents, owed_cents=owed_cents)
    repaid = min(cents, owed_cents)
    return transfer(
        f"deposit:{session}",
        "deposit",
        Line(_STRIPE, None, cents),
        Line(_BUYER_OWES, buyer, -repaid),
        Line(_BUYER_PAID, buyer, repaid - cents),
    )


def deposit_fee(session: str, fee_cents: int) -> Transfer | None:
    """What Stripe kept of a deposit, from its balance transaction."""
    not_negative(fee_cents=fee_cents)
    return transfer(
        f"deposit_fee:{session}",
        "deposit_fee",
        Line(Account.EXPENSE_STRIPE_FEE, None, fee_cents),
        Line(_STRIPE, None, -fee_cents),
    )


def pack_bonus(session: str, buyer: str, bonus_cents: int) -> Transfer | None:
    """The bonus of a pack that was paid."""
    not_negative(bonus_cents=bonus_cents)
    return transfer(
        f"pack_bonus:{session}",
        "pack_bonus",
        Line(Account.EXPENSE_PROMO, None, bonus_cents),
        Line(_BUYER_PROMO, buyer, -bonus_cents),
    )


def card_refund(
    charge: str, total: int, buyer: str, cents: int, paid_balance: int
) -> Transfer | None:
    """Money went back to a buyer's card: from its paid credit, the rest it owes.

    Args:
        charge: The Stripe charge.
        total: All that has been refunded of the charge so far; names this step.
        buyer: Whose card.
        cents: How much of it is new.
        paid_balance: The buyer's paid credit.
    """
    not_negative(cents=cents, paid_balance=paid_balance)
    taken = min(cents, paid_balance)
    return transfer(
        f"card_refund:{charge}:{total}",
        "card_refund",
        Line(_BUYER_PAID, buyer, taken),
        Line(_BUYER_OWES, buyer, cents - taken),
        Line(_STRIPE, None, -cents),
    )


def bonus_clawback(charge: str, total: int, buyer: str, cents: int) -> Transfer | None:
    """The bonus that came with money which went back; `cents` is what the buyer still has of it."""
    not_negative(cents=cents)
    return transfer(
        f"bonus_clawback:{charge}:{total}",
        "bonus_clawback",
        Line(_BUYER_PROMO, buyer, cents),
        Line(Account.EXPENSE_PROMO, None, -cents),
    )


def credit(
    task: str,
    buyer: str,
    split: Split,
    worker: str,
    commission: int,
    taken: Mapping[Account, int],
) -> Transfer | None:
    """A buyer gets a task's price back: from its worker, and the platform's commission.

    Args:
        task: The task.
        buyer: Who is credited.
        split: The parts of the task's charge, which go back to where they came from.
        worker: Who was paid.
        commission: What the platform had kept.
        taken: Where the worker's part comes from: its frozen or its available earnings, and what
            it cannot give now on its receivable.

    Raises:
        ValueError: The two sides differ.
    """
    not_negative(commission=commission, **{str(k): v for k, v in taken.items()})
    return transfer(
        f"credit:{task}",
        "credit",
        Line(Account.COMMISSION, None, commission),
        *(Line(account, worker, cents) for account, cents in taken.items()),
        Line(_BUYER_PROMO, buyer, -split.promo_cents),
        Line(_BUYER_PAID, buyer, -split.paid_cents),
    )


def dispute_opened(
    dispute: str, buyer: str, cents: int, fee_cents: int, paid_balance: int
) -> tuple[Transfer | None, int]:
    """A buyer's bank took a payment back for now.

    Stripe takes amount and fee; the buyer's paid credit is set aside as far as it goes, and the
    rest the buyer owes.

    Returns:
        The transfer, and how much of the amount came from the paid credit.
    """
    not_negative(cents=cents, fee_cents=fee_cents, paid_balance=paid_balance)
    taken = min(cents, paid_balance)
    opened = transfer(
        f"dispute_opened:{dispute}",
        "dispute_opened",
        Line(Account.DISPUTE_RECEIVABLE, None, cents),
        Line(Account.EXPENSE_DISPUTE, None, fee_cents),
        Line(_STRIPE, None, -cents - fee_cents),
        Line(_BUYER_PAID, buyer, taken),
        Line(_BUYER_OWES, buyer, cents - taken),
        Line(Account.DISPUTE_HOLD, None, -cents),
    )
    return opened, taken


def dispute_won(
    dispute: str, buyer: str, cents: int, fee_cents: int, forgiven_cents: int
) -> Transfer | None:
    """The payment comes back: everything that `dispute_opened` did is reversed.

    Args:
        dispute: The Stripe dispute.
        buyer: Whose payment it is.
        cents: The disputed amount.
        fee_cents: The fee that Stripe gives back with it.
        forgiven_cents: What the buyer still owes of it; the rest is its credit again.
    """
    not_negative(cents=cents, fee_cents=fee_cents, forgiven_cents=forgiven_cents)
    return transfer(
        f"dispute_won:{dispute}",
        "dispute_won",
        Line(_STRIPE, None, cents + fee_cents),
        Line(Account.EXPENSE_DISPUTE, None, -fee_cents),
        Line(Account.DISPUTE_RECEIVABLE, None, -cents),
        Line(Account.DISPUTE_HOLD, None, cents),
        Line(_BUYER_OWES, buyer, -forgiven_cents),
        Line(_BUYER_PAID, buyer, forgiven_cents - cents),
    )


def dispute_lost(dispute: str, cents: int) -> Transfer | None:
    """The payment is gone for good; what was set aside pays for it."""
    not_negative(cents=cents)
    return transfer(
        f"dispute_lost:{dispute}",
        "dispute_lost",
        Line(Account.DISPUTE_HOLD, None, cents),
        Line(Account.DISPUTE_RECEIVABLE, None, -cents),
    )


def stripe_payout(payout: str, cents: int) -> Transfer | None:
    """Stripe paid its balance out to the bank account; a failed one comes back with `-cents`."""
    return transfer(
        f"stripe_payout:{payout}" if cents >= 0 else f"stripe_payout_failed:{payout}",
        "stripe_payout",
        Line(Account.BANK, None, cents),
        Line(_STRIPE, None, -cents),
    )


def rail_top_up(ref: str, rail: Rail, cents: int, *, actor: str) -> Transfer | None:
    """An operator moved money from the bank to a rail."""
    not_negative(cents=cents)
    return transfer(
        f"top_up:{ref}",
        "rail_top_up",
        Line(rail, None, cents),
        Line(Account.BANK, None, -cents),
        actor=actor,
    )


def withdrawal(payout: str, worker: str, cents: int, attempt: int = 1) -> Transfer | None:
    """A worker's available earnings are set aside for a payout.

    Args:
        payout: The payout.
        worker: Whose earnings.
        cents: How much.
        attempt: Which attempt at paying it is for; a failed one gives the money back, so that
            another sets it aside anew.
    """
    not_negative(cents=cents)
    return transfer(
        _of_attempt("withdrawal", payout, attempt),
        "withdrawal",
        Line(_AVAILABLE, worker, cents),
        Line(_PAYOUT, payout, -cents),
    )


def payout_paid(payout: str, rail: Rail, cents: int) -> Transfer | None:
    """A payout reached its worker."""
    not_negative(cents=cents)
    return transfer(
        f"payout_paid:{payout}",
        "payout_paid",
        Line(_PAYOUT, payout, cents),
        Line(rail, None, -cents),
    )


def payout_fee(payout: str, rail: Rail, fee_cents: int) -> Transfer | None:
    """What a rail kept for carrying a payout."""
    not_negative(fee_cents=fee_cents)
    return transfer(
        f"payout_fee:{payout}",
        "payout_fee",
        Line(Account.EXPENSE_PAYOUT_FEE, None, fee_cents),
        Line(rail, None, -fee_cents),
    )


def payout_back(
    payout: str,
    worker: str,
    cents: int,
    *,
    rejected: bool,
    repaid_cents: int = 0,
    attempt: int = 1,
) -> Transfer | None:
    """A payout that was rejected or failed is the worker's available money again.

    Args:
        payout: The payout.
        worker: Whose money it is.
        cents: All of the payout.
        rejected: By an operator; else the rail did not pay.
        repaid_cents: How much of it repays what the worker owes.
        attempt: Which attempt it was set aside for, as in `withdrawal`.
    """
    not_negative(cents=cents, repaid_cents=repaid_cents)
    return transfer(
        _of_attempt("payout_back", payout, attempt),
        "payout_rejected" if rejected else "payout_failed",
        Line(_PAYOUT, payout, cents),
        Line(_WORKER_OWES, worker, -repaid_cents),
        Line(_AVAILABLE, worker, repaid_cents - cents),
    )


def payout_returned(
    payout: str, rail: Rail, worker: str, cents: int, repaid_cents: int = 0
) -> Transfer | None:
    """A payout that was paid came back, unclaimed say; it is the worker's available money again.

    `repaid_cents` of it repays what the worker owes.
    """
    not_negative(cents=cents, repaid_cents=repaid_cents)
    return transfer(
        f"payout_returned:{payout}",
        "payout_returned",
        Line(rail, None, cents),
        Line(_WORKER_OWES, worker, -repaid_cents),
        Line(_AVAILABLE, worker, repaid_cents - cents),
    )


def _of_attempt(fact: str, payout: str, attempt: int) -> str:
    """The key of a fact that may happen once an attempt; the first has none of its own."""
    return f"{fact}:{payout}" if attempt <= 1 else f"{fact}:{payout}:{attempt}"
