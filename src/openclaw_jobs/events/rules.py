"""The forms of the outbox: an event's JSON, a frame of a stream, a place to resume from."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from openclaw_jobs.events.models import Event, NewEvent, WakeMessage
from openclaw_jobs.kit.errors import invalid

MAX_SEQ: Final = 2**63 - 1
"""The largest sequence number that the database can hold."""

MAX_PAYLOAD_BYTES: Final = 7900
"""PostgreSQL refuses a notification of 8000 bytes or more."""

_SEQ = re.compile(r"[0-9]{1,19}", re.ASCII)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(WakeMessage).decode


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


def wake_payloads(
    node_id: str, queue: Iterable[str], buyers: Iterable[str], *, everything: bool
) -> list[str]:
    """What to notify other nodes of, in as few payloads as hold it.

    Args:
        node_id: This node.
        queue: Categories in which tasks can be claimed.
        buyers: Buyers with new events.
        everything: Say only that anything may have changed.

    Returns:
        `WakeMessage`s in JSON, each at most `MAX_PAYLOAD_BYTES` long; empty for nothing to say.
    """
    room = MAX_PAYLOAD_BYTES - len(_encode(WakeMessage(n=node_id, q=("",), b=("",), a=True)))
    messages: list[WakeMessage] = []
    parts: dict[str, list[str]] = {"q": [], "b": []}
    used = 0
    for key, name in [*(("q", name) for name in queue), *(("b", name) for name in buyers)]:
        size = len(_encode(name)) + 1
        if size > room:
            everything = True
        if used + size > room:
            messages.append(WakeMessage(n=node_id, q=tuple(parts["q"]), b=tuple(parts["b"])))
            parts = {"q": [], "b": []}
            used = 0
        parts[key].append(name)
        used += size
    if used:
        messages.append(WakeMessage(n=node_id, q=tuple(parts["q"]), b=tuple(parts["b"])))
    if everything:
        messages = [WakeMessage(n=node_id, a=True)]
    return [_encode(message).decode() for message in messages]


def read_wake(payload: str) -> WakeMessage | None:
    """The message in a notification; None if it is none of ours."""
    try:
        return _decode(payload)
    except msgspec.DecodeError:
        return None
