"""What a worker does with tasks: real commands, a real server, one event loop."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from openclaw_jobs.client import NO_RETRY, AsyncWorker, Message
from openclaw_jobs.client.models import Assignment
from openclaw_jobs.client.program.command import CommandEngine
from openclaw_jobs.client.program.engine import MAX_ERROR_CHARS, Engine, Outcome, as_text
from openclaw_jobs.client.program.job import Company
from openclaw_jobs.client.program.link import GiveUpError, Link
from openclaw_jobs.client.program.log import TaskLine, WorkerLog
from openclaw_jobs.client.program.openai import OpenAiEngine, completions_url
from openclaw_jobs.client.program.runner import Runner, RunnerOptions
from openclaw_jobs.client.transport import AsyncHttpxTransport, AsyncTransport
from openclaw_jobs.client.transport.aiohttp_transport import AiohttpTransport
from tests.client.program import eventually
from tests.fakes.faults import DROP_MIDWAY
from tests.fakes.marketplace import Marketplace
from tests.fakes.openai import ModelServer


class Ears(WorkerLog):
    """A log that only remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[TaskLine] = []
        self.events: list[str] = []

    def say(self, event: str, text: str, *, bad: bool = False) -> None:  # noqa: ARG002
        self.events.append(event)

    def task(self, line: TaskLine) -> None:
        self.tasks.append(line)


class Shop:
    """A running worker program without its process."""

    def __init__(self, market: Marketplace, runner: Runner, log: Ears) -> None:
        self.market = market
        self.runner = runner
        self.log = log
        self.running = asyncio.create_task(runner.run())

    async def ends(self, task_id: str) -> TaskLine:
        """Wait for a task's line in the log."""

        def found() -> TaskLine | None:
            return next((line for line in self.log.tasks if line.task_id == task_id), None)

        await eventually(found)
        line = found()
        assert line is not None
        return line

    async def do(self, prompt: str = "hello") -> TaskLine:
        return await self.ends(await self.market.offer(prompt))


@contextlib.asynccontextmanager
async def shop(
    market: Marketplace,
    engine: Engine,
    *,
    concurrency: int = 1,
    grace_s: float = 5.0,
    transport: Callable[[], AsyncTransport] = AiohttpTransport,
) -> AsyncIterator[Shop]:
    log, mine, polls = Ears(), transport(), transport()
    async with (
        contextlib.AsyncExitStack() as closing,
        AsyncWorker(market.url, "ocw_known", retry=NO_RETRY, transport=mine) as worker,
        AsyncWorker(market.url, "ocw_known", retry=NO_RETRY, transport=polls) as poller,
    ):
        closing.push_async_callback(mine.close)
        closing.push_async_callback(polls.close)
        company = Company(worker, Link(log), engine, log)
        options = RunnerOptions(concurrency=concurrency, grace_s=grace_s)
        runner = Runner(company, poller, options)
        opened = Shop(market, runner, log)
        try:
            yield opened
        finally:
            runner.stop()
            async with asyncio.timeout(10):
                await opened.running
            await engine.close()


@pytest.fixture
async def market() -> AsyncIterator[Marketplace]:
    async with Marketplace(lease_seconds=0.6) as running:
        yield running


# -- claiming and handing in


async def test_a_busy_worker_needs_one_request_a_task(market: Marketplace) -> None:
    ids = [await market.offer(str(number)) for number in range(6)]
    async with shop(market, CommandEngine("cat")) as running:
        for task_id in ids:
            assert (await running.ends(task_id)).outcome == "done"
        await market.until(lambda: market.parked)
    assert len(market.seen("/api/work/next")) == 2
    assert market.seen("/api/work/next")[0].query == {"wait": "60", "max": "1"}
    assert [sent["next"] for sent in market.submissions] == [{"wait": 0, "max": 1}] * 6
    assert [market.tasks[task_id]["result"] for task_id in ids] == list("012345")


async def test_slots_fill_up(market: Marketplace, tmp_path: Path) -> None:
    command = f"cat; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    async with shop(market, CommandEngine(command), concurrency=3) as running:
        ids = [await market.offer(str(number)) for number in range(5)]
        await market.until(lambda: len(market.leases) == 3)
        assert len(market.queue) == 2
        (tmp_path / "go").touch()
        for task_id in ids:
            assert (await running.ends(task_id)).earned_cents == 14


async def test_a_lost_answer_to_a_submit_counts_once(market: Marketplace) -> None:
    market.fail("/api/work/submit", DROP_MIDWAY)
    market.fail("/api/work/submit", 503)
    async with shop(market, CommandEngine("cat")) as running:
        assert (await running.do()).outcome == "done"
    assert len(market.submissions) == 1


