"""Rules of tasks: pure functions."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.tasks.models import Message


def input_chars(prompt: str | None, messages: Sequence[Message] | None) -> int:
    """How many characters a task's text has; long tasks cost more."""
    if prompt is not None:
        return len(prompt)
    return sum(len(message.content) for message in messages or ())


def queue_rank(created_at: datetime, bonus_seconds: float) -> int:
    """The key that orders the queue, lowest first, in milliseconds of the epoch.

    Every waiting task ages at the same pace, so "older and dearer first" is a constant order:
    a task stands where one that is `bonus_seconds` older and worth nothing would. Nothing has
    to be rewritten as time goes by.
    """
    return round((created_at.timestamp() - bonus_seconds) * 1000)
