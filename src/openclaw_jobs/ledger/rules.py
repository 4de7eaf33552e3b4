"""What each business fact does to the accounts; pure, one builder a fact.

A builder answers None where no money moves (a price of zero), so there is no empty transfer.
Amounts are US cents. The table of facts is in docs/explanation/ledger.md.
"""

import re
from collections.abc import Mapping
from typing import Final

from openclaw_jobs.ledger.models import (
    ASSETS,
    BUYER_ACCOUNTS,
    EXPENSES,
    OWNER_PREFIXES,
    WORKER_ACCOUNTS,
    Account,
    Line,
    RefundReason,
    Split,
    Transfer,
    TransferKind,
)

BASIS_POINTS: Final = 10_000
"""A whole, in basis points: the unit of commission rates."""

# Looked up once: attribute access on an enum is a good part of the cost of building a transfer.
_BUYER_PAID: Final = Account.BUYER_PAID
_BUYER_PROMO: Final = Account.BUYER_PROMO
_ESCROW: Final = Account.ESCROW_TASK
_FROZEN: Final = Account.WORKER_FROZEN
_AVAILABLE: Final = Account.WORKER_AVAILABLE
_OWED: Final = Account.RECEIVABLE_WORKER
_COMMISSION: Final = Account.COMMISSION
_PROMO_EXPENSE: Final = Account.EXPENSE_PROMO

_REFUND_KIND: Final[dict[RefundReason, TransferKind]] = {
    "cancelled": "refund_cancelled",
    "failed": "refund_failed",
    "expired": "refund_expired",
}
_PLAIN: Final = re.compile(r"[!#-+\--\[\]-z|~]+", re.ASCII)


def is_plain(text: str) -> bool:
    r"""Whether `text` may stand in a key or name an actor.

    It is printable ASCII, not empty, and has no space nor any of `" , \ { }`, so that it needs no
    quotes in an array literal of PostgreSQL.
    """
    return _PLAIN.fullmatch(text) is not None and text.lower() != "null"


def balance_cents(account: Account, posted_cents: int) -> int:
    """What postings of this sum make an account hold, as its own kind counts.

    Assets and expenses grow by debits, everything else by credits.
    """
    return posted_cents if account in ASSETS or account in EXPENSES else -posted_cents


def accounts_of(name: str) -> tuple[Account, ...]:
    """The accounts that a statement of `name` shows; none if it names no account.

    Args:
        name: A buyer's or worker's id, or an account that belongs to nobody, such as `stripe`.
    """
    prefix, _, rest = name.partition("_")
    if rest and prefix in {"byr", "wrk"}:
        return tuple(
            account
            for account, owner in OWNER_PREFIXES.items()
            if owner == prefix and account in BUYER_ACCOUNTS + WORKER_ACCOUNTS
        )
    return tuple(a for a in Account if a == name and a not in OWNER_PREFIXES)


def commission_cents(price_cents: int, rate_bp: int) -> int:
    """The platform's share of a price, rounded down to whole cents in the worker's favour.

    Raises:
        ValueError: The price is negative, or the rate is not 0 to 10,000 basis points.
    """
    if price_cents < 0:
        raise ValueError(f"price_cents is {price_cents}, must not be negative")
    if not 0 <= rate_bp <= BASIS_POINTS:
        raise ValueError(f"rate_bp is {rate_bp}, must be 0 to {BASIS_POINTS}")
    return price_cents * rate_bp // BASIS_POINTS


def spendable_cents(balances: Mapping[Account, int]) -> int:
    """What a buyer can spend, promotional and paid credit together."""
    return balances.get(_BUYER_PROMO, 0) + balances.get(_BUYER_PAID, 0)


def split_charge(price_cents: int, promo_balance: int, paid_balance: int) -> Split | None:
    """Divide a price: promotional credit first, then paid credit; None if both don't suffice.

    Raises:
        ValueError: An amount is negative.
    """
    not_negative(price_cents=price_cents, promo_balance=promo_balance, paid_balance=paid_balance)
    promo_cents = min(price_cents, promo_balance)
    paid_cents = price_cents - promo_cents
    return Split(promo_cents, paid_cents) if paid_cents <= paid_balance else None


def signup_bonus(buyer: str, bonus_cents: int) -> Transfer | None:
    """Credit given to a new buyer, once."""
    not_negative(bonus_cents=bonus_cents)
    return transfer(
        f"bonus:{buyer}",
        "signup_bonus",
        Line(_PROMO_EXPENSE, None, bonus_cents),
        Line(_BUYER_PROMO, buyer, -bonus_cents),
    )