async def test_a_result_that_the_server_finds_too_large_fails(market: Marketplace) -> None:
    market.too_large = 1000
    async with shop(market, CommandEngine("head -c 2000 /dev/zero | tr '\\0' x")) as running:
        line = await running.do()
    assert (line.outcome, line.label) == ("failed", "result refused")
    assert market.submissions[0]["status"] == "failed"


@pytest.mark.parametrize("status", [413, 422])
async def test_a_failure_that_the_server_finds_too_large_is_told_in_short(
    market: Marketplace, status: int
) -> None:
    market.fail("/api/work/submit", status)
    async with shop(market, CommandEngine("echo why >&2; exit 3")) as running:
        line = await running.do()
    assert (line.outcome, line.label) == ("failed", "exit code 3")
    assert [sent["error"] for sent in market.submissions] == ["exit code 3"]


async def test_what_the_server_refuses_in_any_form_is_given_up(market: Marketplace) -> None:
    market.fail("/api/work/submit", 422, times=9)
    async with shop(market, CommandEngine("echo done")) as running:
        line = await running.do()
    assert line.outcome == "lost"
    assert market.submissions == []
    assert len(market.faults) == 6, "the result, why it was refused, and that it failed"


async def test_a_token_that_stops_working_ends_it(market: Marketplace) -> None:
    market.tokens.clear()
    with pytest.raises(GiveUpError, match="no longer accepts"):
        async with shop(market, CommandEngine("cat")) as running:
            await asyncio.wait({running.running}, timeout=8)


@pytest.mark.parametrize("transport", [AsyncHttpxTransport, AiohttpTransport])
async def test_a_task_that_arrives_as_it_stops_is_put_back(
    market: Marketplace, transport: Callable[[], AsyncTransport]
) -> None:
    async with shop(market, CommandEngine("cat"), transport=transport) as running:
        await market.until(lambda: market.parked)
        # called with the answer in the socket and before anybody can have read it
        market.after_answer = lambda _: running.runner.stop()
        task_id = await market.offer()
        await running.ends(task_id)
    assert market.released == [task_id]
    assert not market.submissions


# -- leases


async def test_heartbeats_keep_the_lease_and_carry_progress(
    market: Marketplace, tmp_path: Path
) -> None:
    command = (
        f"echo progress: half way >&2; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo"
    )
    async with shop(market, CommandEngine(f"{command} done")) as running:
        task_id = await market.offer()
        await market.until(lambda: len(market.heartbeats) >= 3)
        (tmp_path / "go").touch()
        assert (await running.ends(task_id)).outcome == "done"
    progress = [beat["progress"] for beat in market.heartbeats if "progress" in beat]
    assert progress == ["half way"]


async def test_a_lost_lease_ends_the_command(market: Marketplace, tmp_path: Path) -> None:
    for_ever = "while :; do sleep 0.02; done"
    command = f"trap 'touch {tmp_path}/ended; exit' TERM; touch {tmp_path}/on; {for_ever}"
    async with shop(market, CommandEngine(command)) as running:
        task_id = await market.offer()
        await eventually((tmp_path / "on").exists)
        market.take_lease_away(task_id)
        line = await running.ends(task_id)
        assert (line.outcome, line.label) == ("lost", "lease_lost")
        await eventually((tmp_path / "ended").exists)
    assert not market.submissions
    assert not market.released


async def test_a_lease_lost_at_the_submit_drops_the_result(market: Marketplace) -> None:
    market.fail("/api/work/submit", 409, body={"code": "lease_lost"})
    async with shop(market, CommandEngine("cat")) as running:
        assert (await running.do()).outcome == "lost"
        assert (await running.do()).outcome == "done"


# -- the command


FAILURES = {
    "exit code 3": ("echo first >&2; echo why >&2; exit 3", "first\nwhy"),
    "killed by signal 9": ("kill -9 $$", "killed by signal 9"),
    "no output": ("true", "no output"),
    "result larger than 262144 bytes": ("yes", "larger"),
    "timed out after 0.3 s": ("echo slow >&2; sleep 30", "slow"),
}


@pytest.mark.parametrize("label", FAILURES)
async def test_a_command_that_fails(market: Marketplace, label: str) -> None:
    command, told = FAILURES[label]
    async with shop(
        market, CommandEngine(command, timeout_s=0.3 if "timed" in label else 20)
    ) as it:
        line = await it.do()
    assert (line.outcome, line.label, line.earned_cents) == ("failed", label, 0)
    (sent,) = market.submissions
    assert sent["status"] == "failed"
    assert "result" not in sent
    assert told in sent["error"]


async def run(command: str, task: Assignment | None = None) -> Outcome:
    task = task or Assignment(task_id="t", lease_token="l", lease_seconds=9, prompt="p")
    return await CommandEngine(command).run(task, lambda _: None)


