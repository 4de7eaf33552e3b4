"""The forms of the outbox: an event's JSON, a frame of a stream, a place to resume from."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from openclaw_jobs.events.models import Event, NewEvent
from openclaw_jobs.kit.errors import invalid

MAX_SEQ: Final = 2**63 - 1
"""The largest sequence number that the database can hold."""

_SEQ = re.compile(r"[0-9]{1,19}", re.ASCII)
_encode = msgspec.json.Encoder().encode


def event_json(event: NewEvent, at: str) -> str:
    """The JSON object that the buyer will get: on one line, with no control character in it.

    Args:
        event: What happened.
        at: When, as RFC 3339.
    """
    if event.task_id is None:
        return _encode({**event.data, "at": at}).decode()
    return _encode({"task_id": event.task_id, **event.data, "at": at}).decode()


def frames(events: Sequence[Event]) -> bytes:
    """`events` in the form of a `text/event-stream`.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """
    return "".join(f"id: {e.seq}\nevent: {e.type}\ndata: {e.data}\n\n" for e in events).encode()


def parse_last_event_id(value: str | None) -> int | None:
    """The sequence number in a `Last-Event-ID` header; None if it was not sent.

    Raises:
        Problem: 422 `validation_failed`; it is not a number that a stream of ours could have sent.
    """
    if value is None:
        return None
    if not _SEQ.fullmatch(value) or int(value) > MAX_SEQ:
        raise invalid("Last-Event-ID", "must be the id of an event that you received")
    return int(value)
