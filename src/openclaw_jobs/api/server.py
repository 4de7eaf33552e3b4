"""uvicorn as we run it: bounded request heads, a clean stop, and a word when it answers."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from openclaw_jobs.kit.ids import new_id

__all__ = ["BoundedProtocol", "configuration", "serve_http"]

_log = structlog.get_logger(__name__)

_KEEP_ALIVE_S: Final = 75
"""A worker that is busy for a minute keeps its connection."""
_BACKLOG: Final = 4096
_MAX_HEAD_BYTES: Final = 64 * 1024
_HEAD_TIMEOUT_S: Final = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with bounds on a request's head, which it lacks on this parser.

    A head over 64 KiB is answered with 400; one that is not complete 30 seconds after the
    connection or its first byte came closes the connection.
    """

    _in_head = True
    _head_bytes = 0
    _chunk_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and look how long the head has become and how long it takes."""
        self._chunk_bytes = len(data)
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD_BYTES:
            self.send_400_response("The head of this request is too large.")
        elif self._head_timer is None:
            self._arm()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; as a problem, though no application has seen it."""
        request_id = new_id("req")
        content = msgspec.json.encode(
            {
                "type": "urn:openclaw:problem:malformed_request",
                "title": "Bad Request",
                "status": 400,
                "detail": msg,
                "code": "malformed_request",
                "request_id": request_id,
            }
        )
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n"
            b"content-type: application/problem+json\r\n"
            b"connection: close\r\n"
            b"x-request-id: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (request_id.encode(), len(content), content)
        )
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
        if self._head_timer is not None:
            self._disarm()
        super().on_headers_complete()

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_TIMEOUT_S, self._head_is_late)

    def _disarm(self) -> None:
        timer, self._head_timer = self._head_timer, None
        if timer is not None:
            timer.cancel()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us and says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: uvicorn would raise the signal again when it is done.

        Then the exit code would tell of a kill where there was a clean end.
        """
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


async def serve_http(
    app: Any,  # noqa: ANN401 - an ASGI application
    *,
    host: str,
    port: int,
    grace_s: float,
    before_stop: Callable[[], Awaitable[None]],
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then stop cleanly; a second signal stops at once.

    Args:
        app: What to serve.
        host: The address or name to listen on.
        port: 0 lets the system choose.
        grace_s: How long running requests may take to end before they are cancelled.
        before_stop: Runs first at a signal, while connections are still served, so that parked
            requests get their answer.
        on_ready: Called once with the address when it answers.

    Raises:
        OSError: The address cannot be listened on.
    """
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    server = _Server(configuration(app, grace_s=grace_s), lambda: on_ready(address))
    stopping: set[asyncio.Task[None]] = set()

    async def stop() -> None:
        try:
            await before_stop()
        finally:
            server.should_exit = True

    def on_signal() -> None:
        if stopping:
            server.should_exit = server.force_exit = True
            return
        _log.info("stopping")
        stopping.add(asyncio.create_task(stop(), name="stop"))

    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in signals:
            loop.add_signal_handler(number, on_signal)
        await server.serve(sockets=[listener])
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
        listener.close()
        await asyncio.gather(*stopping)


def configuration(app: Any, *, grace_s: float = 1.0) -> uvicorn.Config:  # noqa: ANN401 - ASGI
    """Uvicorn's settings, whoever runs it."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        loop="none",
        http=BoundedProtocol,
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(grace_s)),
        backlog=_BACKLOG,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; made here so that a port that is taken is an error we can explain."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(error.errno, f"{error.strerror}: {host}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    except BaseException as error:
        listener.close()
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{error.strerror}: {host} port {port}") from error
        raise
    return listener
