"""What the outbox holds, and what a commit tells those who wait."""

from typing import Any, Final, Literal

import msgspec

EventType = Literal[
    "task.queued",
    "task.claimed",
    "task.progress",
    "task.completed",
    "task.failed",
    "task.cancelled",
    "task.expired",
    "task.credited",
    "balance",
    "conversation",
]
"""What happened. `task.failed` means for good: a lost lease or one failed try is `task.queued`.
`conversation` is for the buyer's other browsers: something in one of its conversations changed."""

BROWSER_TYPES: Final[frozenset[str]] = frozenset({"conversation"})
"""The event types that are for pages alone: conversations are theirs, the API has none."""

TERMINAL_TYPES: Final[frozenset[str]] = frozenset(
    {"task.completed", "task.failed", "task.cancelled", "task.expired"}
)
"""The event types after which a task's own stream ends. A credit may follow days later; it is on
the buyer's stream, and in the task's stream if it is opened after that."""


class NewEvent(msgspec.Struct, frozen=True):
    """Something to tell a buyer, not yet numbered.

    Attributes:
        buyer_id: Whose sequence it takes a number of.
        type: What happened.
        task_id: The task it is about; None for `balance`.
        data: The contract's other members: `status`, `progress`, `price_cents`, `balance_cents`.
            `task_id` and `at` are added as it is written.
    """

    buyer_id: str
    type: EventType
    task_id: str | None
    data: dict[str, Any]


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event of one buyer as stored.

    Attributes:
        seq: The buyer's own number: from 1, gapless, in the order of commits.
        type: What happened, an `EventType`.
        task_id: The task it is about, if any.
        data: The JSON object that the buyer gets, on one line.
    """

    seq: int
    type: str
    task_id: str | None
    data: str


class Wake(msgspec.Struct, frozen=True):
    """What a committed transaction changed, for those who wait for it on any node.

    It carries no data: whoever is woken reads the database. So a wake may be repeated, merged
    with others or be about nothing, and does no harm.

    Attributes:
        buyers: Whose event sequence has grown.
        tasks: The tasks that the new events are about; None if unknown, as of another node.
        queue: The categories in which a task can be claimed now.
    """

    buyers: frozenset[str] = frozenset()
    tasks: frozenset[str] | None = None
    queue: frozenset[str] = frozenset()


class WakeMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one node sends the others; the names are short since a notification is.

    Attributes:
        n: The sending node.
        q: Categories, as in `Wake.queue`.
        b: Buyers, as in `Wake.buyers`.
        a: Everything may have changed; there was too much to name.
    """

    n: str
    q: tuple[str, ...] = ()
    b: tuple[str, ...] = ()
    a: bool = False
