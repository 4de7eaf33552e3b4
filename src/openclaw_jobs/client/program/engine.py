"""What does the work: the seam between the runner and a command or a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from openclaw_jobs.client.models import Assignment, Message

Progress = Callable[[str], None]
"""Takes a line about how far the work is, for the buyer to see."""

MAX_RESULT_BYTES: Final = 256 * 1024
"""What the contract allows a submission, and so the most an engine keeps of a result."""
MAX_ERROR_CHARS: Final = 8_000
"""The most that a failure says; a marketplace takes 10,000 characters at least."""

_NUL: Final = "\x00"
_REPLACEMENT: Final = "\ufffd"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a piece of work ended: with a `result`, or with an `error` for the marketplace.

    `label` is the same in a few words that hold nothing of the task, for the log. `usage` is free.
    """

    label: str = "done"
    result: str | None = None
    error: str | None = None
    usage: dict[str, Any] | None = None

    @classmethod
    def failure(cls, label: str, detail: str = "") -> Outcome:
        """Make a failed outcome; `detail` goes to the marketplace but not to the log.

        Of a long detail the end is told: what comes last says best why.
        """
        lead = f"{label}: "
        room = MAX_ERROR_CHARS - len(lead)
        if len(detail) > room:
            detail = "\u2026" + detail[1 - room :]
        return cls(label=label, error=clean(f"{lead}{detail}" if detail else label))


class Engine(Protocol):
    """Does one task at a time, any number of them at once."""

    async def run(self, task: Assignment, progress: Progress) -> Outcome:
        """Do a task. Cancelling stops the work and frees what it holds before it returns."""
        ...

    async def close(self) -> None:
        """Free what is kept between tasks."""
        ...


def conversation(task: Assignment) -> tuple[Message, ...]:
    """The task as messages, whichever way it was posted."""
    return task.messages or (Message("user", task.prompt or ""),)


def as_text(task: Assignment) -> str:
    """The task as text: a prompt as it is, several messages as a transcript."""
    if task.prompt is not None:
        return task.prompt
    messages = conversation(task)
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{turn.role.capitalize()}:\n{turn.content}" for turn in messages) + "\n"


def clean(text: str) -> str:
    """Replace what the marketplace refuses in a text: NUL, and halves of surrogate pairs."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace(_NUL, _REPLACEMENT)
