"""What every test may ask for: a real PostgreSQL, a fresh migrated database, a clock that stands.

By default each pytest process makes an embedded cluster of its own and throws it away. With
`TEST_DATABASE_URL` (a superuser's login on any PostgreSQL 15 or newer) that server is used.
"""

import gc
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg import conninfo, sql

from openclaw_jobs.db import Database
from openclaw_jobs.db.embedded import EmbeddedServer
from openclaw_jobs.db.migrate import migrate
from openclaw_jobs.kit.clock import ManualClock
from tests.running import Node, running_node

# What decides whether a change lands decides the same twice; every other run looks elsewhere.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

# Durability against a power cut is all that these give up; commits, locks and recovery after a
# killed process behave as in production.
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}
_ROOM_FOR_A_CLUSTER_BYTES = 2 * 1024**3
_CLOSING_S = 0.1


def pytest_collection_finish() -> None:
    """Keep what is imported out of garbage collection: pytest's end alone collects five times."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server for tests.

    Attributes:
        admin_dsn: A superuser's login to its database `postgres`.
        admin: A connection there, in autocommit mode, for the whole run.
        template: A migrated database that nobody is connected to.
    """

    admin_dsn: str
    admin: psycopg.Connection
    template: str

    def dsn(self, database: str) -> str:
        """The superuser's login to another database of this server."""
        return conninfo.make_conninfo(self.admin_dsn, dbname=database)

    def run(self, statement: sql.Composed) -> None:
        """Run one statement as superuser, outside a transaction."""
        self.admin.execute(statement)

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """A database for the length of the block, by default a migrated one; yields its DSN."""
        name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
        self.run(
            # Copying files is ten times faster here than writing them to the log (in memory, of
            # a cluster that does not sync).
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template or self.template)
            )
        )
        try:
            yield self.dsn(name)
        finally:
            self._wait_until_unused(name)
            self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _wait_until_unused(self, database: str) -> None:
        """Give closed connections a moment to be gone; the server itself would wait 0.1 s."""
        deadline = time.monotonic() + _CLOSING_S
        query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s)"
        while time.monotonic() < deadline:
            row = self.admin.execute(query, (database,)).fetchone()
            if row is None or not row[0]:
                return
            time.sleep(0.002)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this test run, with a migrated template."""
    with _server() as admin_dsn, psycopg.connect(admin_dsn, autocommit=True) as admin:
        server = Postgres(admin_dsn, admin, f"template_{os.getpid()}_{secrets.token_hex(4)}")
        template = sql.Identifier(server.template)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(template))
        try:
            migrate(server.dsn(server.template))
            yield server
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(template))


# Where no log is set up, a traceback is drawn with all variables in it; ours never hold any.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


@pytest.fixture(autouse=True)
def logs_go_where_they_went() -> Iterator[None]:
    """A command that a test runs in this process sends all logs to a stream that is closed soon."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def dsn(postgres: Postgres) -> Iterator[str]:
    """A fresh migrated database, as superuser; it is gone after the test."""
    with postgres.database() as fresh:
        yield fresh


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """An open `Database` on a fresh migrated database."""
    database = await Database.open(dsn, min_size=1, max_size=8)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def node(dsn: str) -> AsyncIterator[Node]:
    """A running marketplace on a fresh database, its periodic jobs left to the test."""
    async with running_node(dsn, background=False) as running:
        yield running


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands at noon UTC of a Thursday until the test moves it."""
    return ManualClock(datetime(2026, 1, 15, 12, tzinfo=UTC))


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty directory for an embedded server of the test's own."""
    with temporary_data_dir() as path:
        yield path


@contextmanager
def temporary_data_dir() -> Iterator[Path]:
    """A data directory for the length of the block, in memory if there is room.

    Not in pytest's `tmp_path`: as root the server has an account of its own, and each pytest that
    starts closes the directory above all `tmp_path`s to other accounts.
    """
    memory = Path("/dev/shm")  # noqa: S108  # a private directory is made inside
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_FOR_A_CLUSTER_BYTES
    with tempfile.TemporaryDirectory(prefix="ocj-", dir=memory if roomy else None) as path:
        yield Path(path)


@contextmanager
def _server() -> Iterator[str]:
    """The DSN of a server: the one given, or an embedded one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with (
        temporary_data_dir() as data_dir,
        EmbeddedServer.start(data_dir, settings=TEST_SETTINGS) as server,
    ):
        yield server.dsn("postgres")
