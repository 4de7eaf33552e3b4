"""The marketplace of a soak: real processes, each behind proxies, and what can be done to it."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from psycopg import conninfo

from openclaw_jobs.db.embedded import DATABASE, EmbeddedServer
from tests.bad_days.programs import Back, Program, behind, program
from tests.soak.proxy import Proxy

SKEW_S = 37
LEASE_SECONDS = 5
_STARTS = 5


def faketime_library() -> Path | None:
    """What shows a program another clock; None where it is not installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


@dataclass
class Stage:
    """Two web processes, a background one, and PostgreSQL.

    Attributes:
        server: PostgreSQL.
        back: The marketplace seen from behind.
        front: Before the two web processes.
        base: Before PostgreSQL, for the three processes.
        running: The processes that run now, by name; `web-1` is the one that gets killed.
        ended: Those that were killed.
        skewed: Whether `web-2` has a clock that is wrong.
        false_starts: How often a process that was started again ended at once.
    """

    server: EmbeddedServer
    back: Back
    front: Proxy
    base: Proxy
    stack: AsyncExitStack
    skewed: bool
    running: dict[str, Program] = field(default_factory=dict)
    ended: list[Program] = field(default_factory=list)
    false_starts: int = 0

    @property
    def url(self) -> str:
        """Where clients call."""
        return f"http://127.0.0.1:{self.front.port}"

    def pids(self) -> dict[str, int]:
        """The processes by name."""
        return {name: each.process.pid for name, each in self.running.items()}

    async def start(self) -> None:
        """Start the three processes."""
        skew = {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME": f"+{SKEW_S}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        await asyncio.gather(
            self._web("web-1", "0"),
            self._web("web-2", "0", **(skew if self.skewed else {})),
            self._run("background", "background", ready="background_ready"),
        )
        self.front.targets = [
            urlsplit(self.running[name].address).netloc for name in ("web-1", "web-2")
        ]
        if self.skewed:
            assert abs(await self._skew("web-2") - SKEW_S) < 5, "its clock is not wrong"

    async def kill(self) -> None:
        """Kill `web-1`, as the kernel does that is out of memory, and start it as systemd does."""
        killed = self.running["web-1"]
        killed.kill()
        assert await killed.ended() == -9
        self.ended.append(killed)
        for _ in range(_STARTS):
            try:
                await self._web("web-1", str(urlsplit(killed.address).port))
            except AssertionError:
                # It may meet another fault as it starts, and is started once more.
                self.false_starts += 1
            else:
                return
        raise AssertionError("a process does not start any more")

    async def crash_postgres(self) -> None:
        """As after a power cut."""
        await asyncio.to_thread(self.server.restart, immediate=True)

    async def _web(self, name: str, port: str, **environment: str) -> None:
        await self._run(name, "web", "--port", port, LOG_LEVEL="WARNING", **environment)

    async def _run(self, name: str, *arguments: str, **environment: str) -> None:
        dsn = (
            f"postgresql://postgres@127.0.0.1:{self.base.port}/{DATABASE}"
            "?sslmode=disable&gssencmode=disable"
        )
        self.running[name] = await self.stack.enter_async_context(
            program(*arguments, DATABASE_URL=dsn, **environment)
        )

    async def _skew(self, name: str) -> float:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.running[name].address}/api/health")
        return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Run it all until the block ends; PostgreSQL has its settings of production, fsync on."""
    directory = Path(tempfile.mkdtemp(prefix="ocj-soak-"))
    # As root the server has an account of its own, which must get in.
    os.chmod(directory, 0o711)  # noqa: PTH101, S103 - asyncio's rule would flag Path's method
    server = await asyncio.to_thread(EmbeddedServer.start, directory / "data")
    try:
        async with AsyncExitStack() as stack:
            back = await stack.enter_async_context(
                behind(server.dsn(), lease_seconds=LEASE_SECONDS, strikes=100, max_attempts=100)
            )
            front, base = Proxy([]), Proxy([str(_socket(server))])
            await stack.enter_async_context(base.open())
            await stack.enter_async_context(front.open())
            stage = Stage(server, back, front, base, stack, faketime_library() is not None)
            await stage.start()
            yield stage
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(directory, ignore_errors=True)


def _socket(server: EmbeddedServer) -> Path:
    """PostgreSQL's own, which every process would use without the proxy."""
    host = conninfo.conninfo_to_dict(server.dsn())["host"]
    return Path(str(host)) / ".s.PGSQL.5432"
