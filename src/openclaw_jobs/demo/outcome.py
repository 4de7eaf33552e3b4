"""What came of a demo, for people to read and for programs (`--json`)."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from openclaw_jobs.client import Balance, Earning, WorkerProfile
from openclaw_jobs.demo.board import Board, Row
from openclaw_jobs.demo.judge import Proof

__all__ = ["BuyerAccount", "Outcome", "TaskOutcome", "WorkerAccount"]


class TaskOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One task at its end; `wrong` is None if it is done and its result is true."""

    number: int
    title: str
    category: str
    task_id: str | None
    status: str
    price_cents: int | None
    earned_cents: int | None
    queued_s: float | None
    working_s: float | None
    wrong: str | None

    @classmethod
    def of(cls, row: Row) -> "TaskOutcome":
        """Of a row of the board."""
        now = datetime.now(UTC)
        return cls(
            number=row.number,
            title=row.task.title,
            category=row.task.category,
            task_id=row.task_id,
            status=row.status,
            price_cents=row.price_cents,
            earned_cents=row.earned_cents,
            queued_s=row.queued_s(now),
            working_s=row.working_s(now),
            wrong=row.wrong,
        )


class BuyerAccount(msgspec.Struct, frozen=True):
    """The buyer's side of the money, in cents."""

    granted_cents: int
    spent_cents: int
    balance_cents: int


class WorkerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's side: of the demo's tasks what they cost, what the platform kept and left."""

    name: str
    worker_id: str
    tier: str
    category: str
    tasks: int
    gross_cents: int
    commission_cents: int
    net_cents: int
    frozen_cents: int
    available_cents: int
    frozen_until: datetime | None

    @classmethod
    def of(
        cls, category: str, profile: WorkerProfile, earnings: Sequence[Earning]
    ) -> "WorkerAccount":
        """Of what the worker itself is told."""
        return cls(
            name=profile.name or profile.worker_id,
            worker_id=profile.worker_id,
            tier=profile.tier,
            category=category,
            tasks=len(earnings),
            gross_cents=sum(e.gross_cents for e in earnings),
            commission_cents=sum(e.commission_cents for e in earnings),
            net_cents=sum(e.net_cents for e in earnings),
            frozen_cents=profile.balance.frozen_cents,
            available_cents=profile.balance.available_cents,
            frozen_until=max((e.frozen_until for e in earnings if e.frozen_until), default=None),
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The whole demo. `ok` says that nothing is wrong; `faults` are what is, tasks' apart."""

    ok: bool
    seconds: float
    tasks: list[TaskOutcome]
    buyer: BuyerAccount
    workers: list[WorkerAccount]
    ledger: Proof
    faults: list[str]

    @classmethod
    def of(
        cls,
        board: Board,
        granted_cents: int,
        balance: Balance,
        workers: list[WorkerAccount],
        proof: Proof,
        faults: list[str],
        seconds: float,
    ) -> "Outcome":
        """Put together what was found at the end."""
        tasks = [TaskOutcome.of(row) for row in board.rows]
        spent = sum(task.price_cents or 0 for task in tasks)
        return cls(
            ok=not faults and all(task.wrong is None for task in tasks),
            seconds=round(seconds, 3),
            tasks=tasks,
            buyer=BuyerAccount(granted_cents, spent, balance.balance_cents),
            workers=workers,
            ledger=proof,
            faults=faults,
        )
