"""uvicorn as we run it: bounded connections, a clean stop, and a word when it answers."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

import structlog
import uvicorn

from openclaw_jobs.api.connections import Connections
from openclaw_jobs.api.protocol import BoundedProtocol

__all__ = ["BoundedProtocol", "configuration", "serve_http"]

_log = structlog.get_logger(__name__)

_KEEP_ALIVE_S: Final = 75
"""A worker that is busy for a minute keeps its connection."""
_BACKLOG: Final = 4096


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
    connections: Connections | None = None,
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
        connections: Counts connections and bounds them; by default without bounds.

    Raises:
        OSError: The address cannot be listened on.
    """
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    server = _Server(
        configuration(app, grace_s=grace_s, connections=connections), lambda: on_ready(address)
    )
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


def configuration(
    app: Any,  # noqa: ANN401 - ASGI
    *,
    grace_s: float = 1.0,
    connections: Connections | None = None,
) -> uvicorn.Config:
    """Uvicorn's settings, whoever runs it."""
    # uvicorn only ever calls it.
    protocol: Any = partial(BoundedProtocol, connections=connections or Connections())
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        loop="none",
        http=protocol,
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
