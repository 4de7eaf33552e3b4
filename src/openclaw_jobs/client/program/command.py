"""The engine that runs a shell command for each task."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from openclaw_jobs.client.models import Assignment
from openclaw_jobs.client.program.engine import (
    MAX_RESULT_BYTES,
    Outcome,
    Progress,
    as_text,
    clean,
    conversation,
)

_PROGRESS: Final = "progress:"
_KEPT_LINES: Final = 20
_LINE_BYTES: Final = 500
_TERM_S: Final = 2.0
"""Seconds between asking a command to end and making it end."""
_DRAIN_S: Final = 2.0
"""Seconds to wait for output after the command ended, if something else still holds its pipes."""

_SECRETS: Final = ("OPENCLAW_TOKEN", "OPENCLAW_KEY")
"""Variables a command has no business with: it could act as this worker or spend as its owner."""

_STDOUT: Final = 1
_STDERR: Final = 2


class CommandEngine:
    """Runs `/bin/sh -c command` for each task, in a process group of its own.

    The command gets the task as text on standard input and as JSON in the file that
    `$OPENCLAW_TASK_FILE` names, and where the task goes on in a trace, if it does, in
    `$TRACEPARENT`. `$OPENCLAW_TASK_WARNINGS` holds what the server warns of in the text, codes with
    commas between, most often nothing. Its standard output is the result; exit codes other than 0,
    no output, more than 256 KiB of it, and running longer than `timeout_s` are failures. Lines on
    standard error that begin with `progress:` are progress; the last others explain a failure, and
    with `show_stderr` they are all passed through to this program's standard error.
    """

    def __init__(
        self, command: str, *, timeout_s: float | None = None, show_stderr: bool = False
    ) -> None:
        self._command: Final = command
        self._timeout_s: Final = timeout_s
        self._show_stderr: Final = show_stderr

    async def run(self, task: Assignment, progress: Progress) -> Outcome:
        """Run the command; cancelling kills its process group."""
        try:
            return await self._run(task, progress)
        except OSError as error:
            # no more processes, a full disk: our failure, not a reason to hold the task
            return Outcome.failure("command could not be started", error.strerror or "")

    async def _run(self, task: Assignment, progress: Progress) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="openclaw-", ignore_cleanup_errors=True) as folder:
            file = Path(folder) / "task.json"
            file.write_bytes(_as_json(task))
            child = _Child(progress, sys.stderr.write if self._show_stderr else None)
            environment = {key: value for key, value in os.environ.items() if key not in _SECRETS}
            environment["OPENCLAW_TASK_FILE"] = str(file)
            environment["OPENCLAW_TASK_WARNINGS"] = ",".join(task.warnings)
            if task.traceparent is not None:
                environment["TRACEPARENT"] = task.traceparent
            transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: child,
                *("/bin/sh", "-c", self._command),
                env=environment,
                start_new_session=True,
            )
            try:
                child.feed(as_text(task).encode("utf-8", "replace"))
                return await self._outcome(child)
            finally:
                await child.stop()
                transport.close()

    async def _outcome(self, child: _Child) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                await child.ended.wait()
        except TimeoutError:
            return Outcome.failure(f"timed out after {self._timeout_s:g} s", child.last_words())
        if not child.too_large:
            await child.drain()
        if child.too_large:
            return Outcome.failure(f"result larger than {MAX_RESULT_BYTES} bytes")
        code = child.exit_code()
        if code != 0:
            label = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
            return Outcome.failure(label, child.last_words())
        result = clean(child.output.decode("utf-8", "replace")).rstrip("\n")
        if not result.strip():
            return Outcome.failure("no output", child.last_words())
        return Outcome(result=result)

    async def close(self) -> None:
        """Nothing is kept between tasks."""


class _Child(asyncio.SubprocessProtocol):
    """A running command.

    A protocol and not `asyncio.subprocess`, whose `wait()` also waits for the pipes in some Python
    versions: a process that the command left behind would hold the task for ever.
    """

    def __init__(self, progress: Progress, pass_on: Callable[[str], object] | None) -> None:
        self.output = bytearray()
        self.too_large = False
        self.ended = asyncio.Event()
        self._exited = asyncio.Event()
        self._drained = asyncio.Event()
        self._open = {_STDOUT, _STDERR}
        self._progress: Final = progress
        self._pass_on: Final = pass_on
        self._line = bytearray()
        self._words: deque[str] = deque(maxlen=_KEPT_LINES)
        self._transport: asyncio.SubprocessTransport | None = None

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)  # noqa: S101 - what asyncio promises
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._take_stderr(data)
        elif not self.too_large:
            self.output += data
            if len(self.output) > MAX_RESULT_BYTES:
                self.too_large = True
                self.output.clear()
                self.ended.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        self._open.discard(fd)
        if not self._open:
            self._drained.set()

    def process_exited(self) -> None:
        self._exited.set()
        self.ended.set()

    # -- called by the engine

    def feed(self, data: bytes) -> None:
        """Give the command its standard input; one that doesn't read it is free not to."""
        assert self._transport is not None  # noqa: S101 - set before `subprocess_exec` returns
        stdin = self._transport.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)  # noqa: S101 - as asked for
        stdin.write(data)
        stdin.close()

    async def drain(self) -> None:
        """Wait for the last output of a command that ended, and end what it left behind."""
        self._signal(signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self._drained.wait()

    async def stop(self) -> None:
        """End the whole process group, politely first; does nothing when it ended already."""
        if self._exited.is_set():
            return
        self._signal(signal.SIGTERM)
        try:
            # Who doesn't go when asked is made to.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TERM_S):
                    await self._exited.wait()
        finally:
            self._signal(signal.SIGKILL)
        await self._exited.wait()

    def exit_code(self) -> int:
        """The exit code, negative for a signal; only after the command has ended."""
        code = self._transport.get_returncode() if self._transport else None
        assert code is not None  # noqa: S101 - the process has exited
        return code

    def last_words(self) -> str:
        """The last lines of standard error, bounded."""
        if self._line:
            self._end_line()
        return "\n".join(self._words)

    # -- inside

    def _signal(self, number: signal.Signals) -> None:
        assert self._transport is not None  # noqa: S101 - see `feed`
        # the group is gone: there is nothing left to end
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)

    def _take_stderr(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._line += line[: _LINE_BYTES - len(self._line)]
            self._end_line()
        self._line += rest[: _LINE_BYTES - len(self._line)]

    def _end_line(self) -> None:
        line = self._line.decode("utf-8", "replace").rstrip("\r")
        self._line.clear()
        if line.startswith(_PROGRESS):
            self._progress(line.removeprefix(_PROGRESS).strip())
            return
        if line.strip():
            self._words.append(line)
        if self._pass_on is not None:
            self._pass_on(line + "\n")


def _as_json(task: Assignment) -> bytes:
    """The task for the file: all of it but the lease, which is a secret of the runner."""
    return msgspec.json.encode(
        {
            "task_id": task.task_id,
            "category": task.category,
            "prompt": task.prompt,
            "messages": conversation(task),
            "earning_cents": task.earning_cents,
            "attempt": task.attempt,
            "warnings": list(task.warnings),
        }
    )
