"""What the demo shows: the table on wide and narrow terminals, and a run that went wrong."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from openclaw_jobs.client import Balance, Event, PostedTask, Task
from openclaw_jobs.demo.board import Board
from openclaw_jobs.demo.judge import Proof
from openclaw_jobs.demo.outcome import Outcome
from openclaw_jobs.demo.report import print_outcome
from openclaw_jobs.demo.views import Lines, LiveTable, task_table
from openclaw_jobs.demo.work import TASKS

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def console(width: int = 120, *, terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        height=40,
        force_terminal=terminal,
        color_system="standard" if terminal else None,
        highlight=False,
        _environ={},
    )


def text_of(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def board_at_work() -> Board:
    """The first task is being worked on, the second is done wrongly, the others not yet posted."""
    board = Board(TASKS)
    for row in board.rows[:2]:
        task_id = f"task_{row.number}"
        board.posted(row, PostedTask(id=task_id, price_cents=14, created_at=NOON))
        claimed = NOON + timedelta(milliseconds=250)
        for event in (
            Event(id="1", type="task.claimed", task_id=task_id, status="claimed", at=claimed),
            Event(id="2", type="task.progress", task_id=task_id, progress="[half] way"),
        ):
            board.apply(event)
    found = Task(
        id="task_2",
        status="completed",
        result="3",
        created_at=NOON,
        claimed_at=NOON,
        completed_at=NOON + timedelta(seconds=2),
    )
    board.rows[1].settle(found, "answers '3'")
    return board


@pytest.mark.parametrize("width", [80, 120])
def test_the_table(width: int) -> None:
    shown = console(width)
    shown.print(task_table(board_at_work(), NOON + timedelta(seconds=1), width))
    lines = text_of(shown).splitlines()
    assert all(len(line) <= width for line in lines)
    first, second, third = (line for line in lines if line[:3] in {"  1", "  2", "  3"})
    for figure in ("A note about a lamp", "claimed", "$0.14", "250 ms", "750 ms", "[h"):
        assert figure in first
    for figure in ("completed ✗", "0 ms", "2.0 s", " 3 "):
        assert figure in second
    assert "posting" in third


def test_the_live_table_is_gone_at_its_end() -> None:
    shown = console(terminal=True)
    table = LiveTable(shown, board_at_work())
    with table.running():
        table.say("working")
        shown.print("between")
    written = text_of(shown)
    assert "A note about a lamp" in written
    assert written.endswith("\x1b[2K")


def test_lines_hold_no_control_codes() -> None:
    shown = console()
    lines, board = Lines(shown), board_at_work()
    for what in ("posted", "task.queued", "task.claimed", "task.progress"):
        lines.changed(board.rows[0], what)
    written = text_of(shown).splitlines()
    assert [line.split()[4] for line in written] == ["queued", "claimed", "progress"]
    assert written[2].endswith("[half] way")
    assert "\x1b" not in text_of(shown)


def test_a_run_that_went_wrong_says_what() -> None:
    board = board_at_work()
    proof = Proof(False, 3, 8, 5, 1, ["a violation"])  # noqa: FBT003 - as it is answered
    outcome = Outcome.of(board, 500, Balance(balance_cents=472), [], proof, ["[one] cent"], 3.0)
    assert not outcome.ok
    shown = console()
    print_outcome(shown, board, outcome)
    written = text_of(shown)
    assert "THE LEDGER DOES NOT ADD UP" in written
    assert "Something went wrong:\n  task 2 answers '3'\n  [one] cent\n" in written
    assert "make serve" not in written
