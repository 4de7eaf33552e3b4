"""What hidden checks do to the accounts; pure, one builder a fact.

A hidden task's buyer is the platform: its price comes from `expense:quality` and goes back there.
In between it is settled as any other.
"""

from collections.abc import Mapping
from typing import Final

from openclaw_jobs.ledger.models import Account, Line, Transfer
from openclaw_jobs.ledger.rules import not_negative, transfer

_QUALITY: Final = Account.EXPENSE_QUALITY
_GOODWILL: Final = Account.EXPENSE_GOODWILL
_ESCROW: Final = Account.ESCROW_TASK


def check_charge(task: str, cents: int) -> Transfer | None:
    """The platform pays for a hidden task as it is queued."""
    not_negative(cents=cents)
    return transfer(
        f"charge:{task}",
        "check_charge",
        Line(_QUALITY, None, cents),
        Line(_ESCROW, task, -cents),
    )


def check_refund(task: str, cents: int) -> Transfer | None:
    """A hidden task ended without a result; a task has one refund, whatever the reason."""
    not_negative(cents=cents)
    return transfer(
        f"refund:{task}",
        "check_refund",
        Line(_ESCROW, task, cents),
        Line(_QUALITY, None, -cents),
    )


def check_clawback(
    task: str, worker: str, commission: int, taken: Mapping[Account, int]
) -> Transfer | None:
    """A hidden task's result was bad: its price goes back, as a credit's does to a buyer.

    Args:
        task: The task.
        worker: Who was paid.
        commission: What the platform had kept.
        taken: Where the worker's part comes from; see `credit`.
    """
    not_negative(commission=commission, **{str(k): v for k, v in taken.items()})
    return transfer(
        f"credit:{task}",
        "check_clawback",
        Line(Account.COMMISSION, None, commission),
        *(Line(account, worker, cents) for account, cents in taken.items()),
        Line(_QUALITY, None, -commission - sum(taken.values())),
    )


def check_restore(task: str, worker: str, net_cents: int, repaid_cents: int) -> Transfer | None:
    """A result was not bad after all: the platform pays what its worker had lost, once a task.

    Args:
        task: The task.
        worker: Who had been paid for it.
        net_cents: What was taken from the worker.
        repaid_cents: How much of it repays what the worker owes.

    Raises:
        ValueError: More is repaid than is given.
    """
    not_negative(net_cents=net_cents, repaid_cents=repaid_cents)
    if repaid_cents > net_cents:
        raise ValueError(f"repaid_cents is {repaid_cents}, must be 0 to {net_cents}")
    return transfer(
        restore_key(task),
        "check_restore",
        Line(_GOODWILL, None, net_cents),
        Line(Account.RECEIVABLE_WORKER, worker, -repaid_cents),
        Line(Account.WORKER_AVAILABLE, worker, repaid_cents - net_cents),
    )


def restore_key(task: str) -> str:
    """What `check_restore` of this task is called in the ledger."""
    return f"restore:{task}"
