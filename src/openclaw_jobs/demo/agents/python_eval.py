"""An agent that computes: evaluates the Python expression or program in a task.

The source is checked against a list of what is allowed, and then run by `python_sandbox` in a
process of its own with no environment, no files, and limits on time, memory and output. Whatever
goes wrong is a failed task: exit code 1, with the reason on standard error.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from openclaw_jobs.demo.agents import python_sandbox
from openclaw_jobs.demo.agents.python_rules import RefusedError, extract
from openclaw_jobs.demo.agents.reading import progress, read_task

__all__ = ["Limits", "RunError", "evaluate", "main"]

_MAX_BYTES: Final = 1024 * 1024
"""More than the sandbox ever writes; what says more is not the sandbox."""


class Limits(NamedTuple):
    """How much a program may use; `wall_seconds` counts also while it waits for a processor."""

    cpu_seconds: int = 5
    wall_seconds: float = 15.0
    memory_bytes: int = 256 * 1024 * 1024
    output_chars: int = 64 * 1024


class RunError(Exception):
    """A program failed; the message says how, for the buyer."""


def evaluate(source: str, limits: Limits = Limits()) -> str:  # noqa: B008 - never changes
    """Run a checked program, and return what it printed.

    Raises:
        RunError: It raised, used too much, or said nothing.
    """
    with tempfile.TemporaryDirectory(prefix="openclaw-python-") as folder:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and script
            _command(limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(limits.wall_seconds, end)
        timer.start()
        try:
            with _stoppable():
                output = _talk(child, source)
        finally:
            timer.cancel()
            child.kill()
            code = child.wait()
            timer.join()
    if late.is_set():
        raise RunError(f"took longer than {limits.wall_seconds:g} s")
    return _judge(code, output, limits)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM come in this block, where what has to be cleaned up is known."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _command(limits: Limits) -> list[str]:
    numbers = (limits.cpu_seconds, limits.memory_bytes, limits.output_chars)
    return [sys.executable, "-I", "-S", str(Path(python_sandbox.__file__)), *map(str, numbers)]


def _talk(child: subprocess.Popen[bytes], source: str) -> bytes:
    """Give the child its source and read its answer, to the end or one byte too far."""
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    with child.stdin, child.stdout:
        with contextlib.suppress(BrokenPipeError):  # it ended: its exit code tells
            child.stdin.write(source.encode("utf-8", "replace"))
            child.stdin.close()
        output = child.stdout.read(_MAX_BYTES + 1)
        if len(output) <= _MAX_BYTES:
            # Its own end, so that the exit code is its own.
            child.wait()
        return output


def _judge(code: int, output: bytes, limits: Limits) -> str:
    text = output.decode("utf-8", "replace").rstrip("\n")
    if len(output) > _MAX_BYTES:
        raise RunError("the output is too large")
    if code == python_sandbox.FAILED and text:
        raise RunError(text)
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise RunError(f"used more than {limits.cpu_seconds} s of processor time")
    if code != 0:
        raise RunError(f"ended with {code}")
    if not text:
        raise RunError("printed nothing, and its last line has no value")
    return text


def main() -> int:
    """Do the task on standard input; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu-seconds", type=int, default=Limits().cpu_seconds)
    parser.add_argument("--wall-seconds", type=float, default=Limits().wall_seconds)
    arguments = parser.parse_args()
    limits = Limits(cpu_seconds=arguments.cpu_seconds, wall_seconds=arguments.wall_seconds)
    try:
        source = extract(read_task())
        lines = source.strip().count("\n") + 1
        progress(f"running {lines} line{'s' if lines > 1 else ''} of Python")
        # Unwinds from where it is let in, so that no folder and no child is left behind.
        signal.signal(signal.SIGTERM, _stop)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        result = evaluate(source.strip(), limits)
    except (RefusedError, RunError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(result.encode() + b"\n")
    return 0


def _stop(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
