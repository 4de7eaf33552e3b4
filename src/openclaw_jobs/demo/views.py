"""How the demo is shown while it runs: a live table on a terminal, lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Protocol

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from openclaw_jobs.demo.board import Board, Row

__all__ = ["Lines", "LiveTable", "Silent", "View", "money", "task_table"]

_COLOURS: Final = {
    "posting": "dim",
    "queued": "yellow",
    "claimed": "cyan",
    "completed": "green",
}
_WIDE: Final = 110
_A_SECOND: Final = 1.0


class View(Protocol):
    """Shows what happens while it happens."""

    def say(self, text: str) -> None:
        """Tell how the demo gets on."""
        ...

    def changed(self, row: Row, what: str) -> None:
        """Tell that something happened to a task: `posted`, or an event's type."""
        ...


def money(cents: int | None) -> str:
    """An amount of US cents as dollars."""
    return "" if cents is None else f"${cents / 100:,.2f}"


def duration(seconds: float | None) -> str:
    """A time of milliseconds to minutes."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds >= _A_SECOND else f"{seconds * 1000:.0f} ms"


class Silent:
    """Shows nothing: the outcome is printed as JSON."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def changed(self, row: Row, what: str) -> None:
        """Say nothing."""


class Lines:
    """A line for each change of a task's state, without any control codes."""

    def __init__(self, console: Console) -> None:
        self._console: Final = console
        self._started: Final = time.monotonic()

    def say(self, text: str) -> None:
        """Tell how the demo gets on."""
        self._write(text)

    def changed(self, row: Row, what: str) -> None:
        """Write the line of this change."""
        now = datetime.now(UTC)
        match what:
            case "posted":
                more = f"{money(row.price_cents)} paid into escrow: {row.task.title}"
            case "task.claimed":
                more = f"a worker has it, after {duration(row.queued_s(now))} in the queue"
            case "task.progress":
                more = row.progress or ""
            case "task.queued":
                return  # told with the posting
            case _:
                more = f"after {duration(row.working_s(now))} of work"
        # Not the row's status, which may be ahead of what happened.
        word = {"posted": "queued"}.get(what, what.removeprefix("task."))
        self._write(f"{row.number:>2}  {row.task.category:<6}  {word:<9}  {more}")

    def _write(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"{elapsed:6.2f} s  {text}", markup=False, soft_wrap=True)


class LiveTable:
    """The table of the tasks, kept up to date in place."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console: Final = console
        self._board: Final = board
        self._doing = ""

    def say(self, text: str) -> None:
        """Put a line under the table."""
        self._doing = text

    def changed(self, row: Row, what: str) -> None:
        """Do nothing: the table reads the board by itself, ten times a second."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the table for the length of the block."""
        with Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=10,
            transient=True,
        ):
            yield

    def _render(self) -> RenderableType:
        left = self._board.balance_cents
        has = f"; the buyer has {money(left)}" if left is not None else ""
        return Group(
            task_table(self._board, datetime.now(UTC), self._console.width),
            Text(self._doing + has, "dim"),
        )


def task_table(board: Board, now: datetime, width: int) -> Table:
    """The tasks as they stand, for a console of this width; a narrow one gets less."""
    wide = width >= _WIDE
    table = Table(
        title=" Ten tasks, two workers",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        expand=True,
    )
    table.add_column("#", justify="right")
    table.add_column("task", no_wrap=True, width=31 if wide else 22, overflow="ellipsis")
    if wide:
        table.add_column("category", no_wrap=True, width=8)
    table.add_column("status", no_wrap=True, width=11)
    for name in ("price", "earns", "queued", "working"):
        table.add_column(name, justify="right", no_wrap=True, width=max(6, len(name)))
    table.add_column("progress, then result", no_wrap=True, ratio=1, overflow="ellipsis")
    for row in board.rows:
        table.add_row(
            str(row.number),
            Text(row.task.title),
            *([row.task.category] if wide else []),
            _status(row),
            money(row.price_cents),
            money(row.earned_cents),
            duration(row.queued_s(now)),
            duration(row.working_s(now)),
            Text(_glimpse(row)),
        )
    return table


def _status(row: Row) -> Text:
    if row.wrong is not None:
        return Text(f"{row.status} ✗", "bold red")
    mark = " ✓" if row.found is not None else ""
    return Text(row.status + mark, _COLOURS.get(row.status, "red"))


def _glimpse(row: Row) -> str:
    """The first line of the result, or before there is one the progress."""
    if row.found is None or row.found.result is None:
        return row.progress or ""
    return row.found.result.strip().partition("\n")[0].replace("**", "")
