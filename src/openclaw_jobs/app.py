"""The composition root: opens everything in order, puts the doors on it, and serves.

`open_market` is enough for a command that does one thing; `open_runtime` adds what only a
process that stays needs. What doors and loops there are is said by `composition.py`.
"""

import asyncio
import contextlib
import gc
import random
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from openclaw_jobs.api.addresses import AddressBook
from openclaw_jobs.api.application import Application, build_application
from openclaw_jobs.api.connections import Connections, Waiting, most_connections
from openclaw_jobs.api.guards import FrontDoor
from openclaw_jobs.api.limits import RateLimiter
from openclaw_jobs.api.middleware import security_headers
from openclaw_jobs.api.server import serve_http
from openclaw_jobs.api.services import attach
from openclaw_jobs.api.session_door import SessionDoor
from openclaw_jobs.api.shared_limits import open_limiter
from openclaw_jobs.composition import Loop, Parts, Runtime, compose
from openclaw_jobs.db import Database
from openclaw_jobs.db.revision import current_revision, head_revision, is_ahead, is_current
from openclaw_jobs.economy import ConfigCache
from openclaw_jobs.economy import service as economy
from openclaw_jobs.events import Bus, Notifier
from openclaw_jobs.kit import failpoints
from openclaw_jobs.kit.clock import Clock, SystemClock
from openclaw_jobs.kit.csrf import Signer
from openclaw_jobs.kit.tracing import OFF
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.site_secret import site_secret
from openclaw_jobs.outside import make_mailer, open_payout_rails, open_stripe_desk, open_traces
from openclaw_jobs.settings import Settings
from openclaw_jobs.web.errors import error_page
from openclaw_jobs.web.site import STATE_KEY

if TYPE_CHECKING:
    from openclaw_jobs.db.migrate import Half

__all__ = [
    "Parts",
    "Runtime",
    "compose",
    "create_app",
    "open_market",
    "open_runtime",
    "prepare_database",
    "run_background",
    "run_web",
]

_log = structlog.get_logger(__name__)

_STARTUP_WAIT_S: Final = 30.0


async def prepare_database(settings: Settings, dsn: str, half: "Half" = "all") -> str:
    """Migrate and seed the database; returns its revision. Safe to run from several processes.

    Args:
        settings: The environment.
        dsn: Where the database is; past a proxy that pools transactions, `database_direct_url`.
        half: What of the missing revisions to apply; see `db.migrate.migrate`.

    Raises:
        DatabaseSetupError: It is newer than this version, or `half` is not enough.
        psycopg.OperationalError: It cannot be reached.
        sqlalchemy.exc.DBAPIError: A revision failed.
    """
    direct = settings.database_direct_url or dsn
    if not await asyncio.to_thread(lambda: is_current(direct) or is_ahead(direct)):
        # Loaded only where there is something to do: it takes as long as all the rest.
        from openclaw_jobs.db.migrate import migrate  # noqa: PLC0415

        await asyncio.to_thread(partial(migrate, direct, half=half))
    database = await _open_database(settings, dsn, single_use=True)
    try:
        async with database.transaction() as conn:
            seeded = await economy.seed(conn)
    finally:
        await database.close()
    if seeded:
        _log.info("configuration_seeded", keys=seeded)
    return await asyncio.to_thread(current_revision, direct) or head_revision()


