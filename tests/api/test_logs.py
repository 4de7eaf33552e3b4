"""What the log says of a request: who and which task on every line, and nothing that is theirs."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from openclaw_jobs.logs import configure_logging
from tests.market.steps import claim, complete, lease_of, post
from tests.running import ADMIN_TOKEN, Json, running_node


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, down to the last detail, as production writes it."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    lines = io.StringIO()
    configure_logging(level="DEBUG", json=True, stream=lines)
    yield lines
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def parsed(log: io.StringIO) -> list[Json]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def test_each_line_of_a_request_names_it_its_worker_and_its_task(
    dsn: str, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(dsn, background=False) as node:
        buyer, worker = await node.buyer(), await node.worker()
        await post(buyer)
        task = await claim(worker)

        async def broken(*_: object) -> None:
            structlog.get_logger("deep.inside").warning("about to fail")
            raise RuntimeError("broken")

        monkeypatch.setattr("openclaw_jobs.api.work.heartbeat", broken)
        answer = await worker.post("/api/work/heartbeat", lease_of(task), X_Request_Id="my-call.1")
        assert answer.status_code == 500

    mine = [line for line in parsed(log) if line.get("request_id") == "my-call.1"]
    failed = "unexpected error in POST /api/work/heartbeat"
    assert {line["event"] for line in mine} == {"about to fail", failed, "request"}
    for line in mine:
        assert line["worker_id"] == worker.id
        assert line["task_id"] == task["task_id"]
    posted = [x for x in parsed(log) if x.get("route") == "/api/task"]
    assert [line["task_id"] for line in posted] == [task["task_id"]]
    assert posted[0]["buyer_id"] == buyer.id


async def test_what_is_not_an_id_is_not_noted(dsn: str, log: io.StringIO) -> None:
    async with running_node(dsn, background=False) as node:
        buyer, worker = await node.buyer(), await node.worker()
        await buyer.get("/api/task/task_my-secret-plan")
        body = {"task_id": "my-secret-plan", "lease_token": "x", "progress": "my-secret-plan"}
        await worker.post("/api/work/heartbeat", body)
    assert "my-secret-plan" not in log.getvalue()


async def test_a_shared_transaction_is_in_the_context_of_no_request(
    dsn: str, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openclaw_jobs.market import post_task

    whole = post_task._Batch.run

    async def telling(batch: post_task._Batch) -> object:
        structlog.get_logger("deep.inside").warning("in the batch")
        return await whole(batch)

    monkeypatch.setattr(post_task._Batch, "run", telling)
    async with running_node(dsn, background=False) as node:
        await post(await node.buyer())
    (line,) = (line for line in parsed(log) if line["event"] == "in the batch")
    assert "request_id" not in line


async def test_no_token_address_text_or_query_is_logged(dsn: str, log: io.StringIO) -> None:
    async with running_node(dsn, background=False) as node:
        buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
        await post(buyer, prompt="the colour of the lighthouse", metadata={"k": "keepsake"})
        task = await claim(worker)
        await worker.post("/api/work/heartbeat", {**lease_of(task), "progress": "half-painted"})
        await complete(worker, task, "vermilion")
        await worker.post("/api/worker/bind-email", {"email": "someone@example.org"})
        await buyer.get("/api/tasks", status="completed", cursor="querystring")
        await operator.get("/api/admin/workers", limit=7)
        await node.party("x", "ocw_" + "z" * 43).get("/api/worker/me")
        structlog.get_logger("deep.inside").info("a letter", to="someone@example.org")
    text = log.getvalue()
    secret = [buyer.token, worker.token, ADMIN_TOKEN, task["lease_token"], "z" * 43]
    secret += ["lighthouse", "keepsake", "half-painted", "vermilion", "someone@", "querystring"]
    assert not [word for word in secret if word in text]
    assert "example.com" not in text