async def test_the_command_gets_the_task_as_text_and_as_a_file() -> None:
    turns = (Message("system", "be brief"), Message("user", "hi"))
    task = Assignment(
        task_id="task_1", lease_token="hush", lease_seconds=9, category="chat", messages=turns
    )
    assert (await run("cat", task)).result == "System:\nbe brief\n\nUser:\nhi"
    outcome = await run('cat "$OPENCLAW_TASK_FILE"; echo; echo "$OPENCLAW_TASK_FILE"', task)
    assert outcome.result is not None
    text, file = outcome.result.splitlines()
    assert json.loads(text)["messages"][0] == {"role": "system", "content": "be brief"}
    assert "hush" not in text
    assert not Path(file).parent.exists()


async def test_the_command_is_told_what_the_text_is_warned_of() -> None:
    command = 'echo "<$OPENCLAW_TASK_WARNINGS>"; cat "$OPENCLAW_TASK_FILE"'
    warned = Assignment(
        task_id="t", lease_token="l", lease_seconds=9, warnings=("asks_to_run", "data_url")
    )
    shown = (await run(command, warned)).result or ""
    assert shown.startswith("<asks_to_run,data_url>")
    assert '"warnings":["asks_to_run","data_url"]' in shown
    assert ((await run(command)).result or "").startswith("<>")


async def test_a_command_needs_not_read_and_may_write_anything() -> None:
    assert (await run("exec <&-; echo done")).result == "done"
    assert (await run("printf 'a\\000b\\377'")).result == "a\ufffdb\ufffd"


async def test_a_process_left_behind_does_not_hold_the_task() -> None:
    async with asyncio.timeout(5):
        assert (await run("sleep 60 & echo done")).result == "done"


async def test_a_long_line_of_errors_is_bounded() -> None:
    outcome = await run("head -c 300000 /dev/zero | tr '\\0' e >&2; exit 1")
    assert outcome.error is not None
    assert len(outcome.error) < 600


async def test_many_long_lines_of_errors_fit_into_a_submission() -> None:
    outcome = await run(
        "for n in $(seq 99); do printf '%0600d\\n' $n >&2; done; echo why >&2; exit 1"
    )
    assert outcome.error is not None
    assert outcome.error.startswith("exit code 1: \u2026")
    assert outcome.error.endswith("\nwhy")
    assert len(outcome.error) == MAX_ERROR_CHARS


async def test_secrets_of_the_worker_stay_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_TOKEN", "ocw_x")
    assert (await run('echo "[$OPENCLAW_TOKEN]"')).result == "[]"


def test_a_single_message_is_no_transcript() -> None:
    task = Assignment(
        task_id="t", lease_token="l", lease_seconds=9, messages=(Message("user", "hi"),)
    )
    assert as_text(task) == "hi"


# -- a model


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_does_the_task(
    market: Marketplace, model: ModelServer, *, stream: bool
) -> None:
    model.stream = stream
    async with shop(market, OpenAiEngine(f"{model.url}/v1", "tiny", api_key="sk-1")) as running:
        line = await running.do("shout")
    assert line.outcome == "done"
    (sent,) = market.submissions
    assert (sent["result"], sent["usage"]["completion_tokens"]) == ("SHOUT", 4)
    assert model.paths == ["/v1/chat/completions"]
    assert model.keys == ["Bearer sk-1"]
    assert model.requests[0]["model"] == "tiny"
    assert model.requests[0]["messages"] == [{"role": "user", "content": "shout"}]


async def test_a_busy_model_server_is_tried_again(model: ModelServer) -> None:
    model.statuses = [503]
    model.break_off = True
    told: list[str] = []
    engine = OpenAiEngine(model.url, "tiny", api_key=None)
    task = Assignment(task_id="t", lease_token="l", lease_seconds=9, prompt="x" * 450)
    assert (await engine.run(task, told.append)).result == "X" * 450
    assert len(model.requests) == 3
    assert told[-2:] == ["203 characters written", "406 characters written"]
    await engine.close()


async def test_a_refused_key_is_told_without_it(market: Marketplace, model: ModelServer) -> None:
    model.statuses = [401]
    async with shop(market, OpenAiEngine(model.url, "tiny", api_key="sk-secret")) as running:
        line = await running.do()
    assert line.label == "model server answered 401"
    assert market.submissions[0]["error"] == "model server answered 401: the API key was refused"


@pytest.mark.parametrize(
    "base", ["http://h", "http://h/", "http://h/v1", "http://h/v1/chat/completions"]
)
def test_a_base_address_with_or_without_the_version(base: str) -> None:
    assert completions_url(base) == "http://h/v1/chat/completions"
