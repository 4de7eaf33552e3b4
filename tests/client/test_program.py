"""`openclaw-jobs worker` and `openclaw-jobs task` as real processes against a real server."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from openclaw_jobs.client.cli import register
from tests.client.program import eventually, start
from tests.fakes.marketplace import Marketplace

EXEC = ("worker", "--json", "--concurrency", "3", "--exec")
WAITS = 'read line; touch "started-$line"; while [ ! -e go ]; do sleep 0.02; done; echo "did $line"'


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def command_line(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})


@pytest.fixture
async def market() -> AsyncIterator[Marketplace]:
    async with Marketplace() as running:
        yield running


async def test_it_connects_once_and_works(market: Marketplace, tmp_path: Path) -> None:
    state = tmp_path / ".openclaw-jobs-worker.json"
    arguments = (*EXEC, "cat", "--name", "n", "--categories", "general, code", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        first = await market.offer("a secret text")
        line = await child.says("task", task_id=first)
        assert (line["outcome"], line["earned_cents"]) == ("done", 14)
        assert market.tasks[first]["result"] == "a secret text"
        child.signal()
        assert await child.ended() == 0
        assert not child.errors
    assert state.stat().st_mode & 0o777 == 0o600
    token = json.loads(state.read_text())["token"]
    assert token in market.tokens
    said = "\n".join(child.text)
    assert token not in said
    assert "secret text" not in said
    assert market.preferences == {"categories": ["general", "code"], "max_concurrent": 3}
    async with start(*EXEC, "tr a-z A-Z", "--url", market.url, folder=tmp_path) as child:
        second = await market.offer("again")
        await child.says("task", task_id=second)
        assert market.tasks[second]["result"] == "AGAIN"
        child.signal(signal.SIGINT)
        assert await child.ended() == 0
    assert len(market.seen("/api/worker/connect")) == 1


async def test_a_token_that_no_longer_works(market: Marketplace, tmp_path: Path) -> None:
    kept = {"url": market.url, "worker_id": "wrk_x", "token": "ocw_old"}
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    arguments = (*EXEC, "cat", "--state", "kept.json", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        assert await child.ended() == 3
    (said,) = child.errors
    assert "kept.json" in said
    assert "ocw_old" not in said
    assert not market.seen("/api/worker/connect")


async def test_sigterm_lets_running_tasks_finish(market: Marketplace, tmp_path: Path) -> None:
    arguments = (*EXEC, WAITS, "--token", "ocw_known", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        ids = [await market.offer(name) for name in ("one", "two")]
        await eventually((tmp_path / "started-two").exists)
        await market.until(lambda: market.parked == 1)
        child.signal()
        await child.says("stopping")
        await market.until(lambda: market.hung_up == 1)
        late = await market.offer("late")
        (tmp_path / "go").touch()
        assert await child.ended() == 0
    assert [market.tasks[one]["result"] for one in ids] == ["did one", "did two"]
    assert all(sent.get("next") is None for sent in market.submissions)
    assert market.tasks[late]["status"] == "queued"
    assert not (tmp_path / ".openclaw-jobs-worker.json").exists()


@pytest.mark.parametrize(("grace", "signals"), [("0.1", 1), ("60", 2)])
async def test_what_does_not_finish_is_put_back(
    market: Marketplace, tmp_path: Path, grace: str, signals: int
) -> None:
    # Moved into its place, so that whoever finds it finds it whole.
    note = 'test -e pid || { echo "$$" > noted; mv noted pid; }'
    command = WAITS.replace("sleep 0.02", f"touch alive; {note}; sleep 0.02")
    arguments = (*EXEC, command, "--grace", grace, "--token", "ocw_known", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        task_id = await market.offer("one")
        await eventually((tmp_path / "pid").exists)
        for _ in range(signals):
            child.signal()
            await child.says("stopping")
        await child.says("task", task_id=task_id, outcome="released")
        assert await child.ended() == 0
    assert market.released == [task_id]
    assert not market.submissions
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_the_server_goes_away_and_comes_back(market: Marketplace, tmp_path: Path) -> None:
    arguments = (*EXEC, WAITS, "--token", "ocw_known", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        held = await market.offer("held")
        await eventually((tmp_path / "started-held").exists)
        await market.stop()
        await child.says("away")
        (tmp_path / "go").touch()
        await market.start()
        await child.says("back")
        await child.says("task", task_id=held, outcome="done")
        child.signal()
        assert await child.ended() == 0
    assert market.tasks[held]["result"] == "did held"
    assert sum(line["event"] == "away" for line in child.lines) == 1


async def test_it_waits_for_a_server_that_is_not_there_yet(
    market: Marketplace, tmp_path: Path
) -> None:
    await market.stop()
    arguments = (*EXEC, "cat", "--token", "ocw_known", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        await child.says("away")
        await market.start()
        await child.says("ready")
        await market.stop()
        await child.says("away")
        child.signal()
        assert await child.ended() == 0


async def test_it_can_be_stopped_before_there_is_a_server(
    market: Marketplace, tmp_path: Path
) -> None:
    await market.stop()
    async with start(*EXEC, "cat", "--url", market.url, folder=tmp_path) as child:
        await child.says("away")
        child.signal()
        assert await child.ended() == 0


async def test_a_suspension_is_waited_out(market: Marketplace, tmp_path: Path) -> None:
    market.suspend_for = timedelta(seconds=1)
    arguments = (*EXEC, "cat", "--token", "ocw_known", "--url", market.url)
    async with start(*arguments, folder=tmp_path) as child:
        line = await child.says("suspended")
        assert market.suspended_until is not None
        assert market.suspended_until.strftime("%Y-%m-%d %H:%M:%SZ") in line["message"]
        task_id = await market.offer("later")
        await child.says("task", task_id=task_id, outcome="done")
        child.signal()
        assert await child.ended() == 0
    assert sum(line["event"] == "suspended" for line in child.lines) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--url", "http://x"], "either --exec or --openai"),
        (["--url", "http://x", "--openai", "http://y"], "--openai needs --model"),
        (["--url", "x", "--exec", "cat"], "must begin with http"),
        (["--url", "http://x", "--exec", "cat", "--state", "broken"], "not a worker's state file"),
    ],
)
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    (tmp_path / "broken").write_text("{")
    arguments = [part.replace("broken", str(tmp_path / "broken")) for part in arguments]
    result = command_line("worker", *arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())


# -- openclaw-jobs task


async def test_a_task_is_posted_and_waited_for(market: Marketplace, tmp_path: Path) -> None:
    arguments = ("task", "-", "--wait", "--url", market.url)
    async with start(*arguments, folder=tmp_path, stdin=b"do it", OPENCLAW_KEY="ocb_key") as child:
        await market.until(lambda: market.tasks)
        (task,) = market.tasks.values()
        assert task["prompt"] == "do it"
        task.update(status="completed", result="done it")
        await market.changed()
        assert await child.ended() == 0
    assert child.text == ["done it"]
    assert not child.errors


async def test_a_failed_task_shows_in_the_exit_code(market: Marketplace) -> None:
    arguments = ("task", "x", "--json", "--wait", "--key", "ocb_key", "--url", market.url)
    running = asyncio.create_task(asyncio.to_thread(command_line, *arguments))
    await market.until(lambda: market.tasks)
    next(iter(market.tasks.values())).update(status="failed")
    await market.changed()
    result = await running
    assert result.exit_code == 1
    assert json.loads(result.stdout)["status"] == "failed"


async def test_a_task_can_be_posted_without_waiting(market: Marketplace) -> None:
    arguments = ("task", "x", "--key", "ocb_key", "--url", market.url)
    result = await asyncio.to_thread(command_line, *arguments)
    assert (result.exit_code, result.stdout) == (0, "task_00000000\n")


async def test_a_refused_task_says_why(market: Marketplace) -> None:
    arguments = ("task", "x", "--max-price-cents", "3", "--key", "ocb_key", "--url", market.url)
    result = await asyncio.to_thread(command_line, *arguments)
    assert result.exit_code == 3
    assert "limit_exceeded" in result.stderr
    assert "max_price_cents: is under the price" in result.stderr
    assert not market.tasks


async def test_no_server_has_an_exit_code_of_its_own(
    market: Marketplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_jobs.client.retry.RetryPolicy.backoff", lambda *_: 0.0)
    await market.stop()
    arguments = ("task", "x", "--key", "ocb_key", "--url", market.url)
    result = await asyncio.to_thread(command_line, *arguments)
    assert result.exit_code == 4
    assert "no answer" in result.stderr
