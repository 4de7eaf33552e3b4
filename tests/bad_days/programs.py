"""The real program as child processes, and what stands behind them."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from openclaw_jobs.app import open_market, prepare_database
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.settings import Settings
from openclaw_jobs.workers import Preferences
from tests.plugins.no_leaks import hear
from tests.running import LIMITS, UNLIMITED

START_S = 90.0
"""Patience, not a promise: on a machine that does much else a start takes long."""
_READY = "OpenClaw.jobs is ready at "
_numbers = itertools.count(1)


@dataclass
class Program:
    """A running `openclaw-jobs`; its output is kept for when something goes wrong."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)
    address: str = ""

    def kill(self) -> None:
        self.process.kill()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, *, within_s: float = 60.0) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def stop(self) -> None:
        """Stop cleanly, as it should."""
        self.terminate()
        assert await self.ended() == 0, self.text()

    def text(self) -> str:
        return "\n".join(self.said)


@asynccontextmanager
async def program(
    *arguments: str, ready: str = _READY, **environment: str
) -> AsyncIterator[Program]:
    """Run a command until the block ends, from the moment when it says that it is ready."""
    inherited = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "OPENCLAW_ENV"}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "openclaw_jobs.cli",
        *arguments,
        env=inherited | {"LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"} | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Program(process)
    is_ready = asyncio.Event()
    reading = asyncio.create_task(_read(running, ready, is_ready))
    try:
        async with asyncio.timeout(START_S):
            waiting = asyncio.create_task(is_ready.wait())
            await asyncio.wait((waiting, reading), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        assert is_ready.is_set(), f"it ended: {running.text()}"
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
        hear(running.text())


async def _read(running: Program, ready: str, is_ready: asyncio.Event) -> None:
    assert running.process.stdout is not None
    async for raw in running.process.stdout:
        line = raw.decode(errors="replace").rstrip("\n")
        running.said.append(line)
        if ready in line:
            running.address = line.removeprefix(_READY)
            is_ready.set()


def serve(data_dir: Path, **environment: str) -> contextlib.AbstractAsyncContextManager[Program]:
    return program("serve", "--port", "0", "--data-dir", str(data_dir), **environment)


def web(dsn: str, **environment: str) -> contextlib.AbstractAsyncContextManager[Program]:
    return program("web", "--port", "0", DATABASE_URL=dsn, **environment)


def background(dsn: str, **environment: str) -> contextlib.AbstractAsyncContextManager[Program]:
    return program("background", ready="background_ready", DATABASE_URL=dsn, **environment)


@asynccontextmanager
async def together(
    *programs: contextlib.AbstractAsyncContextManager[Program],
) -> AsyncIterator[list[Program]]:
    """Start programs at the same time, for the length of the block."""
    async with contextlib.AsyncExitStack() as stack:
        entering = [stack.enter_async_context(each) for each in programs]
        started = await asyncio.gather(*entering, return_exceptions=True)
        for each in started:
            if isinstance(each, BaseException):
                raise each
        yield [each for each in started if isinstance(each, Program)]


@dataclass
class Back:
    """The marketplace seen from behind: its accounts made and its books checked directly."""

    market: Market
    dsn: str

    async def buyer(self, credit_cents: int = 1_000_000) -> str:
        """A new buyer's key."""
        email = f"buyer{next(_numbers)}@example.com"
        return (await create_funded_buyer(self.market, email, credit_cents, "test"))[1].key

    async def worker(self, **preferences: Any) -> str:  # noqa: ANN401 - fields of Preferences
        """A new worker's token."""
        _, token = await connect_worker(
            self.market,
            name=None,
            model=None,
            capabilities=[],
            preferences=Preferences(**preferences),
            replay=None,
        )
        return token

    async def configure(self, key: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        await change_config(self.market, key, fields, None, "test")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            return conn.execute(query, values).fetchall()

    def statuses(self) -> dict[str, int]:
        """How the buyers' tasks stand; those that check others in secret are not among them."""
        return dict(
            self.rows("SELECT status, count(*) FROM tasks WHERE buyer_id IS NOT NULL GROUP BY 1")
        )

    async def prove(self) -> None:
        """The books are right, and no task was settled twice or paid without being done."""
        proof = await prove_ledger(self.market)
        assert proof.ok, proof.violations
        assert (
            self.rows(
                "SELECT key FROM transfers WHERE kind = 'settle' GROUP BY key HAVING count(*) > 1"
            )
            == []
        )
        done = self.rows("SELECT count(*) FROM tasks WHERE status = 'completed'")
        assert self.rows("SELECT count(*) FROM earnings") == done
        assert self.rows("SELECT count(*) FROM attempts WHERE outcome = 'completed'") == done
        assert self.rows("SELECT count(*) FROM task_results") == done


@asynccontextmanager
async def behind(dsn: str, **dispatch: Any) -> AsyncIterator[Back]:  # noqa: ANN401 - JSON
    """Prepare the database as `serve` does, lift the rate limits, and look from behind.

    Without checks: their hidden tasks would come at random among those that a test counts.
    """
    settings = Settings(db_pool_min_size=1)
    await prepare_database(settings, dsn)
    async with open_market(settings, dsn, single_use=True) as market:
        back = Back(market, dsn)
        await back.configure("rate_limits", **dict.fromkeys(LIMITS, UNLIMITED))
        await back.configure("quality", enabled=False)
        if dispatch:
            await back.configure("dispatch", **dispatch)
        yield back


async def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is a fact, not an event
            await asyncio.sleep(0.02)


def caller(address: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=address,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30.0,
        trust_env=False,
        verify=False,  # noqa: S501 - no TLS here, and its certificates take long to load
    )


def postgres_processes(data_dir: Path) -> list[int]:
    """The PostgreSQL processes that work in this data directory."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink().is_relative_to(data_dir.resolve()):
                    found.append(int(process.name))
    return found
