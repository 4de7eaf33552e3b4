"""What a conversation is."""

from datetime import datetime
from typing import Literal

import msgspec

from openclaw_jobs.tasks import TaskStatus


class Conversation(msgspec.Struct, frozen=True):
    """A conversation of one buyer; `category` is that of its last task."""

    conversation_id: str
    title: str
    category: str
    forked_from: str | None
    created_at: datetime
    updated_at: datetime


class Place(msgspec.Struct, frozen=True):
    """Behind which conversation a list goes on."""

    updated_at: datetime
    conversation_id: str


class ConversationPage(msgspec.Struct, frozen=True):
    """Some of a buyer's conversations, the last used first; `resume_after` if there are more."""

    conversations: list[Conversation]
    resume_after: Place | None


class Answer(msgspec.Struct, frozen=True):
    """One task that answers a turn, as its buyer sees it.

    Attributes:
        task_id: The task.
        seq: 1 for the first of its turn, one more for each retry or regeneration.
        result: Its result, once there is one; it stays when the price was given back.
        progress: What its worker said last, while it works.
        credit: What became of the demand to have the price back.
        shared: Whether a link to read its result is in force.
    """

    task_id: str
    seq: int
    status: TaskStatus
    category: str
    price_cents: int
    result: str | None
    progress: str | None
    created_at: datetime
    claimed_at: datetime | None
    completed_at: datetime | None
    rating: Literal["up", "down"] | None
    credited_cents: int
    queue_rank: int
    credit: Literal["review", "credited", "rejected"] | None
    shared: bool


class Turn(msgspec.Struct, frozen=True):
    """What the buyer said, and what answers it.

    Attributes:
        left_out: How many turns before it were too much to be sent along.
        chosen_task_id: The answer that the buyer chose, if it did; see `rules.chosen`.
    """

    turn_id: str
    conversation_id: str
    seq: int
    prompt: str
    left_out: int
    chosen_task_id: str | None
    created_at: datetime
    answers: tuple[Answer, ...]


class AnswerOutline(msgspec.Struct, frozen=True):
    """An answer without its text; `result_bytes` is None as long as there is no result."""

    task_id: str
    seq: int
    status: TaskStatus
    result_bytes: int | None


class TurnOutline(msgspec.Struct, frozen=True):
    """A turn without its texts."""

    turn_id: str
    seq: int
    prompt_bytes: int
    chosen_task_id: str | None
    answers: tuple[AnswerOutline, ...]


class Sending(msgspec.Struct, frozen=True):
    """What a sending made: the task, and where it stands."""

    conversation_id: str
    turn_id: str
    task_id: str


class Draft(msgspec.Struct, frozen=True):
    """What is being written."""

    text: str
    category: str


class Found(msgspec.Struct, frozen=True):
    """A text in which a search found its words; the texts of a title's hit are the title."""

    conversation_id: str
    title: str
    updated_at: datetime
    seq: int | None
    kind: Literal["title", "prompt", "result"]
    text: str


class Hit(msgspec.Struct, frozen=True):
    """A finding as it is shown: the matching words with some of the text around them."""

    conversation_id: str
    title: str
    updated_at: datetime
    seq: int | None
    kind: Literal["title", "prompt", "result"]
    before: str
    match: str
    after: str


class Share(msgspec.Struct, frozen=True):
    """A link to one result. The link itself is known only when it is made."""

    share_id: str
    task_id: str
    created_at: datetime


class SharedResult(msgspec.Struct, frozen=True):
    """What somebody with the link may see: nothing of who asked, what, or what it cost."""

    result: str
    category: str
    completed_at: datetime