@contextlib.asynccontextmanager
async def open_market(
    settings: Settings, dsn: str, *, clock: Clock | None = None, single_use: bool = False
) -> AsyncIterator[Market]:
    """What the use cases work with, on a migrated and seeded database.

    Args:
        settings: The environment.
        dsn: Where the database is.
        clock: Tells the time; the machine's by default.
        single_use: For a command that does one thing: as few connections as possible.

    Raises:
        DatabaseSetupError: The database is not as this version needs it.
        StoredConfigError: Its configuration was never seeded or cannot be used.
        psycopg.OperationalError: It cannot be reached.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = await _open_database(settings, dsn, single_use=single_use)
        stack.push_async_callback(database.close)
        configuration = ConfigCache(database)
        await configuration.start()
        stack.push_async_callback(configuration.stop)
        yield Market(
            db=database,
            configuration=configuration,
            bus=Bus(),
            clock=clock or SystemClock(),
            rng=random.SystemRandom(),
            tracing=OFF if single_use else stack.enter_context(open_traces(settings)),
        )


@contextlib.asynccontextmanager
async def open_runtime(
    settings: Settings, dsn: str, *, clock: Clock | None = None
) -> AsyncIterator[Runtime]:
    """Open the parts of a process that stays; raises as `open_market` does."""
    node_id = settings.node_id or f"node-{secrets.token_hex(6)}"
    if settings.failpoint is not None:
        _log.warning("failpoint_armed", name=settings.failpoint)
        failpoints.arm(settings.failpoint)
    async with (
        open_market(settings, dsn, clock=clock) as market,
        open_stripe_desk(settings) as desk,
        open_payout_rails(settings, market.clock) as providers,
    ):
        notifier = Notifier(market.db, market.bus, node_id=node_id, rng=market.rng)
        await notifier.start(wait_s=_STARTUP_WAIT_S)
        try:
            yield Runtime(
                settings=settings,
                market=market,
                desk=desk,
                providers=providers,
                mailer=make_mailer(settings),
                node_id=node_id,
                signer=Signer(await site_secret(market, settings.session_secret)),
            )
        finally:
            await notifier.stop()


def create_app(runtime: Runtime, parts: Parts) -> Application:
    """The ASGI application over an open runtime.

    Raises:
        LimitStoreError: `RATE_LIMIT_STORAGE` names no usable store.
    """
    settings = runtime.settings
    limiter = open_limiter(settings.rate_limit_storage)
    door = FrontDoor(
        config=runtime.market.configuration,
        authenticator=parts.authenticator,
        limiter=limiter,
        addresses=AddressBook(settings.trusted_proxies),
        admin_token=settings.admin_token,
        sessions=SessionDoor(
            parts.authenticator, runtime.signer, parts.site.names, settings.public_url
        ),
        metrics=runtime.market.metrics,
        waiting=Waiting(per_address=settings.max_connections_per_address),
    )
    app = build_application(door, parts.route_handlers, lifespan=[partial(_closing, limiter)])
    app.tracing = runtime.market.tracing
    app.common_headers = security_headers(https_only=settings.is_https_only)
    attach(app, parts.services)
    app.state[STATE_KEY] = parts.site
    app.error_page = error_page
    return app


@contextlib.asynccontextmanager
async def _closing(limiter: RateLimiter, _app: object) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await limiter.close()


async def run_web(
    settings: Settings, dsn: str, *, host: str, port: int, with_background: bool = False
) -> None:
    """Serve HTTP until SIGTERM or SIGINT; with `with_background` run the periodic jobs as well.

    Raises:
        OSError: The address cannot be listened on.
        DatabaseSetupError, StoredConfigError, psycopg.OperationalError: As `open_market`.
    """
    async with open_runtime(settings, dsn) as runtime:
        parts = compose(runtime)
        app = create_app(runtime, parts)
        async with _running([*parts.web_loops, *(parts.loops if with_background else ())]):
            await serve_http(
                app,
                host=host,
                port=port,
                grace_s=settings.shutdown_grace_s,
                before_stop=parts.drain,
                on_ready=announce,
                connections=Connections(
                    per_address=settings.max_connections_per_address,
                    total=most_connections(),
                    exempt=settings.trusted_proxies,
                ),
            )


async def run_background(settings: Settings, dsn: str) -> None:
    """Run the periodic jobs until SIGTERM or SIGINT; raises as `open_market` does."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_runtime(settings, dsn) as runtime:
        parts = compose(runtime)
        async with _running(parts.loops):
            _log.info("background_ready", node=runtime.node_id)
            await stop.wait()
            await parts.drain()


def announce(address: str) -> None:
    """The one line on standard output that says where the marketplace answers.

    What was loaded by then lives as long as the process, so garbage collections pass it by from
    now on: a full one took up to 160 ms, in which nobody was answered.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    sys.stdout.write(f"OpenClaw.jobs is ready at {address}\n")
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def _running(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """Run `loops` for the length of the block, and let each end what it has begun.

    A loop that fails ends the block: a process without its periodic jobs only looks well.
    """
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(_run_loop(loop, stop))
            try:
                yield
            finally:
                stop.set()
    except BaseExceptionGroup as failures:
        # One failure is told as itself, so that whoever called can explain it.
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


async def _run_loop(loop: Loop, stop: asyncio.Event) -> None:
    await loop(stop)


async def _open_database(settings: Settings, dsn: str, *, single_use: bool) -> Database:
    return await Database.open(
        dsn,
        wait_s=_STARTUP_WAIT_S,
        min_size=1 if single_use else settings.db_pool_min_size,
        max_size=2 if single_use else settings.db_pool_max_size,
        statement_timeout_s=settings.db_statement_timeout_s,
        idle_in_transaction_timeout_s=settings.db_idle_in_transaction_timeout_s,
        prepare=settings.db_prepare,
        direct_dsn=settings.database_direct_url,
    )
