"""The processes beside this one: the server, and the clients that drive it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
_STARTUP_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: Where it answers.
        pid: Its process.
    """

    url: str
    pid: int

    def resident_bytes(self) -> int:
        """The memory of its process that is in use now."""
        fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def serving(dsn: str) -> AsyncIterator[Server]:
    """A server process on this database, stopped cleanly afterwards."""
    process = await _start("bench.server", dsn)
    try:
        line = await _line(process)
        yield Server(line.rsplit(" ", 1)[1], process.pid)
    finally:
        await _stop(process)


class Client:
    """A client process: it gets ready, waits for the word, and ends with its result."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """See `client`."""
        self._process = process

    async def ready(self) -> str:
        """What it says when it is ready."""
        return await _line(self._process)

    async def go(self) -> None:
        """Give it the word."""
        await self.say("go")

    async def say(self, word: str) -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()

    async def result(self) -> Any:  # noqa: ANN401 - JSON
        """What it found."""
        return msgspec.json.decode(await _line(self._process, timeout_s=600))


@contextlib.asynccontextmanager
async def starting(module: str, task: dict[str, Any]) -> AsyncIterator[Client]:
    """A client process of a module with this task, which is not ready yet."""
    process = await _start(module)
    try:
        made = Client(process)
        await made.say(msgspec.json.encode(task).decode())
        yield made
    finally:
        await _stop(process)


@contextlib.asynccontextmanager
async def client(**task: Any) -> AsyncIterator[Client]:  # noqa: ANN401 - JSON
    """A client process of `bench.driver` with this task."""
    async with starting("bench.driver", task) as made:
        await made.ready()
        yield made


async def _start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        limit=64 * 1024 * 1024,
    )


async def _line(process: asyncio.subprocess.Process, timeout_s: float = _STARTUP_S) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(timeout_s):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process ended early, with {await process.wait()}")
    return line.decode().rstrip("\n")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(30):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
