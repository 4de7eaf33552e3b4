"""The processes that the demo starts, and their certain end."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

__all__ = ["Child", "DemoError", "Household", "environment", "program"]

_KEPT: Final = frozenset(
    {
        *("HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "PYTHONPATH", "TMPDIR", "TZ"),
        *("USER", "XDG_RUNTIME_DIR"),
    }
)
_LOG_LINES: Final = 15
_KILLED_S: Final = 5.0

Listener = Callable[[str], None]


class DemoError(Exception):
    """The demo cannot go on; the message says why, for people."""


def program(*arguments: str) -> list[str]:
    """The command line of `openclaw-jobs`, run by this very Python."""
    return [sys.executable, "-m", "openclaw_jobs.cli", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of the demo's processes.

    Nothing of a marketplace that this shell is set up for must get in: a `DATABASE_URL` would make
    the demo run on somebody's real data.
    """
    own = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith("LC_")}
    return own | {"PYTHONUNBUFFERED": "1"} | more


class Child:
    """A running process of ours. What it says goes to a log, and line by line to a listener."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name: Final = name
        self._process: Final = process
        self._log: Final = log
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        command: Iterable[str],
        *,
        env: Mapping[str, str],
        log: Path,
        listener: Listener,
    ) -> Self:
        """Start a process in a session of its own, so that a Ctrl-C is the demo's to pass on."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                start_new_session=True,
            )
        child = cls(name, process, log)
        child._reading = asyncio.create_task(child._read(listener))
        return child

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end, and until all it said is read; its exit code, negative for a signal."""
        code = await self._process.wait()
        if self._reading is not None:
            await self._reading
        return code

    async def stop(self, grace_s: float) -> int:
        """Ask it to end, and make it end after `grace_s` seconds; its exit code."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.ended()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End it at once, with all processes of its session; its exit code."""
        # What it started may outlive it, so its session is ended even if it ended itself.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return await self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _read(self, listener: Listener) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, see `start`
        with self._log.open("ab") as log:
            async for line in self._process.stdout:
                log.write(line)
                log.flush()
                listener(line.decode("utf-8", "replace").rstrip("\n"))


class Household:
    """Everything the demo has started. Leaving the block ends all of it, last come, first gone.

    Attributes:
        faults: What went wrong with the processes: who died, who had to be killed.
    """

    def __init__(self, folder: Path, *, grace_s: float) -> None:
        self._folder: Final = folder
        self._grace_s: Final = grace_s
        self._children: list[Child] = []
        self._passing: set[Child] = set()
        self._watches: set[asyncio.Task[int]] = set()
        self._death: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._leaving = False
        self.faults: list[str] = []

    async def __aenter__(self) -> Self:
        """Begin with nobody."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End all processes; interrupted in it, end them at once."""
        self._leaving = True
        try:
            for child in reversed(self._children):
                code = await child.stop(self._grace_s)
                if code != 0:
                    self.faults.append(_ending(child, code))
        finally:
            for child in (*self._passing, *self._children):
                await asyncio.wait_for(child.kill(), _KILLED_S)
            await asyncio.gather(*self._watches, return_exceptions=True)
            self._death.cancel()

    async def start(
        self, name: str, command: Iterable[str], listener: Listener, **more: str
    ) -> Child:
        """Start a process that is to stay until the end, with `more` in its environment."""
        child = await Child.start(
            name, command, env=environment(**more), log=self._log(name), listener=listener
        )
        self._children.append(child)
        watch = asyncio.create_task(child.ended())
        watch.add_done_callback(lambda _: self._gone(child))
        self._watches.add(watch)
        return child

    async def run(self, name: str, command: Iterable[str]) -> str:
        """Run a process to its end, and return what it said.

        Raises:
            DemoError: Its exit code is not 0.
        """
        said: list[str] = []
        child = await Child.start(
            name, command, env=environment(), log=self._log(name), listener=said.append
        )
        self._passing.add(child)
        try:
            code = await child.ended()
        finally:
            await child.kill()
            self._passing.discard(child)
        if code != 0:
            raise DemoError(f"{_ending(child, code)}\n{child.last_words()}")
        return "\n".join(said)

    async def someone_dies(self) -> NoReturn:
        """Wait until one of those that are to stay is gone.

        Raises:
            DemoError: It is.
        """
        child = await asyncio.shield(self._death)
        code = await child.ended()
        raise DemoError(f"{_ending(child, code)} before the demo was over\n{child.last_words()}")

    def _log(self, name: str) -> Path:
        return self._folder / f"{name.replace(' ', '-')}.log"

    def _gone(self, child: Child) -> None:
        if not self._leaving and not self._death.done():
            self._death.set_result(child)


def _ending(child: Child, code: int) -> str:
    if code < 0:
        return f"{child.name} was ended by {signal.Signals(-code).name}"
    return f"{child.name} ended with exit code {code}"
