"""What a buyer gets."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from openclaw_jobs.client.models.common import Message

UNFINISHED: Final = frozenset({"queued", "claimed"})
"""The statuses of a task that still changes by itself."""


class PostedTask(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to posting a task: it is paid and queued."""

    id: str
    status: str = "queued"
    category: str = "general"
    price_cents: int = 0
    balance_cents: int = 0
    created_at: datetime | None = None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a task would cost now; nothing was charged."""

    price_cents: int
    category: str = "general"
    balance_cents: int | None = None


class QueuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a queued task stands: place from the front, workers online, estimated seconds."""

    position: int | None = None
    workers_online: int | None = None
    estimated_wait_s: float | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as its buyer sees it.

    `result` is there from `completed` on, `progress` is the last line the worker sent while it
    works, `credited_cents` what the buyer got back for a bad result, `confidence` how sure the
    platform is that the result is good, from 0 to 1. With `erased` the texts are gone: they are
    kept for a time only. `warnings` are codes of what in the result may attack who reads it, such
    as `script_link`; a list of tasks has none.
    """

    id: str
    status: str
    category: str = "general"
    price_cents: int = 0
    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    result: str | None = None
    progress: str | None = None
    created_at: datetime | None = None
    claimed_at: datetime | None = None
    completed_at: datetime | None = None
    credited_cents: int | None = None
    rating: str | None = None
    confidence: float | None = None
    erased: bool = False
    warnings: tuple[str, ...] = ()
    queue: QueuePlace | None = None

    @property
    def finished(self) -> bool:
        """Whether the task has stopped changing by itself, for better or worse."""
        return self.status not in UNFINISHED


class TaskPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a buyer's tasks, newest first."""

    tasks: tuple[Task, ...] = ()
    next_cursor: str | None = None


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to asking a bad result's money back.

    `status` is `credited`, or `credit_review` when an operator has to decide first.
    """

    id: str
    status: str
    credited_cents: int | None = None
    balance_cents: int | None = None


class Lifetime(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's totals since the account exists."""

    deposited_cents: int = 0
    bonus_cents: int = 0
    spent_cents: int = 0
    credited_cents: int = 0


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's money: `balance_cents` is `promo_cents` plus `paid_cents`."""

    balance_cents: int
    promo_cents: int = 0
    paid_cents: int = 0
    lifetime: Lifetime = Lifetime()


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A Stripe Checkout to open in a browser; the deposit counts once it is paid there."""

    checkout_url: str
    session_id: str


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's API key; `key` (the secret) is there only in the answer that created it."""

    id: str
    name: str | None = None
    key: str | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's API keys, without their secrets."""

    keys: tuple[ApiKey, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a buyer's stream.

    `id` is the place to resume from, `type` is `task.queued`, `task.claimed`, `task.progress`,
    `task.completed`, `task.failed`, `task.credited` or `balance`.
    """

    id: str
    type: str
    task_id: str | None = None
    status: str | None = None
    progress: str | None = None
    price_cents: int | None = None
    balance_cents: int | None = None
    at: datetime | None = None
