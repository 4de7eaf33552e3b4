"""What the worker program says: a line a task and a line a change, for people or as JSON.

Nothing of a task's text, no token and no error text ever gets here: only ids, amounts, times and
short labels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Self

import msgspec
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

_SHORT_ID: Final = 8
_COLOURS: Final = {"done": "green", "released": "yellow", "lost": "yellow", "failed": "red"}


class TaskLine(msgspec.Struct, frozen=True, kw_only=True):
    """One finished task: `outcome` is `done`, `failed`, `lost` or `released`."""

    task_id: str
    category: str
    outcome: str
    earned_cents: int
    seconds: float
    label: str = ""


def _now() -> datetime:
    return datetime.now(UTC)


def _money(cents: int) -> str:
    return f"${cents // 100}.{cents % 100:02d}"


class WorkerLog:
    """Writes to standard output: live and coloured on a terminal, plain lines or JSON elsewhere."""

    def __init__(self, *, as_json: bool = False, now: Callable[[], datetime] = _now) -> None:
        self._json: Final = as_json
        self._now: Final = now
        self._console: Final = Console(highlight=False)
        self._live: Live | None = None
        self._running = 0
        self._done = 0
        self._earned_cents = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._json:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, event: str, text: str, *, bad: bool = False) -> None:
        """Tell a change of state; `event` is its name in the JSON form."""
        if self._json:
            self._write_json({"event": event, "message": text})
        elif self._live is not None:
            clock = self._now().astimezone().strftime("%H:%M:%S")
            line = Text.assemble((clock, "dim"), "  ", (text, "red" if bad else "cyan"))
            self._live.console.print(line)
        else:
            self._write(f"{self._stamp()}  {text}")

    def running(self, count: int) -> None:
        """Tell how many tasks are being worked on."""
        self._running = count
        self._show()

    def task(self, line: TaskLine) -> None:
        """Tell how a task ended."""
        self._done += line.outcome == "done"
        self._earned_cents += line.earned_cents
        self._show()
        if self._json:
            self._write_json({"event": "task", **msgspec.structs.asdict(line)})
            return
        parts = (
            f"…{line.task_id[-_SHORT_ID:]}",
            f"{line.category:<12.12}",
            f"{_money(line.earned_cents):>7}",
            f"{line.seconds:7.1f} s",
        )
        outcome = f"{line.outcome} ({line.label})" if line.label else line.outcome
        if self._live is None:
            self._write("  ".join((self._stamp(), *parts, outcome)))
            return
        clock = self._now().astimezone().strftime("%H:%M:%S")
        colour = _COLOURS.get(line.outcome, "default")
        text = Text.assemble((clock, "dim"), "  ", "  ".join(parts), "  ", (outcome, colour))
        self._live.console.print(text)

    def _show(self) -> None:
        if self._live is None:
            return
        state = f"{self._running} at work" if self._running else "waiting for tasks"
        summary = f"{state} · {self._done} done · {_money(self._earned_cents)} earned"
        self._live.update(Spinner("dots", text=Text(summary, "dim")))

    def _stamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _write_json(self, fields: dict[str, object]) -> None:
        line = {"time": self._stamp(), **fields}
        self._write(msgspec.json.encode(line).decode())

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
