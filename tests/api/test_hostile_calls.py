"""Calls that are made to hurt: over-long, endless, and as many as one can open."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from openclaw_jobs.api import streams
from openclaw_jobs.dispatch import matcher as matching
from tests.dispatch.sockets import RawCall, call, poll
from tests.market.steps import refused, until
from tests.running import Node, Party


@pytest.fixture(autouse=True)
async def proven(node: Node) -> AsyncIterator[None]:
    """Whatever a test here does to the node, its books are right in the end."""
    yield
    await node.prove()


async def test_a_key_on_a_path_longer_than_any_index_is_taken(node: Node) -> None:
    buyer = await node.buyer()
    # Not to be compressed.
    long = secrets.token_urlsafe(4_000)
    first = await buyer.post(f"/api/task/{long}/cancel", Idempotency_Key="k" * 255)
    again = await buyer.post(f"/api/task/{long}/cancel", Idempotency_Key="k" * 255)
    refused(first, 404, "not_found")
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    other = await buyer.post(f"/api/task/{long}x/cancel", Idempotency_Key="k" * 255)
    assert "idempotent-replayed" not in other.headers


async def test_who_hangs_up_is_logged_as_such_and_answered_nothing(node: Node) -> None:
    worker = await node.worker()
    with capture_logs() as logs:
        parked = await poll(node.address, worker.token)
        await until(lambda: node.services.matcher.parked == 1)
        parked.cut()
        await until(lambda: any(line.get("route") == "/api/work/next" for line in logs))
    (line,) = [line for line in logs if line.get("route") == "/api/work/next"]
    assert (line["status"], line["log_level"]) == (499, "info")


async def test_a_body_that_ends_with_the_connection_is_logged_as_such(node: Node) -> None:
    buyer = await node.buyer()
    with capture_logs() as logs:
        begun = await call(node.address, buyer.token, "POST", "/api/task", length=100)
        begun.cut()
        await until(lambda: any(line.get("route") == "/api/task" for line in logs))
    assert [line["status"] for line in logs if line.get("route") == "/api/task"] == [499]


async def test_a_body_that_stalls_is_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_jobs.api.request._BODY_TIMEOUT_S", 0.05)
    buyer = await node.buyer()
    stalled = await call(node.address, buyer.token, "POST", "/api/task", length=100)
    assert await stalled.status() == 400
    stalled.cut()


async def test_polls_that_are_hung_up_are_counted(node: Node) -> None:
    worker = await node.worker()
    await node.configure("rate_limits", work_next={"limit": 3, "per_seconds": 60})
    for _ in range(3):
        parked = await poll(node.address, worker.token)
        await until(lambda: node.services.matcher.parked == 1)
        parked.cut()
        await until(lambda: node.services.matcher.parked == 0)
    refused(await worker.get("/api/work/next"), 429, "rate_limited")


async def test_polls_of_a_suspended_worker_are_counted(node: Node) -> None:
    worker = await node.worker()
    await node.operator().ok("POST", f"/api/admin/workers/{worker.id}/suspend", {"reason": "x"})
    await node.configure("rate_limits", work_next={"limit": 3, "per_seconds": 60})
    for _ in range(3):
        refused(await worker.get("/api/work/next"), 403, "suspended")
    refused(await worker.get("/api/work/next"), 429, "rate_limited")


async def test_a_worker_parks_so_many_polls_and_no_more(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MAX_PARKED_POLLS", 2)
    worker, other = await node.worker(), await node.worker()
    calls = [await poll(node.address, w.token) for w in (worker, worker, other)]
    await until(lambda: node.services.matcher.parked == 3)
    async with asyncio.timeout(5):
        full = refused(await worker.get("/api/work/next", wait=30), 429, "rate_limited")
    assert "polls" in full["detail"]
    # Who does not wait takes no place.
    assert (await worker.get("/api/work/next")).status_code == 204
    calls[0].cut()
    await until(lambda: node.services.matcher.parked == 2)
    calls.append(await poll(node.address, worker.token))
    await until(lambda: node.services.matcher.parked == 3)
    for each in calls:
        each.cut()


async def test_a_buyer_opens_so_many_streams_and_no_more(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 2)
    buyer, other = await node.buyer(), await node.buyer()
    task = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    path = f"/api/task/{task['id']}/events"
    opened: list[RawCall] = []

    async def opens(who: Party, path: str) -> int:
        opened.append(await call(node.address, who.token, "GET", path))
        return await opened[-1].status()

    def followed() -> int:
        return len(node.market.bus._subscriptions.get(buyer.id, ()))

    assert [await opens(buyer, path) for path in ("/api/events", path)] == [200, 200]
    await until(lambda: followed() == 2)
    full = await buyer.get("/api/events")
    refused(full, 429, "rate_limited")
    assert (full.headers["ratelimit-limit"], full.headers["ratelimit-remaining"]) == ("2", "0")
    refused(await buyer.get(path), 429, "rate_limited")
    assert await opens(other, "/api/events") == 200
    opened[0].cut()
    await until(lambda: followed() == 1)
    assert await opens(buyer, path) == 200
    for each in opened:
        each.cut()


def hostile_bodies(task_id: str) -> list[bytes]:
    """What breaks parsers, and what would move money if it were believed."""
    of = {"task_id": task_id, "lease_token": "lease_" + "x" * 32, "status": "completed"}
    lines = [
        {**of, "output": "x", "price_cents": -1, "net_cents": 10**30},
        {**of, "output": "\x00"},
        {**of, "task_id": "' OR 1=1 --"},
        {"prompt": "hello", "price_cents": 0},
        {"prompt": "hello", "max_price_cents": -1},
        {"prompt": "hello", "buyer_id": "byr_other", "status": "completed"},
        {"tasks": [{"prompt": "hello", "price_cents": -(2**63)}]},
        {"submissions": [{**of, "output": None}]},
    ]
    return [
        b"[" * 130_000,
        b'{"a":' * 26_000,
        b'"' + b"\\u0000" * 20_000 + b'"',
        b'{"prompt":"hello","max_price_cents":1' + b"0" * 5_000 + b"}",
        b'{"prompt":"hello","max_price_cents":1e400}',
        b'{"prompt":"\\ud800"}',
        b"\xff\xfe{}",
        *(json.dumps(line).encode() for line in lines),
    ]


async def test_hostile_bodies_move_no_money(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    task = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    before = await buyer.ok("GET", "/api/balance")
    calls = [
        (buyer, "/api/task"),
        (buyer, f"/api/task/{task['id']}/cancel"),
        (buyer, f"/api/task/{task['id']}/rating"),
        (worker, "/api/work/submit"),
        (worker, "/api/work/heartbeat"),
        (worker, "/api/work/release"),
    ]
    for who, path in calls:
        for body in hostile_bodies(task["id"]):
            headers = {"Content-Type": "application/json"}
            answer = await who.http.post(path, content=body, headers=headers)
            assert answer.status_code in {400, 404, 409, 413, 422}, (path, body[:80], answer.text)
    assert await buyer.ok("GET", "/api/balance") == before
