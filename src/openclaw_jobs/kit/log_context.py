"""What every line of the log says of the request, or the job, that it was written in.

One dictionary for each request, found through a context variable: tasks that the request starts
see the same one. `structlog.contextvars` would copy its own at each change.

What is noted must be an id of ours, or a name: nothing that a caller wrote.
"""

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["begin_context", "merge_context", "note"]

_facts: Final[ContextVar[dict[str, str] | None]] = ContextVar("log_context", default=None)


def begin_context(**facts: str) -> None:
    """Begin anew, for the task that runs and those that it will start."""
    _facts.set(facts)


def note(key: str, value: str) -> None:
    """Add to what is known of the present request or job; outside of any nothing happens."""
    known = _facts.get()
    if known is not None:
        known[key] = value


def merge_context(
    _: Any,  # noqa: ANN401 - structlog's signature
    __: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Processor: add what is known and the line does not say itself."""
    known = _facts.get()
    if known:
        for key, value in known.items():
            event.setdefault(key, value)
    return event
