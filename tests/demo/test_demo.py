"""`openclaw-jobs demo` as a newcomer runs it: to its end, interrupted, and robbed of its server."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

DEMO = [sys.executable, "-m", "openclaw_jobs.cli", "demo"]
_LIMIT_S = 100
_READY = "both workers wait"


@contextmanager
def demo(folder: Path, *options: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A running demo that keeps all it makes in `folder`."""
    process = subprocess.Popen(
        [*DEMO, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TMPDIR=str(folder), **more),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=_LIMIT_S)


def processes_of(folder: Path) -> dict[int, str]:
    """The processes whose command line names the folder: server, PostgreSQL and workers do."""
    return {pid: command for pid, command in processes() if str(folder) in command}


def processes() -> Iterator[tuple[int, str]]:
    """Every process and its command line; from /proc where there is one, as `ps` may be missing."""
    if not Path("/proc/self/cmdline").exists():
        every = ["ps", "-axww", "-o", "pid=", "-o", "command="]
        listed = subprocess.run(every, capture_output=True, text=True, check=True)
        for line in listed.stdout.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # One that ended while we look is none of those that are left.
            with suppress(FileNotFoundError, ProcessLookupError):
                found = (entry / "cmdline").read_text(encoding="utf-8", errors="replace")
                yield int(entry.name), found.replace("\0", " ")


def wait_for(said: IO[str] | None, words: str) -> str:
    """Read up to a line with these words."""
    assert said is not None
    read = []
    for line in said:
        read.append(line)
        if words in line:
            return "".join(read)
    raise AssertionError(f"never said {words!r}: {''.join(read)}")


def test_the_whole_main_job(data_dir: Path) -> None:
    picture = data_dir / "pictures" / "demo.svg"
    # What a shell may be set up for must not get in.
    alien = {"DATABASE_URL": "postgresql://nowhere.invalid/x", "OPENCLAW_ENV": "production"}
    with demo(data_dir, "--svg", str(picture), **alien) as running:
        shown, errors = running.communicate(timeout=_LIMIT_S)
    assert (running.returncode, errors) == (0, "")
    assert "\x1b" not in shown
    assert "\r" not in shown
    for number in range(1, 11):
        life = re.findall(rf"^ *[\d.]+ s +{number}  \w+ +(\w+)", shown, re.MULTILINE)
        assert [word for word in life if word != "progress"] == ["queued", "claimed", "completed"]
    assert re.search(r"^ *[\d.]+ s +\d+  \w+ +progress +\w", shown, re.MULTILINE)
    assert len(re.findall(r" completed ✓ ", shown)) == 10
    assert "The ledger adds up" in shown
    assert "All 10 tasks were done and their results are true" in shown
    assert "make serve" in shown
    assert not processes_of(data_dir)
    assert [path.name for path in data_dir.iterdir()] == ["pictures"]
    drawn = picture.read_text()
    assert drawn.startswith("<svg")
    assert set(re.findall(r"https?://[^\"<]*", drawn)) == {"http://www.w3.org/2000/svg"}


def test_for_programs_and_on_a_directory_of_ones_own(data_dir: Path) -> None:
    own = data_dir / "mine"
    with demo(data_dir, "--json", "--data-dir", str(own)) as running:
        shown, errors = running.communicate(timeout=_LIMIT_S)
    assert (running.returncode, errors) == (0, "")
    outcome = json.loads(shown)
    assert outcome["ok"]
    assert outcome["faults"] == []
    tasks = outcome["tasks"]
    assert [(task["status"], task["wrong"]) for task in tasks] == [("completed", None)] * 10
    assert len({task["price_cents"] for task in tasks}) >= 3
    spent = sum(task["price_cents"] for task in tasks)
    assert outcome["buyer"] == {
        "granted_cents": 500,
        "spent_cents": spent,
        "balance_cents": 500 - spent,
    }
    for worker in outcome["workers"]:
        mine = [task for task in tasks if task["category"] == worker["category"]]
        assert worker["tasks"] == len(mine) == 5
        assert worker["gross_cents"] == sum(task["price_cents"] for task in mine)
        assert worker["net_cents"] == sum(task["earned_cents"] for task in mine)
        assert worker["gross_cents"] - worker["commission_cents"] == worker["net_cents"]
    assert outcome["ledger"]["ok"]
    assert outcome["ledger"]["sum_cents"] == 0
    assert (own / "postgres" / "PG_VERSION").exists()
    assert not processes_of(data_dir)


def test_interrupted(data_dir: Path) -> None:
    with demo(data_dir) as running:
        wait_for(running.stdout, _READY)
        assert len(processes_of(data_dir)) >= 4
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=_LIMIT_S)
    assert running.returncode == 128 + signal.SIGINT
    assert errors == "Stopped by SIGINT; nothing is left running.\n"
    assert not processes_of(data_dir)
    assert not list(data_dir.iterdir())


@pytest.mark.parametrize(
    ("mark", "name"), [(" serve ", "the server"), ("agents.python_eval", "the python worker")]
)
def test_a_process_dies(data_dir: Path, mark: str, name: str) -> None:
    with demo(data_dir) as running:
        wait_for(running.stdout, _READY)
        (victim,) = [pid for pid, command in processes_of(data_dir).items() if mark in command]
        os.kill(victim, signal.SIGKILL)
        _, errors = running.communicate(timeout=_LIMIT_S)
    assert running.returncode == 1
    assert f"The demo failed: {name} was ended by SIGKILL before the demo was over" in errors
    # PostgreSQL outlives a server that was killed; the demo ends it all the same.
    assert not processes_of(data_dir)
    assert not list(data_dir.iterdir())
