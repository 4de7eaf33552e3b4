"""Where the benchmark plays: an embedded PostgreSQL in a temporary directory, as in production."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from openclaw_jobs.app import open_market, prepare_database
from openclaw_jobs.db.embedded import EmbeddedServer
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.settings import Settings

SETTINGS = Settings(log_level="WARNING")
_UNLIMITED = {"limit": 1_000_000, "per_seconds": 60}
_LIMITS = ("work_next", "task_submit", "work_submit", "auth_failures")
_PRICES_NO_FURTHER = {"lease_seconds": 3_600, "max_attempts": 3}


@dataclass(frozen=True)
class Stage:
    """A running server, and a migrated database to copy.

    Attributes:
        admin_dsn: The superuser's login.
        quick: A smoke run: everything happens, in little time, and the figures mean nothing.
    """

    admin_dsn: str
    quick: bool

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh migrated and configured database; yields its DSN and drops it afterwards."""
        with psycopg.connect(self.admin_dsn, autocommit=True) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE bench_template").format(sql.Identifier(name))
            )
            try:
                yield conninfo.make_conninfo(self.admin_dsn, dbname=name)
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.asynccontextmanager
async def open_stage(*, quick: bool) -> AsyncIterator[Stage]:
    """Start the server with the settings of a production data directory, fsync on."""
    directory = Path(tempfile.mkdtemp(prefix="ocj-bench-"))
    # As root the server has an account of its own, which must get in.
    os.chmod(directory, 0o711)  # noqa: PTH101, S103 - asyncio's rule would flag Path's method
    server = EmbeddedServer.start(directory / "data")
    try:
        admin_dsn = server.dsn("postgres")
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute("CREATE DATABASE bench_template")
        template = conninfo.make_conninfo(admin_dsn, dbname="bench_template")
        await prepare_database(SETTINGS, template)
        async with open_market(SETTINGS, template, single_use=True) as market:
            await change_config(
                market, "rate_limits", dict.fromkeys(_LIMITS, _UNLIMITED), None, "bench"
            )
            await change_config(market, "dispatch", _PRICES_NO_FURTHER, None, "bench")
        yield Stage(admin_dsn, quick)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def prove(market: Market, expected_settled: int | None = None) -> None:
    """Prove the ledger, and that as many tasks were settled as the benchmark counted.

    Raises:
        AssertionError: It does not add up, so the figures count for nothing.
    """
    proof = await prove_ledger(market)
    assert proof.ok, proof.violations
    if expected_settled is None:
        return
    async with market.db.read() as conn:
        cursor = await conn.execute(
            "SELECT (SELECT count(*) FROM tasks WHERE status = 'completed'"
            "   AND buyer_id IS NOT NULL),"
            " (SELECT count(*) FROM transfers WHERE kind = 'settle') -"
            " (SELECT count(*) FROM tasks WHERE status = 'completed' AND buyer_id IS NULL)"
        )
        row = await cursor.fetchone()
    assert row == (expected_settled, expected_settled), (row, expected_settled)


async def hidden_done(market: Market) -> int:
    """How many tasks were done that nobody posted; workers can't tell, and count them."""
    async with market.db.read() as conn:
        cursor = await conn.execute(
            "SELECT count(*) FROM tasks WHERE status = 'completed' AND buyer_id IS NULL"
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
