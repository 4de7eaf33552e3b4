"""The whole marketplace behind a real PgBouncer in transaction mode."""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import conninfo

from openclaw_jobs.db import Database, DatabaseSetupError
from tests.bad_days.load import Load
from tests.bad_days.programs import background, behind, program, together, until, web
from tests.parts import pgbouncer_path

SERVER_CONNECTIONS = 4
TASKS = 30


@asynccontextmanager
async def pgbouncer(dsn: str) -> AsyncIterator[str]:
    """A pooler before the server of `dsn`, with few connections to it; yields its address."""
    pooler = pgbouncer_path()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    far = conninfo.conninfo_to_dict(dsn)
    target = " ".join(f"{k}={v}" for k, v in far.items() if k in {"host", "port", "user"})
    password = f" password={far['password']}" if "password" in far else ""
    with _open_folder() as place:
        (place / "pgbouncer.ini").write_text(
            f"[databases]\n* = {target}{password}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\nadmin_users = postgres\n"
            f"pool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\n"
            "max_client_conn = 200\nserver_round_robin = 1\n"
        )
        with (place / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                pooler,
                place / "pgbouncer.ini",
                stdout=log,
                stderr=log,
                **_somebody_else(str(far.get("host", ""))),
            )
        try:
            await until(lambda: _answers(port), 10)
            name = far["dbname"]
            yield f"postgresql://postgres@127.0.0.1:{port}/{name}"
        except TimeoutError as error:
            raise AssertionError((place / "log").read_text()) from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A folder that others may read."""
    with tempfile.TemporaryDirectory(prefix="ocj-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        yield place


def _somebody_else(host: str) -> dict[str, Any]:
    """Who may connect to the embedded server; PgBouncer itself refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    if not host.startswith("/"):
        return {"user": "nobody", "group": "nogroup", "extra_groups": []}
    owner = Path(host).stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _pooled(address: str) -> tuple[int, int]:
    """How many connections of clients and to the server the pooler holds for this database."""
    name = conninfo.conninfo_to_dict(address)["dbname"]
    admin = conninfo.make_conninfo(address, dbname="pgbouncer")
    with psycopg.connect(admin, autocommit=True, prepare_threshold=None) as conn:
        cursor = psycopg.ClientCursor(conn)
        clients = cursor.execute("SHOW CLIENTS").fetchall()
        names = [column.name for column in cursor.description or ()]
        servers = cursor.execute("SHOW SERVERS").fetchall()
        server_names = [column.name for column in cursor.description or ()]
    at, far = names.index("database"), server_names.index("database")
    return (
        sum(row[at] == name for row in clients),
        sum(row[far] == name for row in servers),
    )


async def test_two_web_processes_behind_it_do_the_main_job(dsn: str) -> None:
    async with behind(dsn) as back, pgbouncer(dsn) as pooled:
        through = {"DB_PREPARE": "false", "DATABASE_DIRECT_URL": dsn}
        async with together(
            web(pooled, **through), web(pooled, **through), background(pooled, **through)
        ) as running:
            load = Load([each.address for each in running[:2]])
            working = [asyncio.create_task(load.work(await back.worker())) for _ in range(4)]
            key = await back.buyer()
            async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
                for number in range(TASKS):
                    await load.buy(client, key, f"task {number}")
            await load.all_done(back, 90)
            clients, servers = await asyncio.to_thread(_pooled, pooled)
            assert clients > SERVER_CONNECTIONS >= servers > 0
            load.stop.set()
            await asyncio.gather(*working)
            assert {status for status, _ in load.answers} <= {200, 201, 204}
            await load.check_receipts(back)
            for each in running:
                await each.stop()
                assert "Traceback" not in each.text()
        await back.prove()
        # Commands as well, which open a market of their own.
        through["DATABASE_URL"] = pooled
        async with program("ledger", "verify", ready="adds up", **through) as verify:
            assert await verify.ended() == 0, verify.text()
        async with program("migrate", ready="is at revision", **through) as migrate:
            assert await migrate.ended() == 0, migrate.text()


async def test_nothing_of_a_transaction_stays_on_the_servers_connection(dsn: str) -> None:
    async with pgbouncer(dsn) as pooled:
        database = await Database.open(pooled, min_size=1, max_size=2, prepare=False)
        try:
            async with database.transaction() as conn:
                row = await (await conn.execute("SELECT current_user")).fetchone()
                assert row == ("openclaw_app",)
            async with database.read() as conn:
                row = await (await conn.execute("SELECT current_user")).fetchone()
                assert row == ("openclaw_app",)
            async with await psycopg.AsyncConnection.connect(
                pooled, autocommit=True, prepare_threshold=None
            ) as other:
                cursor = await other.execute(
                    "SELECT current_user, current_setting('enable_seqscan')"
                )
                assert await cursor.fetchone() == ("postgres", "on")
            # It can't be listened through, and is not tried.
            with pytest.raises(DatabaseSetupError, match="DATABASE_DIRECT_URL"):
                await database.dedicated(purpose="test").__aenter__()
        finally:
            await database.close()
