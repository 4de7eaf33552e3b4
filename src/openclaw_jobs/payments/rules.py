"""Rules of earnings: pure functions over lots, in US cents."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from openclaw_jobs.payments.models import DueEarning, Lot, LotChange


class ClawBack(msgspec.Struct, frozen=True):
    """Where a worker's part of a credit comes from: its lots, and what it is left owing."""

    frozen_cents: int
    available_cents: int
    owed_cents: int
    changes: list[LotChange]


def repayments(due: Sequence[DueEarning], owed: Mapping[str, int]) -> list[int]:
    """How much of each lot that becomes available repays what its worker owes, in order."""
    left = dict(owed)
    repaid: list[int] = []
    for lot in due:
        cents = min(lot.net_cents, left.get(lot.worker_id, 0))
        repaid.append(cents)
        if cents:
            left[lot.worker_id] -= cents
    return repaid


def claw_back(lot: Lot, others: Sequence[Lot]) -> ClawBack:
    """Take a credited task's net from its worker.

    A frozen lot gives all of it. Else the lot gives what it still has, then the worker's other
    available lots, oldest first; the rest the worker owes.
    """
    if lot.status == "frozen":
        change = LotChange(task_id=lot.task_id, clawed_cents=lot.net_cents, credited=True)
        return ClawBack(lot.net_cents, 0, 0, [change])
    changes = [
        LotChange(
            task_id=lot.task_id,
            available_cents=-lot.available_cents,
            clawed_cents=lot.available_cents,
            credited=True,
        )
    ]
    missing = lot.net_cents - lot.available_cents
    for other in others:
        cents = min(missing, other.available_cents)
        if other.task_id == lot.task_id or cents == 0:
            continue
        changes.append(LotChange(task_id=other.task_id, available_cents=-cents, clawed_cents=cents))
        missing -= cents
    return ClawBack(0, lot.net_cents - missing, missing, changes)


def restore(lot: Lot, others: Sequence[Lot], cents: int) -> list[LotChange]:
    """Make so much available again of what was clawed back: of the lot itself, then of others.

    Raises:
        ValueError: So much was not clawed back of them.
    """
    changes: list[LotChange] = []
    missing = cents
    for one in (lot, *(other for other in others if other.task_id != lot.task_id)):
        back = min(missing, one.clawed_cents)
        if back:
            changes.append(LotChange(task_id=one.task_id, available_cents=back, clawed_cents=-back))
            missing -= back
    if missing:
        raise ValueError(f"the lots lack {missing} of {cents} cents")
    return changes


def consume(lots: Sequence[Lot], cents: int) -> list[LotChange]:
    """Withdraw `cents` from available lots in the given order.

    Raises:
        ValueError: They do not hold so much.
    """
    changes: list[LotChange] = []
    missing = cents
    for lot in lots:
        taken = min(missing, lot.available_cents)
        if taken:
            changes.append(
                LotChange(task_id=lot.task_id, available_cents=-taken, withdrawn_cents=taken)
            )
            missing -= taken
    if missing:
        raise ValueError(f"the lots lack {missing} of {cents} cents")
    return changes


def within_window(completed_at: datetime, window: timedelta, now: datetime) -> bool:
    """Whether a buyer may still ask for credit."""
    return now < completed_at + window


def needs_review(completed: int, asked: int, limit_rate: float, counted_from: int) -> bool:
    """Whether one more credit is beyond what a buyer gets without being asked.

    Args:
        completed: The buyer's tasks that were completed, this one included.
        asked: The credits it has asked for before.
        limit_rate: The share of its tasks that it may ask back.
        counted_from: With fewer completed tasks no share is counted.
    """
    return completed >= counted_from and (asked + 1) > limit_rate * completed
