"""The composition root: opens everything in order, and serves it over HTTP.

`open_runtime` gives the parts that every process needs; `create_app` puts the doors on them;
`serve_http` runs uvicorn and shuts down in the right order.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import structlog
import uvicorn

from openclaw_jobs.api.application import Application, build_application
from openclaw_jobs.api.guards import Authenticator, FrontDoor
from openclaw_jobs.api.health import health_router
from openclaw_jobs.api.limits import AddressBook, RateLimiter
from openclaw_jobs.db import Database
from openclaw_jobs.economy import ConfigCache
from openclaw_jobs.kit.clock import Clock, SystemClock
from openclaw_jobs.settings import Settings

__all__ = ["Runtime", "create_app", "open_runtime", "serve_http"]

_log = structlog.get_logger(__name__)

_STARTUP_WAIT_S: Final = 30.0
_KEEP_ALIVE_S: Final = 75
"""Longer than a parked poll (60 s) lasts, so that a worker's connection outlives its pause."""
_BACKLOG: Final = 4096


class Runtime:
    """The parts of one running process.

    Attributes:
        settings: Its environment.
        database: Its pool.
        config: The runtime configuration in force.
        clock: Tells the time.
        draining: Set when the process is about to stop: parked polls end with 204, streams end,
            and nothing new is claimed.
    """

    def __init__(
        self, *, settings: Settings, database: Database, config: ConfigCache, clock: Clock
    ) -> None:
        self.settings = settings
        self.database = database
        self.config = config
        self.clock = clock
        self.draining = asyncio.Event()

    async def drain(self) -> None:
        """Tell everything that parks requests to let them go; safe to call twice."""
        self.draining.set()


@contextlib.asynccontextmanager
async def open_runtime(
    settings: Settings, dsn: str, *, clock: Clock | None = None
) -> AsyncIterator[Runtime]:
    """Open the parts of a process on a migrated and seeded database, and close them at the end.

    Raises:
        DatabaseSetupError, psycopg.Error, StoredConfigError: The database cannot be used.
    """
    database = await Database.open(
        dsn,
        wait_s=_STARTUP_WAIT_S,
        min_size=settings.db_pool_min_size,
        max_size=settings.db_pool_max_size,
        statement_timeout_s=settings.db_statement_timeout_s,
        idle_in_transaction_timeout_s=settings.db_idle_in_transaction_timeout_s,
        prepare=settings.db_prepare,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        config = ConfigCache(database)
        await config.start()
        stack.push_async_callback(config.stop)
        runtime = Runtime(
            settings=settings, database=database, config=config, clock=clock or SystemClock()
        )
        stack.push_async_callback(runtime.drain)
        yield runtime


def create_app(
    runtime: Runtime, *, authenticator: Authenticator, route_handlers: list[Any]
) -> Application:
    """The ASGI application over an open runtime.

    Raises:
        ValueError: `RATE_LIMIT_STORAGE` names no usable store.
    """
    settings = runtime.settings
    door = FrontDoor(
        config=runtime.config,
        authenticator=authenticator,
        limiter=RateLimiter(settings.rate_limit_storage),
        addresses=AddressBook(settings.trusted_proxies),
        admin_token=settings.admin_token,
    )
    return build_application(door, [health_router(runtime.database), *route_handlers])


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us and says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again when it is done, and the exit code would tell of
        # a kill where there was a clean end.
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready(_address_of(self.servers[0].sockets[0], self.config.host))


async def serve_http(
    app: Application,
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
        host: The address to listen on.
        port: 0 lets the system choose.
        grace_s: How long running requests may take to end before they are cancelled.
        before_stop: Runs first at a signal, while connections are still served, so that parked
            requests get their answer.
        on_ready: Called once with the address when it answers.

    Raises:
        OSError: The address cannot be listened on.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="on",
        loop="none",
        http="httptools",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(grace_s)),
        backlog=_BACKLOG,
    )
    server = _Server(config, on_ready)
    loop = asyncio.get_running_loop()
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

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        await server.serve(sockets=[listener])
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
        listener.close()
        for task in stopping:
            await task


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; made here so that a port that is taken is an error we can explain."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    except BaseException:
        listener.close()
        raise
    return listener


def _address_of(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def announce(address: str) -> None:
    """The one line on standard output that says where the marketplace answers."""
    sys.stdout.write(f"OpenClaw.jobs is ready at {address}\n")
    sys.stdout.flush()
