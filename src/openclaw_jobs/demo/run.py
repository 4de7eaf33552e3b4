"""The demo from beginning to end: start everything, let it work, look at it, stop everything."""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec
from rich.console import Console

from openclaw_jobs.client import ClientError
from openclaw_jobs.demo.board import Board
from openclaw_jobs.demo.processes import DemoError, Household
from openclaw_jobs.demo.report import draw, print_outcome
from openclaw_jobs.demo.story import tell
from openclaw_jobs.demo.together import unless_disturbed
from openclaw_jobs.demo.views import Lines, LiveTable, Silent, View
from openclaw_jobs.demo.work import TASKS

__all__ = ["Options", "run"]

T = TypeVar("T")

_GRACE_S: Final = 10.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of `openclaw-jobs demo`.

    Without a `data_dir` a fresh one is made, and removed at the end unless `keep` is set. `svg` is
    a file for a picture of the tables.
    """

    data_dir: Path | None = None
    keep: bool = False
    svg: Path | None = None
    as_json: bool = False


class _Interrupted(Exception):  # noqa: N818 - no error
    """A signal came; its number is the argument."""


def run(options: Options) -> int:
    """Run the demo; 0 if every task went well, 1 if not, 128 and the signal's number after one.

    Whatever happens, nothing that it started is left running.
    """
    # What a terminal of another encoding cannot show must not end the demo.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    folder = Path(tempfile.mkdtemp(prefix="openclaw-demo-"))
    try:
        return asyncio.run(_interruptible(_demo(options, folder)))
    except _Interrupted as interrupted:
        number = signal.Signals(interrupted.args[0])
        sys.stderr.write(f"Stopped by {number.name}; nothing is left running.\n")
        return 128 + number
    except (DemoError, ClientError, httpx.HTTPError) as error:
        sys.stderr.write(f"The demo failed: {error}\n")
        return 1
    finally:
        if options.keep:
            sys.stderr.write(f"Logs and the rest are in {folder}\n")
        else:
            shutil.rmtree(folder)


async def _demo(options: Options, folder: Path) -> int:
    started = time.monotonic()
    data_dir = (options.data_dir or folder / "data").absolute()
    console = _console()
    board = Board(TASKS)
    house = Household(folder, grace_s=_GRACE_S)
    try:
        with ExitStack() as showing:
            view = _view(options, console, board, showing)
            async with house:
                findings = await unless_disturbed(
                    tell(house, board, view, data_dir, folder), house.someone_dies()
                )
                view.say("stopping")
    finally:
        await asyncio.to_thread(_stop_database, data_dir)
    outcome = findings.outcome(board, house.faults, time.monotonic() - started)
    if options.svg is not None:
        draw(board, outcome, options.svg)
    if options.as_json:
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    else:
        print_outcome(console, board, outcome)
    return 0 if outcome.ok else 1


def _console() -> Console:
    """Standard output; without a single control code when it is no terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(
        highlight=False, force_terminal=False, no_color=True, color_system=None, width=120
    )


def _view(options: Options, console: Console, board: Board, showing: ExitStack) -> View:
    if options.as_json:
        return Silent()
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines(console)
    table = LiveTable(console, board)
    showing.enter_context(table.running())
    return table


def _stop_database(data_dir: Path) -> None:
    """End the embedded server if a `serve` that was killed has left it running.

    A server stops with the last process that uses it, so it is enough to come and go.
    """
    if not (data_dir / "postgres" / "postmaster.pid").exists():
        return
    from openclaw_jobs.db.embedded import EmbeddedServer  # noqa: PLC0415 - the server's, rarely

    with EmbeddedServer.start(data_dir):
        pass


async def _interruptible(story: Coroutine[Any, Any, T]) -> T:
    """Run until the end or a signal.

    Raises:
        _Interrupted: A signal came, and what was to be stopped has been.
    """
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def interrupt(number: int) -> None:
        received.append(number)
        assert this is not None  # noqa: S101 - we run in a task
        this.cancel()

    for number in _SIGNALS:
        # What `nohup` or a shell's `&` has switched off stays off.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, interrupt, number)
    try:
        return await story
    except asyncio.CancelledError:
        if not received:
            raise
        raise _Interrupted(received[0]) from None
