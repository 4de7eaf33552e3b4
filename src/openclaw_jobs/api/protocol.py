"""uvicorn's HTTP/1.1 with bounds that it lacks: on heads, on time, and on connections."""

from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from openclaw_jobs.api.connections import Connections, Verdict, too_many
from openclaw_jobs.api.middleware import NO_DOCUMENT
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.ids import new_id

__all__ = ["BoundedProtocol"]

_MAX_HEAD_BYTES: Final = 64 * 1024
_HEAD_TIMEOUT_S: Final = 30.0
_BODY_TIMEOUT_S: Final = 75.0
"""Longer than a handler waits for a body (`request.py`), so that a slow sender gets an answer."""
_WRITE_TIMEOUT_S: Final = 60.0
_REFUSED_HEAD_TIMEOUT_S: Final = 5.0
_UNBOUNDED: Final = Connections()


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A head over 64 KiB is answered with 400. These close the connection: a head that is not
    complete 30 seconds after the connection or its first byte came, a body that is not complete
    75 seconds after its head, whether or not it was answered before (uvicorn itself forgets its
    timer at the first byte that comes), and a client that takes nothing of its answer for a
    minute. A connection past its address' share is answered with 429, one far past it closed.
    """

    _in_head = True
    _in_body = False
    _head_bytes = 0
    _chunk_bytes = 0
    _verdict: Verdict = "in"
    _timer: Any = None
    _write_timer: Any = None

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - uvicorn's
        connections: Connections = _UNBOUNDED,
        **kwargs: Any,  # noqa: ANN401 - uvicorn's
    ) -> None:
        super().__init__(*args, **kwargs)
        self._counted = connections

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._verdict = self._counted.enter(self._peer)
        if self._verdict == "shut":
            transport.abort()
            return
        self._arm(_HEAD_TIMEOUT_S if self._verdict == "in" else _REFUSED_HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._counted.leave(self._peer)
        self._disarm()
        self._disarm_write()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and look how long the head has become and how long it takes."""
        if self.transport.is_closing():
            return
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._in_head:
            if self._in_body and self._timer is None:
                self._arm(_BODY_TIMEOUT_S)
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD_BYTES:
            self.send_400_response("The head of this request is too large.")
        elif self._timer is None:
            self._arm(_HEAD_TIMEOUT_S)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; as a problem, though no application has seen it."""
        self._answer_and_close(400, "Bad Request", "malformed_request", msg)

    def _refuse(self) -> None:
        problem = too_many(self._counted.per_address or 0, "of your address")
        self._answer_and_close(429, "Too Many Requests", problem.code, problem.detail, problem)

    def _answer_and_close(
        self, status: int, title: str, code: str, detail: str, problem: Problem | None = None
    ) -> None:
        request_id = new_id("req")
        content = msgspec.json.encode(
            {
                "type": f"urn:openclaw:problem:{code}",
                "title": title,
                "status": status,
                "detail": detail,
                "code": code,
                "request_id": request_id,
            }
        )
        headers = {
            "Content-Type": "application/problem+json",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Content-Security-Policy": NO_DOCUMENT,
            "Connection": "close",
            "X-Request-Id": request_id,
            "Content-Length": str(len(content)),
            **(problem.headers if problem is not None else {}),
        }
        lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {status} {title}\r\n{lines}\r\n".encode() + content)
        self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        # What else is in the chunk at hand is not this head's.
        self._head_bytes = -self._chunk_bytes

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        self._disarm()
        if self._verdict == "refuse":
            self._refuse()
            return
        self._in_body = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body has come."""
        if self._verdict == "in":
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is complete."""
        self._in_body = False
        self._disarm()
        if self._verdict == "in":
            super().on_message_complete()

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it is given."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(_WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._disarm_write()
        super().resume_writing()

    @property
    def _peer(self) -> str | None:
        return self.client[0] if self.client else None

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._is_late)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _disarm_write(self) -> None:
        timer, self._write_timer = self._write_timer, None
        if timer is not None:
            timer.cancel()

    def _is_late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()
