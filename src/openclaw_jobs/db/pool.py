"""The connection pool: short transactions, single reads, and quick recovery from an outage."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
import psycopg
from psycopg import AsyncTransaction, sql
from psycopg_pool import AsyncConnectionPool

from openclaw_jobs.db.connection import Connection, PooledConnection, connect_patiently, has_peer
from openclaw_jobs.db.dsn import libpq_dsn, redacted
from openclaw_jobs.db.errors import DatabaseSetupError, is_unavailable
from openclaw_jobs.db.transactions import ending

__all__ = ["Connection", "Database"]

_MIN_SERVER_VERSION = 150_000
_CONNECT_TIMEOUT_MIN_S = 2  # libpq waits no less
# So long ago a connection was alive that a round trip to ask again would be in vain.
_JUST_S = 1.0
# When the server's machine is gone and says nothing, the server's time-outs are gone with it.
# These, of the client's TCP, notice it within half a minute, waiting or idle (as LISTEN is).
_DEAD_PEER = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


# Every statement of a request finds its rows by an index, whatever the planner believes of the
# tables' sizes: a plan is kept for the life of its connection, and one made while a table was
# small or not yet analyzed would read and sort the whole of it for ever after. What has to read
# whole tables (the proof of the ledger) gives the planner its choice back.
_PLANNER = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "random_page_cost": "1.1",
    "plan_cache_mode": "force_generic_plan",
    # Up to version 17 what is switched off is given an immense cost, which PostgreSQL would find
    # worth compiling for, at a tenth of a second a statement.
    "jit": "off",
}


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is set for every session, or, behind a transaction-pooling proxy, every transaction."""

    statement_timeout_s: float
    idle_in_transaction_timeout_s: float
    lock_timeout_s: float | None
    role: str | None

    def commands(self, *, local: bool) -> sql.Composed:
        """The SET commands (SET LOCAL with `local`) as one string, so that they cost one trip."""
        values = {
            "timezone": "UTC",
            "statement_timeout": _milliseconds(self.statement_timeout_s),
            "idle_in_transaction_session_timeout": _milliseconds(
                self.idle_in_transaction_timeout_s
            ),
            **_PLANNER,
        }
        if self.lock_timeout_s is not None:
            values["lock_timeout"] = _milliseconds(self.lock_timeout_s)
        if self.role is not None:
            values["role"] = self.role
        command = sql.SQL("SET LOCAL {} = {}" if local else "SET {} = {}")
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

    def __init__(
        self,
        dsn: str,
        direct_dsn: str | None,
        session: _Session,
        *,
        min_size: int,
        max_size: int,
        acquire_timeout_s: float,
        prepare: bool,
        application_name: str,
    ) -> None:
        self._dsn = dsn
        self._direct_dsn = direct_dsn or (dsn if prepare else None)
        self._session = session
        self._acquire_timeout_s = acquire_timeout_s
        self._prepare = prepare
        self._application_name = application_name
        self._set_local = session.commands(local=True)
        self._closing = asyncio.Event()
        self._pool = AsyncConnectionPool(
            dsn,
            connection_class=PooledConnection,
            kwargs=self._connect_arguments() | {"closing": self._closing},
            configure=self._configure if prepare else None,
            min_size=min_size,
            max_size=max_size,
            timeout=acquire_timeout_s,
            name=application_name,
            open=False,
        )

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        min_size: int = 2,
        max_size: int = 10,
        statement_timeout_s: float = 15.0,
        idle_in_transaction_timeout_s: float = 15.0,
        lock_timeout_s: float | None = None,
        acquire_timeout_s: float = 5.0,
        connect_timeout_s: float = 5.0,
        application_name: str = "openclaw-jobs",
        role: str | None = "openclaw_app",
        prepare: bool = True,
        direct_dsn: str | None = None,
        wait_s: float = 10.0,
    ) -> Self:
        """Connect to `dsn` and return once `min_size` connections are there. Times are seconds.

        Args:
            dsn: A URL or a libpq string.
            min_size: Connections held open at all times.
            max_size: Connections at most; a caller beyond them waits.
            statement_timeout_s: The server cancels a statement that runs longer.
            idle_in_transaction_timeout_s: The server ends a transaction its owner has forgotten.
            lock_timeout_s: The server gives up on a lock; None leaves that to the statement's.
            acquire_timeout_s: How long a caller waits for a connection before `PoolTimeout`.
            connect_timeout_s: How long one attempt to connect may take; libpq's least is 2.
            application_name: Shown in `pg_stat_activity`.
            role: The role all statements run as; None keeps the login's own.
            prepare: False behind a transaction-pooling proxy such as PgBouncer. Then nothing is
                prepared and nothing is set for the session: role and time-outs are set locally
                in each transaction, for one more round trip, and a read is a transaction too.
            direct_dsn: The way past such a proxy, for `dedicated`.
            wait_s: How long to wait for a server that is not up yet.

        Raises:
            DatabaseSetupError: The server is too old, or the migrations have not run.
            psycopg.OperationalError: It cannot be reached within `wait_s`, or the login fails.
        """
        database = cls(
            _target(dsn, application_name, connect_timeout_s),
            _target(direct_dsn, application_name, connect_timeout_s) if direct_dsn else None,
            _Session(
                statement_timeout_s=statement_timeout_s,
                idle_in_transaction_timeout_s=idle_in_transaction_timeout_s,
                lock_timeout_s=lock_timeout_s,
                role=role,
            ),
            min_size=min_size,
            max_size=max_size,
            acquire_timeout_s=acquire_timeout_s,
            prepare=prepare,
            application_name=application_name,
        )
        await database._fill(time.monotonic() + wait_s)
        return database

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pool: who waits gets `PoolClosed`, and what is in use closes afterwards."""
        self._closing.set()
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self, *, pipelined: bool = False) -> AsyncIterator[Connection]:
        """BEGIN, run the body, COMMIT; roll back if the body raises.

        `psycopg.Rollback` raised in the body rolls back and is swallowed, as in psycopg.

        Args:
            pipelined: Send a statement only with the next whose rows are fetched, and the last
                ones with the COMMIT: fewer round trips. The error of a statement without rows
                then shows at that later point, or as the block ends; the whole is undone, whatever
                the body makes of it. On a connection that was in use a moment ago BEGIN is not
                waited for either.

        Raises:
            psycopg.errors.InFailedSqlTransaction: The body swallowed a failed statement. Its
                COMMIT would be answered with a silent ROLLBACK; this makes it loud.
            psycopg.OperationalError: The connection was lost; see `is_unavailable`.
        """
        conn, block = await self._begin(may_wait=pipelined)
        try:
            async with ending(conn, block, pipelined=pipelined):
                yield conn
        finally:
            conn.used_at = time.monotonic()
            await self._pool.putconn(conn)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode: every statement stands alone, with no BEGIN to pay."""
        if not self._prepare:
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
            DatabaseSetupError: The database is behind a proxy and the way past it is not known.
        """
        if self._direct_dsn is None:
            raise DatabaseSetupError(
                "LISTEN needs a session of its own, which a transaction-pooling proxy does not "
                "give: set DATABASE_DIRECT_URL to the address of PostgreSQL itself"
            )
        conn: Connection = await psycopg.AsyncConnection.connect(
            self._direct_dsn,
            **self._connect_arguments(),
            application_name=f"{self._application_name}-{purpose}",
        )
        async with conn:
            await self._configure(conn)
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
        return time.monotonic() + self._acquire_timeout_s

    def _connect_arguments(self) -> dict[str, Any]:
        return {"autocommit": True, "prepare_threshold": 5 if self._prepare else None}

    async def _configure(self, conn: Connection) -> None:
        await conn.execute(self._session.commands(local=False))

    async def _begin(self, *, may_wait: bool) -> tuple["PooledConnection", AsyncTransaction]:
        """Begin on a live connection, trying others while BEGIN finds them dead.

        With `may_wait` the block is not entered yet if its connection was in use just now, and so
        is almost surely alive: its BEGIN is left to be sent with the first statement.
        """
        deadline = self._deadline()
        # Each round discards a connection; after this many, every one of before is gone.
        for attempts_left in range(self._pool.max_size, -1, -1):
            conn = await self._acquire(deadline)
            block = AsyncTransaction(conn)
            if may_wait and self._prepare and time.monotonic() - conn.used_at < _JUST_S:
                return conn, block
            try:
                await self._enter(conn, block)
            except BaseException as exc:
                await self._pool.putconn(conn)
                if not (attempts_left and conn.closed and is_unavailable(exc)):
                    raise
            else:
                return conn, block
        raise AssertionError("the last attempt returns or raises")

    async def _enter(self, conn: Connection, block: AsyncTransaction) -> None:
        await block.__aenter__()
        if self._prepare:
            return
        try:
            await conn.execute(self._set_local)
        except BaseException as exc:
            await block.__aexit__(type(exc), exc, exc.__traceback__)
            raise

    async def _acquire(self, deadline: float) -> "PooledConnection":
        """Take a connection whose server has not hung up. Raises `PoolTimeout` at `deadline`."""
        task = asyncio.current_task()
        cancels = 0 if task is None else task.cancelling()
        while True:
            conn = await self._pool.getconn(timeout=deadline - time.monotonic())
            if task is not None and task.cancelling() > cancels:
                # The pool waits with `asyncio.wait_for`, which in Python 3.11 forgets a
                # cancellation that comes as its wait ends. Who cancelled us waits for our end.
                await self._pool.putconn(conn)
                raise asyncio.CancelledError
            if has_peer(conn):
                return conn
            await conn.close()
            await self._pool.putconn(conn)

    async def _fill(self, deadline: float) -> None:
        """Open the pool by `deadline`, or say why that cannot be."""
        # At INFO the pool logs every connection it gives and takes; an outage reaches the
        # callers as exceptions and need not be logged once more for each connection.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        try:
            await self._verify(deadline)
            await self._pool.open(wait=True, timeout=max(1.0, deadline - time.monotonic()))
        except BaseException:
            await self.close()
            raise

    async def _verify(self, deadline: float) -> None:
        """Connect once outside the pool, for the real reason if that cannot work."""
        conn: Connection = await connect_patiently(
            lambda: psycopg.AsyncConnection.connect(self._dsn, **self._connect_arguments()),
            deadline,
            self._closing,
        )
        async with conn:
            if conn.info.server_version < _MIN_SERVER_VERSION:
                found = conn.info.server_version // 10_000
                raise DatabaseSetupError(
                    f"{redacted(self._dsn)} is PostgreSQL {found}; 15 or newer is needed"
                )
            try:
                # Locally: behind a proxy the session goes on to somebody else.
                async with conn.transaction():
                    await conn.execute(self._set_local)
            except (
                psycopg.errors.InvalidParameterValue,
                psycopg.errors.InsufficientPrivilege,
            ) as exc:
                raise DatabaseSetupError(
                    f"{redacted(self._dsn)} has no usable role {self._session.role!r} yet: "
                    "run `openclaw-jobs migrate`"
                ) from exc


def _target(dsn: str, application_name: str, connect_timeout_s: float) -> str:
    return libpq_dsn(
        dsn,
        application_name=application_name,
        connect_timeout=max(_CONNECT_TIMEOUT_MIN_S, math.ceil(connect_timeout_s)),
        **_DEAD_PEER,
    )


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
