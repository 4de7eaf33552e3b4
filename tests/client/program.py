"""Starts the real command line as a child and reads what it says."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.plugins.no_leaks import hear

MAIN = (
    "import typer\n"
    "from openclaw_jobs.client.cli import register\n"
    "app = typer.Typer(pretty_exceptions_enable=False)\n"
    "register(app)\n"
    "app()\n"
)


@dataclass
class Child:
    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self, stream: asyncio.StreamReader, *, wrong: bool) -> None:
        async for raw in stream:
            line = raw.decode().rstrip("\n")
            (self.errors if wrong else self.text).append(line)
            if not wrong and line.startswith("{"):
                self.lines.append(json.loads(line))
            async with self.changed:
                self.changed.notify_all()

    async def says(self, event: str, *, within_s: float = 20.0, **fields: object) -> dict[str, Any]:
        """Wait for a line of the JSON log."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((line for line in self.lines if wanted.items() <= line.items()), None)

        async with asyncio.timeout(within_s), self.changed:
            line = await self.changed.wait_for(found)
        assert line is not None
        return line

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def ended(self, *, within_s: float = 20.0) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def start(
    *arguments: str, folder: Path, stdin: bytes = b"", **environment: str
) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN,
        *arguments,
        cwd=folder,
        env=os.environ | environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(stdin)
    process.stdin.close()
    child = Child(process)
    reading = asyncio.gather(
        child.read(process.stdout, wrong=False), child.read(process.stderr, wrong=True)
    )
    try:
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
        hear("\n".join([*child.text, *child.errors]))


async def eventually(happened: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Wait for something outside of any event loop, such as a file."""
    async with asyncio.timeout(within_s):
        while not happened():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.01)
