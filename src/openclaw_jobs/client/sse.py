"""A buyer's Server-Sent Events: reading them, and resuming where a broken stream stopped.

Nothing here does I/O: `EventCursor` is fed with bytes and outcomes and says what to do next, so
that the sync and the async client share all of it.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Final

import msgspec

from openclaw_jobs.client import buyer_calls
from openclaw_jobs.client.call import Call
from openclaw_jobs.client.errors import ClientError, TransportError, UnexpectedAnswerError
from openclaw_jobs.client.models import UNFINISHED, Event
from openclaw_jobs.client.retry import RetryPolicy

SILENCE_S: Final = 60.0
"""Seconds without a byte (the server sends comments in between) after which a stream counts as
broken."""

_LINE_END: Final = b"\n"
_MAX_LINE_BYTES: Final = 1 << 20


class _Data(msgspec.Struct):
    """The JSON of an event."""

    task_id: str | None = None
    status: str | None = None
    progress: str | None = None
    price_cents: int | None = None
    balance_cents: int | None = None
    at: datetime | None = None


_decode: Final = msgspec.json.Decoder(_Data).decode


class EventParser:
    """Turns the bytes of an event stream, cut anywhere, into events.

    Knows what the WHATWG format needs here: the fields `id`, `event`, `data` (of several lines),
    comments, and lines that end in LF or CRLF. `retry` is left out: the client has a back-off.
    """

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._rest = b""
        self._id = ""
        self._type = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes and return the events they complete.

        Raises:
            UnexpectedAnswerError: the data isn't what the contract says, or a line has no end.
        """
        *lines, self._rest = (self._rest + chunk).split(_LINE_END)
        if len(self._rest) > _MAX_LINE_BYTES:
            message = "the event stream has a line without an end"
            raise UnexpectedAnswerError(message)
        events = []
        for line in lines:
            event = self._take(line.removesuffix(b"\r").decode("utf-8", "replace"))
            if event is not None:
                events.append(event)
        return events

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._finish()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        return None

    def _finish(self) -> Event | None:
        data, kind = "\n".join(self._data), self._type
        self._data, self._type = [], ""
        if not data:
            return None
        try:
            fields = _decode(data)
        except msgspec.MsgspecError as error:
            message = f"the data of the event {self._id!r} is not what it should be: {error}"
            raise UnexpectedAnswerError(message) from error
        return Event(id=self._id, type=kind or "message", **msgspec.structs.asdict(fields))


class EventCursor:
    """A place in a buyer's stream, and how to get back to it.

    `call()` is the request that continues there. After a break, `after(error)` gives the seconds to
    wait before the next `call()`, or raises what can't be waited out.
    """

    def __init__(
        self,
        task_id: str | None,
        last_event_id: str | None,
        retry: RetryPolicy,
        rng: random.Random,
    ) -> None:
        """Begin after `last_event_id`, or with what happens from now on."""
        self._task_id: Final = task_id
        self._retry: Final = retry
        self._rng: Final = rng
        self._last = last_event_id
        self._failures = 0
        self._parser = EventParser()
        self.finished = False

    def call(self) -> Call[None]:
        """Make the request that continues the stream."""
        self._parser = EventParser()
        return buyer_calls.events(self._task_id, self._last)

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes and return the new events; sets `finished` after a task's last one."""
        events = self._parser.feed(chunk)
        for event in events:
            self._failures = 0
            self._last = event.id or self._last
            if self._task_id is not None and event.status is not None:
                self.finished = event.status not in UNFINISHED
        return events

    def after(self, error: ClientError | None) -> float:
        """Say how long to wait after the stream broke with `error`, or ended (None).

        Raises:
            ClientError: the same error, when no further try can help or the policy gives up.
        """
        self._failures += 1
        error = error or TransportError("the event stream ended")
        delay = self._retry.delay(error, failures=self._failures, repeatable=True, rng=self._rng)
        if delay is None:
            raise error
        return delay