def operator_grant(
    buyer: str, grant_cents: int, ref: str, *, actor: str | None = None
) -> Transfer | None:
    """Credit that an operator gives to a buyer.

    Args:
        buyer: Whom it is given to.
        grant_cents: How much.
        ref: What names this grant among all; the same one again changes nothing.
        actor: The operator.

    Raises:
        ValueError: The amount is negative, or `ref` or `actor` is not plain (see `is_plain`).
    """
    not_negative(grant_cents=grant_cents)
    if not is_plain(ref) or (actor is not None and not is_plain(actor)):
        raise ValueError("ref and actor are printable ASCII without spaces, quotes, commas, braces")
    return transfer(
        f"grant:{ref}",
        "operator_grant",
        Line(_PROMO_EXPENSE, None, grant_cents),
        Line(_BUYER_PROMO, buyer, -grant_cents),
        actor=actor,
    )


def task_charge(task: str, buyer: str, promo_cents: int, paid_cents: int) -> Transfer | None:
    """A task's price goes from its buyer's balances into the task's escrow.

    The parts are those of `split_charge`.
    """
    not_negative(promo_cents=promo_cents, paid_cents=paid_cents)
    return transfer(
        f"charge:{task}",
        "task_charge",
        Line(_BUYER_PROMO, buyer, promo_cents),
        Line(_BUYER_PAID, buyer, paid_cents),
        Line(_ESCROW, task, -promo_cents - paid_cents),
    )


def settle(task: str, worker: str, price_cents: int, commission: int) -> Transfer | None:
    """A completed task's escrow goes to its worker, frozen, less the platform's commission.

    Raises:
        ValueError: The commission is not between zero and the price.
    """
    if not 0 <= commission <= price_cents:
        raise ValueError(f"commission is {commission}, must be 0 to the price of {price_cents}")
    return transfer(
        f"settle:{task}",
        "settle",
        Line(_ESCROW, task, price_cents),
        Line(_FROZEN, worker, commission - price_cents),
        Line(_COMMISSION, None, -commission),
    )


def refund(
    task: str, buyer: str, promo_cents: int, paid_cents: int, reason: RefundReason
) -> Transfer | None:
    """The escrow of a task that nobody is paid for goes back to where it came from.

    The parts are those of the task's charge. A task has one refund, whatever the reason.
    """
    not_negative(promo_cents=promo_cents, paid_cents=paid_cents)
    return transfer(
        f"refund:{task}",
        _REFUND_KIND[reason],
        Line(_ESCROW, task, promo_cents + paid_cents),
        Line(_BUYER_PROMO, buyer, -promo_cents),
        Line(_BUYER_PAID, buyer, -paid_cents),
    )


def unfreeze(task: str, worker: str, net_cents: int, repaid_cents: int = 0) -> Transfer | None:
    """A task's earning becomes available to its worker, less what repays its receivable.

    Raises:
        ValueError: More is repaid than was earned.
    """
    not_negative(net_cents=net_cents, repaid_cents=repaid_cents)
    if repaid_cents > net_cents:
        raise ValueError(f"repaid_cents is {repaid_cents}, must be 0 to {net_cents}")
    return transfer(
        f"unfreeze:{task}",
        "unfreeze",
        Line(_FROZEN, worker, net_cents),
        Line(_OWED, worker, -repaid_cents),
        Line(_AVAILABLE, worker, repaid_cents - net_cents),
    )


def transfer(
    key: str, kind: TransferKind, *lines: Line, actor: str | None = None
) -> Transfer | None:
    """What every builder ends with: lines of zero are left out, the rest sums to zero.

    Raises:
        ValueError: The lines are out of balance.
    """
    total = 0
    empty = False
    for line in lines:
        total += line.amount_cents
        if not line.amount_cents:
            empty = True
    if total:
        raise ValueError(f"{key} is out of balance by {total} cents")
    if empty:
        lines = tuple([line for line in lines if line.amount_cents])
        if not lines:
            return None
    return Transfer(key, kind, lines, actor)


def not_negative(**amounts: int) -> None:
    """Refuse a negative amount; ValueError names it."""
    for name, cents in amounts.items():
        if cents < 0:
            raise ValueError(f"{name} is {cents}, must not be negative")
