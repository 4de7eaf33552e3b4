"""What a task is."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

TaskStatus = Literal[
    "queued",
    "claimed",
    "completed",
    "failed",
    "cancelled",
    "expired",
    "credited",
    "credit_review",
]

TERMINAL: Final[frozenset[TaskStatus]] = frozenset(
    {"completed", "failed", "cancelled", "expired", "credited", "credit_review"}
)
"""Statuses in which no more work will be done."""

Category = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}\Z")]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str


class NewTask(msgspec.Struct, frozen=True):
    """A task as it is first written. Exactly one of `prompt` and `messages` is given.

    `messages` and `metadata` are JSON texts; `promo_cents` is the part of the price that bonus
    money paid; `queue_rank` is what the queue is ordered by (see `rules.queue_rank`). A task with
    `check_id` is looked at by that check, and without a buyer it is the platform's own; `lineage`
    is what all tasks with its text have in common.
    """

    task_id: str
    buyer_id: str | None
    category: str
    price_cents: int
    promo_cents: int
    min_tier: int
    queue_rank: int
    prompt: str | None
    messages: str | None
    metadata: str | None
    conversation_id: str | None
    created_at: datetime
    expires_at: datetime
    check_id: str | None = None
    lineage: str | None = None


class TaskView(msgspec.Struct, frozen=True):
    """A task as its buyer sees it; `messages` is JSON text.

    One that is `erased` has neither `prompt` nor `messages`, and no result: their time was over.
    `confidence` is how sure the platform is that the result is good, as a share from 0 to 1; None
    where there is no result.
    """

    task_id: str
    status: TaskStatus
    category: str
    price_cents: int
    prompt: str | None
    messages: str | None
    metadata: str | None
    conversation_id: str | None
    result: str | None
    progress: str | None
    created_at: datetime
    claimed_at: datetime | None
    completed_at: datetime | None
    rating: Literal["up", "down"] | None
    queue_rank: int
    credited_cents: int
    erased: bool = False
    confidence: float | None = None


class TaskPage(msgspec.Struct, frozen=True):
    """Some of a buyer's tasks, newest first; `resume_after` is the last id if there are more."""

    tasks: list[TaskView]
    resume_after: str | None


class QueuedTask(msgspec.Struct, frozen=True):
    """What is needed to end a task that was not done and give its price back.

    Without a buyer the platform paid; `check_id` is the check that it was of.
    """

    task_id: str
    buyer_id: str | None
    price_cents: int
    promo_cents: int
    category: str
    check_id: str | None = None


class CreditableTask(msgspec.Struct, frozen=True):
    """A locked task with what decides whether its price may go back; `now` is the database's.

    Without a buyer the platform paid.
    """

    task_id: str
    buyer_id: str | None
    worker_id: str | None
    status: TaskStatus
    price_cents: int
    promo_cents: int
    completed_at: datetime | None
    now: datetime
    category: str
    min_tier: int


class Credit(msgspec.Struct, frozen=True):
    """A buyer's demand for a task's price; `decided_by` is `rules` when no operator was asked."""

    task_id: str
    buyer_id: str
    worker_id: str
    amount_cents: int
    reason: str | None
    status: Literal["review", "credited", "rejected"]
    requested_at: datetime
    decided_at: datetime | None
    decided_by: str | None
