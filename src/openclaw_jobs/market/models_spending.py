"""What a buyer's pages add up and list."""

from datetime import date, datetime
from typing import Literal

import msgspec

from openclaw_jobs.tasks import TaskStatus


class SpentDay(msgspec.Struct, frozen=True):
    """A UTC day: what its tasks cost in the end, in cents, and how many there were."""

    day: date
    cents: int
    tasks: int


class TaskLine(msgspec.Struct, frozen=True):
    """A task in a list; `asked` is the beginning of its text, empty where that was erased."""

    task_id: str
    status: TaskStatus
    category: str
    price_cents: int
    credited_cents: int
    rating: Literal["up", "down"] | None
    created_at: datetime
    claimed_at: datetime | None
    completed_at: datetime | None
    asked: str


class TaskLines(msgspec.Struct, frozen=True):
    """Some of them, newest first; `resume_after` is the last id if there are more."""

    lines: list[TaskLine]
    resume_after: str | None


class Spending(msgspec.Struct, frozen=True):
    """What a buyer has in escrow, and what it spent day by day, every day named."""

    held_cents: int
    held_tasks: int
    days: list[SpentDay]
