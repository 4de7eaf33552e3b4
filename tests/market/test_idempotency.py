"""Idempotency-Key: one effect and one answer, however often and however many at once."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from openclaw_jobs.market.clean_up import clean_up
from tests.market.steps import balance, claim, complete, fail, post, refused, sql
from tests.running import Json, Node, Party

KEY = {"Idempotency_Key": "k-1"}
TASK = {"prompt": "hello"}


def same(first: httpx.Response, second: httpx.Response) -> None:
    """The second answer repeats the first."""
    assert second.headers.get("idempotent-replayed") == "true", second.text
    assert "idempotent-replayed" not in first.headers
    assert second.status_code == first.status_code
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]


async def test_a_task_is_posted_once(node: Node) -> None:
    buyer = await node.buyer(1_000)

    first = await buyer.post("/api/task", TASK, **KEY)
    second = await buyer.post("/api/task", TASK, **KEY)

    assert first.status_code == 201
    same(first, second)
    assert await balance(buyer) == 1_000 - 12
    assert len((await buyer.ok("GET", "/api/tasks"))["tasks"]) == 1
    other = await buyer.post("/api/task", TASK, Idempotency_Key="k-2")
    assert other.json()["id"] != first.json()["id"]
    await node.prove()


async def test_a_hundred_at_once_post_once(node: Node) -> None:
    buyer = await node.buyer(1_000)

    answers = await asyncio.gather(*(buyer.post("/api/task", TASK, **KEY) for _ in range(100)))

    done = [a for a in answers if a.status_code == 201]
    for answer in answers:
        if answer.status_code != 201:
            refused(answer, 409, "idempotency_in_progress")
            assert int(answer.headers["retry-after"]) >= 1
    assert len({a.content for a in done}) == 1
    assert sum("idempotent-replayed" not in a.headers for a in done) == 1
    assert await balance(buyer) == 1_000 - 12
    await node.prove()


async def test_another_body_is_a_conflict(node: Node) -> None:
    buyer = await node.buyer(1_000)
    first = await buyer.post("/api/task", TASK, **KEY)

    for body in ({"prompt": "other"}, {**TASK, "dry_run": True}, {**TASK, "metadata": {}}):
        refused(await buyer.post("/api/task", body, **KEY), 409, "idempotency_conflict")
    same(first, await buyer.post("/api/task", TASK, **KEY))
    assert await balance(buyer) == 1_000 - 12
    await node.prove()


async def test_the_key_is_its_caller_s_and_its_route_s_own(node: Node) -> None:
    buyer, other = await node.buyer(), await node.buyer()
    mine, theirs = [(await who.post("/api/task", TASK, **KEY)) for who in (buyer, other)]
    assert mine.json()["id"] != theirs.json()["id"]

    again = node.party(buyer.id, (await buyer.ok("POST", "/api/keys", {}, 201))["key"])
    same(mine, await again.post("/api/task", TASK, **KEY))
    cancelled = await buyer.post(f"/api/task/{mine.json()['id']}/cancel", None, **KEY)
    assert cancelled.json()["status"] == "cancelled"
    await node.prove()


async def test_a_refusal_is_an_answer_too(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer(5)
    cases: list[tuple[str, Json, int]] = [
        ("/api/task", TASK, 402),
        ("/api/task", {**TASK, "max_price_cents": 1}, 422),
        ("/api/task", {**TASK, "dry_run": True}, 402),
        ("/api/task", {"prompt": ""}, 422),
        ("/api/task", {"prompt": 5}, 422),
        ("/api/task/task_00000000000000000000000000/cancel", None, 404),
        ("/api/task/task_00000000000000000000000000/rating", {"rating": "up"}, 404),
    ]
    firsts = []
    for number, (path, body, status) in enumerate(cases):
        first = await buyer.post(path, body, Idempotency_Key=f"n{number}")
        assert first.status_code == status, first.text
        firsts.append(first)
    for number, (path, body, _) in enumerate(cases):
        with subtests.test(path=path, body=body):
            same(firsts[number], await buyer.post(path, body, Idempotency_Key=f"n{number}"))
    await node.prove()


async def test_a_stored_402_outlives_the_poverty(node: Node) -> None:
    buyer = await node.buyer(5)
    first = await buyer.post("/api/task", TASK, **KEY)
    refused(first, 402, "insufficient_balance")
    await node.configure("pricing", base_cents={"default": 0}, per_1000_chars_cents=0, min_cents=1)

    same(first, await buyer.post("/api/task", TASK, **KEY))
    assert (await buyer.post("/api/task", TASK)).status_code == 201
    await node.prove()


async def test_every_route_of_a_buyer_repeats_its_answer(
    node: Node, subtests: pytest.Subtests
) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    done, queued, failed = [(await post(buyer))["id"] for _ in range(3)]
    await complete(worker, await claim(worker))
    calls: list[tuple[str, Json]] = [
        ("/api/task", {**TASK, "dry_run": True}),
        (f"/api/task/{queued}/cancel", None),
        (f"/api/task/{done}/rating", {"rating": "up"}),
        (f"/api/task/{failed}/rating", {"rating": "up"}),
        (f"/api/task/{done}/cancel", None),
    ]
    firsts = [await buyer.post(path, body, **KEY) for path, body in calls]
    await buyer.ok("POST", f"/api/task/{done}/rating", {"rating": "down"})
    await node.configure("dispatch", max_attempts=1)
    await fail(worker, await claim(worker))
    await node.configure("pricing", base_cents={"default": 50})

    for first, (path, body) in zip(firsts, calls, strict=True):
        with subtests.test(path=path, body=body):
            same(first, await buyer.post(path, body, **KEY))
    assert [first.status_code for first in firsts] == [200, 200, 200, 422, 409]
    assert (await buyer.ok("GET", f"/api/task/{done}"))["rating"] == "down"
    await node.prove()


async def test_secrets_are_never_repeated(node: Node, subtests: pytest.Subtests) -> None:
    buyer, worker, anyone = await node.buyer(), await node.worker(), node.anyone()
    calls: list[tuple[Party, str, Json]] = [
        (buyer, "/api/keys", {"name": "a"}),
        (worker, "/api/worker/rotate-token", None),
        (anyone, "/api/worker/connect", {"name": "a"}),
    ]
    for party, path, body in calls:
        again: Json
        with subtests.test(path=path):
            first = await party.post(path, body, **KEY)
            assert first.status_code in {200, 201}
            token = first.json().get("token") or first.json().get("key")
            if path.endswith("rotate-token"):
                party = node.party(worker.id, token)  # noqa: PLW2901 - the old one is dead
            for again in (body, {}):
                answer = await party.post(path, again, **KEY)
                refused(answer, 409, "idempotency_conflict")
                assert token not in answer.text
            stored = await sql(node, "SELECT content, headers FROM idempotency_records")
            assert token not in str(stored)
    assert len((await buyer.ok("GET", "/api/keys"))["keys"]) == 2


async def test_what_is_never_stored(node: Node) -> None:
    buyer = await node.buyer(1_000)
    stranger = node.party("x", "ocb_unknown")
    refused(await stranger.post("/api/task", TASK, **KEY), 401, "unauthenticated")
    await node.configure("payload_limits", task_input=64)
    long = {"prompt": "x" * 100}
    refused(await buyer.post("/api/task", long, **KEY), 413, "payload_too_large")
    await node.configure("payload_limits", task_input=131_072)
    await node.configure("rate_limits", task_submit={"limit": 1, "per_seconds": 60})
    assert (await buyer.post("/api/task", TASK)).status_code == 201
    refused(await buyer.post("/api/task", long, **KEY), 429, "rate_limited")
    await node.configure("rate_limits", task_submit={"limit": 1_000_000, "per_seconds": 60})

    assert await sql(node, "SELECT * FROM idempotency_records") == []
    assert (await buyer.post("/api/task", long, **KEY)).status_code == 201
    await node.prove()


async def test_a_failure_of_ours_is_not_an_answer(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = await node.buyer(1_000)
    module = "openclaw_jobs.market.post_task.update_totals"

    async def broken(*_: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(module, broken)
        refused(await buyer.post("/api/task", TASK, **KEY), 500, "internal_error")
    assert await balance(buyer) == 1_000

    answer = await buyer.post("/api/task", TASK, **KEY)
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers
    await node.prove()


async def test_keys_that_are_none(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    for key in ("", "x" * 256, "a\tb", "caf\u00e9"):
        answer = await buyer.http.post(
            "/api/task", json=TASK, headers={b"Idempotency-Key": key.encode()}
        )
        refused(answer, 400, "invalid_idempotency_key")
    for key in ("x" * 255, "!", "a b", "~"):
        assert (await buyer.post("/api/task", TASK, Idempotency_Key=key)).status_code == 201
    assert (await worker.get("/api/worker/me")).status_code == 200
    await node.prove()


async def test_work_and_cron_take_the_header_and_store_nothing(node: Node) -> None:
    buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
    await post(buyer)
    claimed = await claim(worker)
    body = {
        "task_id": claimed["task_id"],
        "lease_token": claimed["lease_token"],
        "status": "completed",
        "result": "x",
    }
    for _ in range(2):
        assert (await worker.post("/api/work/submit", body, **KEY)).status_code == 200
        assert (await operator.post("/api/cron/timeout-recovery", None, **KEY)).status_code == 200
    other = await worker.post("/api/work/submit", {**body, "result": "y"}, **KEY)
    assert other.json()["duplicate"] is True
    assert await sql(node, "SELECT * FROM idempotency_records") == []
    await node.prove()


async def test_a_key_is_forgotten_after_a_day(node: Node) -> None:
    buyer = await node.buyer(1_000)
    day = timedelta(hours=24)
    first = await buyer.post("/api/task", TASK, **KEY)
    cleaned = await clean_up(node.market, replays_for=day, events_for=day)
    assert cleaned.replays == 0
    same(first, await buyer.post("/api/task", TASK, **KEY))
    aged = "UPDATE idempotency_records SET created_at = created_at - interval '25 hours'"
    await sql(node, aged)

    cleaned = await clean_up(node.market, replays_for=day, events_for=day)

    assert cleaned.replays == 1
    second = await buyer.post("/api/task", {"prompt": "another"}, **KEY)
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    await node.prove()
