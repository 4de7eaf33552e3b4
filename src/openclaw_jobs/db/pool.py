"""The connection pool: short transactions, single reads, and quick recovery from an outage."""

import asyncio
import logging
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias

import msgspec
import psycopg
from psycopg import AsyncTransaction, pq, sql
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from openclaw_jobs.db.dsn import libpq_dsn, redacted
from openclaw_jobs.db.errors import DatabaseSetupError, is_unavailable

__all__ = ["Connection", "Database", "PoolSettings"]

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]

_MIN_SERVER_VERSION = 150_000
# A server that restarts is back within a second or so; these find it within a tenth of that.
_RETRY_FIRST_S = 0.05
_RETRY_MAX_S = 0.5
# The pool's own retries double from one second up and would oversleep a restart, so a connection
# attempt lasts this long before the pool hears of its failure.
_RECONNECT_WINDOW_S = 30.0

_log = logging.getLogger(__name__)


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one process uses the database. Times are in seconds.

    Attributes:
        min_size: Connections held open at all times.
        max_size: Connections at most; a caller beyond them waits.
        acquire_timeout_s: How long a caller waits for a connection before `PoolTimeout`.
        connect_timeout_s: How long one attempt to connect may take.
        statement_timeout_s: The server cancels a statement that runs longer.
        idle_in_transaction_timeout_s: The server ends a transaction its owner has forgotten.
        lock_timeout_s: The server gives up waiting for a lock; None leaves it to the statement's.
        application_name: Shown in `pg_stat_activity`.
        role: The role every statement runs as; None keeps the login's own.
        prepare: False behind a transaction-pooling proxy such as PgBouncer. Then nothing is
            prepared and nothing is set for the session: role and time-outs are set locally in
            each transaction, at the price of one round trip, and a read is a transaction too.
    """

    min_size: int = 2
    max_size: int = 10
    acquire_timeout_s: float = 5.0
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 15.0
    idle_in_transaction_timeout_s: float = 15.0
    lock_timeout_s: float | None = None
    application_name: str = "openclaw-jobs"
    role: str | None = "openclaw_app"
    prepare: bool = True

    def statements(self, *, local: bool) -> sql.Composed:
        """The SET commands for a connection (or, with `local`, for a transaction) as one string."""
        values: dict[str, str] = {
            "timezone": "UTC",
            "statement_timeout": _milliseconds(self.statement_timeout_s),
            "idle_in_transaction_session_timeout": _milliseconds(
                self.idle_in_transaction_timeout_s
            ),
        }
        if self.lock_timeout_s is not None:
            values["lock_timeout"] = _milliseconds(self.lock_timeout_s)
        if self.role is not None:
            values["role"] = self.role
        command = sql.SQL("SET LOCAL {} = {}") if local else sql.SQL("SET {} = {}")
        return sql.SQL("; ").join(
            command.format(sql.Identifier(name), sql.Literal(value))
            for name, value in values.items()
        )


class Database:
    """A pool of connections to one database, as `openclaw_app`, in UTC, with time-outs.

    Open it with `Database.open`; it is bound to the running event loop. A connection at rest is
    in autocommit mode. When PostgreSQL restarts, connections that died are noticed before they
    are handed out (their socket is readable while nothing was asked), and a transaction whose
    BEGIN fails moves to another connection: nothing had been executed. What had begun fails with
    `psycopg.OperationalError` and may or may not have been committed if COMMIT itself was lost;
    `is_unavailable` recognises all of these.
    """

    def __init__(self, dsn: str, settings: PoolSettings) -> None:
        self._settings = settings
        self._closing = asyncio.Event()
        self._dsn = libpq_dsn(
            dsn,
            application_name=settings.application_name,
            connect_timeout=max(2, round(settings.connect_timeout_s)),
        )
        self._session = settings.statements(local=False)
        self._local = settings.statements(local=True)
        self._pool: AsyncConnectionPool[_PooledConnection] = AsyncConnectionPool(
            self._dsn,
            connection_class=_PooledConnection,
            kwargs=self._connect_arguments() | {"closing": self._closing},
            configure=self._configure,
            min_size=settings.min_size,
            max_size=settings.max_size,
            timeout=settings.acquire_timeout_s,
            name=settings.application_name,
            open=False,
        )

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        settings: PoolSettings | None = None,
        wait_s: float = 10.0,
        **overrides: Any,
    ) -> Self:
        """Connect to `dsn` (a URL or a libpq string) and return once the pool is filled.

        Args:
            dsn: Where the database is.
            settings: How to use it; by default `PoolSettings()`.
            wait_s: How long to wait for a server that is not up yet.
            **overrides: Single fields of `PoolSettings`, by name.

        Raises:
            DatabaseSetupError: The server is too old, or the migrations have not run.
            psycopg.OperationalError: It cannot be reached within `wait_s`, or the login fails.
            TypeError: An override is no field of `PoolSettings`.
        """
        # At INFO the pool logs every connection it gives and takes.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        chosen = settings or PoolSettings()
        if overrides:
            chosen = PoolSettings(**(msgspec.structs.asdict(chosen) | overrides))
        database = cls(dsn, chosen)
        deadline = time.monotonic() + wait_s
        try:
            await database._verify(deadline)
            await database._pool.open(wait=True, timeout=max(1.0, deadline - time.monotonic()))
        except BaseException:
            await database.close()
            raise
        return database

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pool. Waiting callers get `PoolClosed`; running ones finish first."""
        self._closing.set()
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """BEGIN, run the body, COMMIT; roll back if the body raises.

        `psycopg.Rollback` raised in the body rolls back and is swallowed, as in psycopg.

        Raises:
            psycopg.errors.InFailedSqlTransaction: The body swallowed a failed statement. Its
                COMMIT would be answered with a silent ROLLBACK; this makes it loud.
            psycopg.OperationalError: The connection was lost; see `is_unavailable`.
        """
        conn, block = await self._begin()
        try:
            try:
                yield conn
            except BaseException as exc:
                if not await block.__aexit__(type(exc), exc, exc.__traceback__):
                    raise
            else:
                await _commit(conn, block)
        finally:
            await self._pool.putconn(conn)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode: every statement stands alone, with no BEGIN to pay."""
        if not self._settings.prepare:
            async with self.transaction() as conn:
                yield conn
            return
        conn = await self._acquire(self._deadline())
        try:
            yield conn
        finally:
            await self._pool.putconn(conn)

    @asynccontextmanager
    async def dedicated(
        self, *, purpose: str, synchronous_commit: bool = True
    ) -> AsyncIterator[Connection]:
        """A connection of its own outside the pool, for LISTEN or for unflushed NOTIFYs.

        It is set up as the pool's are, is not replaced when it breaks, and closes with the block.

        Args:
            purpose: Added to the application name.
            synchronous_commit: False lets COMMIT return before the log is on disk.

        Raises:
            psycopg.OperationalError: It cannot be opened.
        """
        name = f"{self._settings.application_name}-{purpose}"
        conn: Connection = await psycopg.AsyncConnection.connect(
            self._dsn, **self._connect_arguments() | {"application_name": name}
        )
        async with conn:
            await conn.execute(self._session)
            if not synchronous_commit:
                await conn.execute("SET synchronous_commit = off")
            yield conn

    async def latency_ms(self, *, timeout_s: float = 2.0) -> float:
        """How long one trivial statement takes, in milliseconds, waiting for a connection included.

        Raises:
            TimeoutError: It took longer than `timeout_s`.
            psycopg.OperationalError: There is no database to ask.
        """
        started = time.perf_counter()
        async with asyncio.timeout(timeout_s), self.read() as conn:
            await conn.execute("SELECT 1")
        return (time.perf_counter() - started) * 1000

    def stats(self) -> dict[str, int]:
        """The pool's counters since it was opened, by psycopg_pool's names.

        https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
        """
        return dict(self._pool.get_stats())

    def _deadline(self) -> float:
        return time.monotonic() + self._settings.acquire_timeout_s

    def _connect_arguments(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "prepare_threshold": 5 if self._settings.prepare else None,
        }

    async def _configure(self, conn: Connection) -> None:
        if self._settings.prepare:
            await conn.execute(self._session)

    async def _begin(self) -> tuple["_PooledConnection", AsyncTransaction]:
        """Begin on a live connection, trying others while BEGIN finds them dead."""
        deadline = self._deadline()
        # Each round discards one connection; after this many every old one is gone.
        for attempts_left in range(self._settings.max_size, -1, -1):
            conn = await self._acquire(deadline)
            block = conn.transaction()
            try:
                await block.__aenter__()
                if not self._settings.prepare:
                    await _set_local(conn, block, self._local)
            except BaseException as exc:
                await self._pool.putconn(conn)
                if not (attempts_left and conn.closed and is_unavailable(exc)):
                    raise
                continue
            return conn, block
        raise AssertionError("the last attempt returns or raises")

    async def _acquire(self, deadline: float) -> "_PooledConnection":
        """Take a connection whose server has not hung up. Raises `PoolTimeout` at `deadline`."""
        while True:
            conn = await self._pool.getconn(timeout=deadline - time.monotonic())
            if _has_peer(conn):
                return conn
            await conn.close()
            await self._pool.putconn(conn)

    async def _verify(self, deadline: float) -> None:
        """Connect once outside the pool, for the real reason if that cannot work."""
        conn = await _connect_patiently(
            psycopg.AsyncConnection, self._dsn, self._connect_arguments(), deadline, self._closing
        )
        async with conn:
            if conn.info.server_version < _MIN_SERVER_VERSION:
                found = conn.info.server_version // 10_000
                raise DatabaseSetupError(
                    f"{redacted(self._dsn)} is PostgreSQL {found}; 15 or newer is needed"
                )
            try:
                await conn.execute(self._session)
            except (
                psycopg.errors.InvalidParameterValue,
                psycopg.errors.InsufficientPrivilege,
            ) as exc:
                raise DatabaseSetupError(
                    f"{redacted(self._dsn)} has no usable role {self._settings.role!r} yet: "
                    "run `openclaw-jobs migrate`"
                ) from exc


class _PooledConnection(psycopg.AsyncConnection[TupleRow]):
    """A connection whose `connect` outwaits a restart of the server."""

    @classmethod
    async def connect(  # type: ignore[override]  # `closing` is ours and required
        cls, conninfo: str = "", *, closing: asyncio.Event, **kwargs: Any
    ) -> Self:
        return await _connect_patiently(
            super(), conninfo, kwargs, time.monotonic() + _RECONNECT_WINDOW_S, closing
        )


async def _connect_patiently(
    connector: Any, dsn: str, arguments: dict[str, Any], deadline: float, closing: asyncio.Event
) -> Any:
    """Connect, trying again while the server is away, until `deadline` or `closing`."""
    pause = _RETRY_FIRST_S
    while True:
        try:
            return await connector.connect(dsn, **arguments)
        except psycopg.OperationalError as exc:
            if closing.is_set() or not is_unavailable(exc) or time.monotonic() + pause > deadline:
                raise
        try:
            await asyncio.wait_for(closing.wait(), pause)
        except TimeoutError:
            pause = min(pause * 2, _RETRY_MAX_S)


async def _commit(conn: Connection, block: AsyncTransaction) -> None:
    """End a transaction whose body succeeded, or raise if it cannot have."""
    if conn.closed:
        await block.__aexit__(None, None, None)
        raise psycopg.OperationalError("the connection was lost before COMMIT")
    if conn.pgconn.transaction_status == pq.TransactionStatus.INERROR:
        failed = psycopg.errors.InFailedSqlTransaction(
            "a statement of this transaction failed and its error was swallowed; rolled back"
        )
        await block.__aexit__(type(failed), failed, None)
        raise failed
    await block.__aexit__(None, None, None)


async def _set_local(conn: Connection, block: AsyncTransaction, commands: sql.Composed) -> None:
    try:
        await conn.execute(commands)
    except BaseException as exc:
        await block.__aexit__(type(exc), exc, exc.__traceback__)
        raise


def _has_peer(conn: Connection) -> bool:
    """Tell, without a round trip, whether the server has not closed this idle connection.

    Nothing is due on an idle connection's socket. If there is something to read it is a notice,
    which libpq takes in, or the end: a farewell message, end of file or a reset.
    """
    if conn.closed:
        return False
    poller = select.poll()
    poller.register(conn.pgconn.socket, select.POLLIN)
    if not poller.poll(0):
        return True
    try:
        conn.pgconn.consume_input()
        # The farewell is in the buffer now, and only the next read meets the end of file.
        conn.pgconn.is_busy()
        if poller.poll(0):
            conn.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return conn.pgconn.status == pq.ConnStatus.OK


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
