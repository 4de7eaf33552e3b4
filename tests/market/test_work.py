"""What a worker does with tasks: get them, hold them, hand them in, give them back."""

import asyncio
from datetime import datetime, timedelta

import pytest

from openclaw_jobs.kit.ids import new_id
from tests.market.steps import (
    claim,
    claim_many,
    complete,
    completion,
    failure,
    lease_of,
    post,
    refused,
    status_of,
)
from tests.running import Json, Node

ASSIGNED = {
    *("task_id", "lease_token", "lease_expires_at", "lease_seconds", "category", "messages"),
    *("prompt", "earning_cents", "attempt"),
}


async def test_an_assigned_task_has_these_fields(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    posted = await post(buyer)

    claimed = await claim(worker)

    assert set(claimed) == ASSIGNED
    assert claimed["task_id"] == posted["id"]
    assert claimed["earning_cents"] == 12 - 3
    assert (claimed["lease_seconds"], claimed["attempt"]) == (120, 1)
    until = datetime.fromisoformat(claimed["lease_expires_at"])
    assert abs(until - node.market.clock.now() - timedelta(seconds=120)) < timedelta(seconds=5)
    await node.prove()


async def test_no_work_is_204_or_an_empty_list_with_its_reason(node: Node) -> None:
    worker = await node.worker()

    nothing = await worker.get("/api/work/next", wait=0.05)
    why = await worker.ok("GET", "/api/work/next?max=5")

    assert (nothing.status_code, nothing.content) == (204, b"")
    assert set(why) == {"tasks", "why", "retry_after_s"}
    assert why["tasks"] == []
    assert why["why"] == {"no task waits": 1}
    assert why["retry_after_s"] >= 1


async def test_max_bounds_the_list_and_so_does_max_concurrent(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=3)
    posted = [(await post(buyer))["id"] for _ in range(6)]

    two = await worker.ok("GET", "/api/work/next?max=2")
    rest = await claim_many(worker, 100)
    full = await worker.ok("GET", "/api/work/next?max=1")

    assert set(two) == {"tasks"}
    assert all(set(task) == ASSIGNED for task in two["tasks"])
    assert [task["task_id"] for task in two["tasks"] + rest] == posted[:3]
    assert full["tasks"] == []
    assert list(full["why"]) == ["your max_concurrent"]
    await complete(worker, rest[0])
    assert (await claim(worker))["task_id"] == posted[3]
    await node.prove()


async def test_bad_polls(node: Node, subtests: pytest.Subtests) -> None:
    worker = await node.worker()
    bad = [
        *({"max": v} for v in ("0", "101", "-1", "x", "", "1.5", "\x00", "9" * 30)),
        *({"wait": v} for v in ("-1", "60.5", "x", "", "nan", "inf")),
    ]
    for query in bad:
        with subtests.test(query=query):
            refused(await worker.get("/api/work/next", **query), 422, "validation_failed")


async def test_a_receipt_says_what_was_earned_and_until_when_it_is_frozen(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    task_id = (await post(buyer))["id"]
    claimed = await claim(worker)
    body = {**completion(claimed), "usage": {"tokens": 7}}

    receipt = await worker.ok("POST", "/api/work/submit", body)
    again = await worker.ok("POST", "/api/work/submit", body)

    assert set(receipt) == {"task_id", "accepted", "earned_cents", "frozen_until"}
    assert (receipt["task_id"], receipt["accepted"]) == (task_id, True)
    assert receipt["earned_cents"] == claimed["earning_cents"]
    thaws_at = datetime.fromisoformat(receipt["frozen_until"])
    assert thaws_at - node.market.clock.now() > timedelta(hours=23.9)
    assert again == {**receipt, "duplicate": True}
    await node.prove()


async def test_a_batch_is_answered_one_by_one_and_in_order(node: Node) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    for _ in range(6):
        await post(buyer)
    lost, released, failed, good, early, foreign = (await claim_many(worker, 6))[:6]
    await worker.ok("POST", "/api/work/release", lease_of(released), 204)
    await complete(worker, early, "early")
    stranger = {"task_id": new_id("task"), "lease_token": "x", "status": "failed"}
    wrong_token = {**completion(foreign), "lease_token": good["lease_token"]}
    await lapse_one(node, lost)

    answer = await worker.ok(
        "POST",
        "/api/work/submit",
        {
            "submissions": [
                completion(lost),
                completion(released),
                completion(good),
                stranger,
                completion(good),
                failure(failed),
                completion(early, "another"),
                wrong_token,
                completion(foreign),
            ]
        },
    )

    receipts = answer["receipts"]
    assert set(answer) == {"receipts"}
    assert [r.get("code") for r in receipts] == [
        *("lease_lost", "lease_lost", None, "not_found", None, None, None, "lease_lost", None)
    ]
    assert [r["accepted"] for r in receipts] == [r.get("code") is None for r in receipts]
    refusals = [r for r in receipts if not r["accepted"]]
    assert all(set(r) == {"task_id", "accepted", "status", "code", "detail"} for r in refusals)
    assert [r["status"] for r in refusals] == [409, 409, 404, 409]
    assert [r.get("duplicate", False) for r in receipts if r["accepted"]] == [
        *(False, True, False, True, False)
    ]
    assert receipts[5] == {
        "task_id": failed["task_id"],
        "accepted": True,
        "earned_cents": 0,
        "frozen_until": None,
    }
    assert (await buyer.ok("GET", f"/api/task/{early['task_id']}"))["result"] == "early"
    # What came back to the queue is another's to do.
    assert {t["task_id"] for t in await claim_many(other)} == {
        released["task_id"],
        failed["task_id"],
    }
    await node.prove()


async def test_one_without_its_result_stops_no_other(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(3):
        await post(buyer)
    first, bad, last = await claim_many(worker, 3)
    empty = {**lease_of(bad), "status": "completed"}
    batch = {"submissions": [completion(first), empty, completion(last)], "next": {}}

    answer = await worker.ok("POST", "/api/work/submit", batch)

    assert [r["accepted"] for r in answer["receipts"]] == [True, False, True]
    assert answer["receipts"][1] == {
        "task_id": bad["task_id"],
        "accepted": False,
        "status": 422,
        "code": "validation_failed",
        "detail": "result: A completed task needs its result.",
    }
    only = await worker.ok("POST", "/api/work/submit", {"submissions": [empty]})
    assert only["receipts"] == answer["receipts"][1:2]
    assert await status_of(buyer, bad["task_id"]) == "claimed"
    assert (await complete(worker, bad))["accepted"] is True
    await node.prove()


async def test_null_is_as_good_as_nothing_in_a_submission(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(3):
        await post(buyer)
    first, second, third = await claim_many(worker, 3)
    nothing = dict.fromkeys(("submissions", "next", "error", "usage"))

    alone = await worker.ok("POST", "/api/work/submit", {**completion(first), **nothing})
    nothing = dict.fromkeys(("task_id", "lease_token", "status", "result", "error", "usage"))
    batch = {"submissions": [completion(second)], "next": {"wait": None, "max": None}}
    several = await worker.ok("POST", "/api/work/submit", {**nothing, **batch})

    assert (alone["accepted"], "tasks" in alone) == (True, False)
    assert [r["accepted"] for r in several["receipts"]] == [True]
    assert several["tasks"] == []
    failed = {**failure(third), "result": None, "error": None}
    assert (await worker.ok("POST", "/api/work/submit", failed))["accepted"] is True
    await node.prove()


async def lapse_one(node: Node, claimed: Json) -> None:
    async with node.market.db.transaction() as conn:
        await conn.execute(
            "UPDATE leases SET expires_at = now() WHERE task_id = %s", (claimed["task_id"],)
        )


async def test_a_batch_may_have_a_hundred(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=100)
    await asyncio.gather(*(post(buyer) for _ in range(100)))
    claims = await claim_many(worker)

    answer = await worker.ok(
        "POST", "/api/work/submit", {"submissions": [completion(c) for c in claims]}
    )

    assert len(claims) == 100
    assert [r["task_id"] for r in answer["receipts"]] == [c["task_id"] for c in claims]
    assert sum(r["earned_cents"] for r in answer["receipts"]) == 900
    more = {"submissions": [completion(claims[0])] * 101}
    refused(await worker.post("/api/work/submit", more), 422, "validation_failed")
    await node.prove()


async def test_next_brings_the_next_tasks_with_the_receipt(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=2)
    posted = [(await post(buyer))["id"] for _ in range(5)]
    first = await claim(worker)

    single = await worker.ok("POST", "/api/work/submit", {**completion(first), "next": {"max": 9}})
    assert single["accepted"] is True
    assert [t["task_id"] for t in single["tasks"]] == posted[1:3]
    assert all(set(t) == ASSIGNED for t in single["tasks"])
    batch = await worker.ok(
        "POST",
        "/api/work/submit",
        {"submissions": [completion(t) for t in single["tasks"]], "next": {}},
    )
    assert [t["task_id"] for t in batch["tasks"]] == posted[3:4]
    assert set(batch) == {"receipts", "tasks"}

    last = (await claim_many(worker, 5))[0]
    parked = asyncio.create_task(
        worker.post("/api/work/submit", {**completion(last), "next": {"wait": 20, "max": 1}})
    )
    await buyer.get(f"/api/task/{last['task_id']}", wait=20)
    late = await post(buyer)
    assert [t["task_id"] for t in (await parked).json()["tasks"]] == [late["id"]]

    refused_one = completion(first) | {"lease_token": "wrong"}
    refused(
        await worker.post("/api/work/submit", {**refused_one, "next": {"max": 1}}),
        409,
        "lease_lost",
    )
    await node.prove()


async def test_bodies_that_are_no_submission(node: Node, subtests: pytest.Subtests) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    claimed = await claim(worker)
    good = completion(claimed)
    bad: list[Json] = [
        {},
        {k: v for k, v in good.items() if k != "result"},
        {**good, "result": None},
        *({k: v for k, v in good.items() if k != gone} for gone in ("task_id", "lease_token")),
        {k: v for k, v in good.items() if k != "status"},
        {**good, "status": "done"},
        {**good, "result": {"text": "done"}},
        {**good, "result": "a\x00b"},
        {**good, "usage": "much"},
        {**good, "verdict": "fine"},
        {**good, "submissions": [good]},
        {"submissions": []},
        {"submissions": good},
        {"submissions": [{**good, "next": {}}]},
        {**good, "next": {"max": 0}},
        {**good, "next": {"max": 101}},
        {**good, "next": {"wait": 61}},
        {**good, "next": {"wait": -1}},
        {**good, "next": {"count": 1}},
        {**good, "next": 5},
        {**good, "task_id": 5},
    ]
    for body in bad:
        with subtests.test(body=body):
            refused(await worker.post("/api/work/submit", body), 422, "validation_failed")
    assert await status_of(buyer, claimed["task_id"]) == "claimed"
    await node.prove()


async def test_a_result_may_be_empty_and_has_256_kib(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await post(buyer)
    first, second = await claim_many(worker, 2)
    await complete(worker, first, "")
    assert (await buyer.ok("GET", f"/api/task/{first['task_id']}"))["result"] == ""

    lease = lease_of(second)
    frame = (
        f'{{"task_id":"{lease["task_id"]}","lease_token":"{lease["lease_token"]}",'
        '"status":"completed","result":"'
    ).encode()
    body = frame + b"y" * (262_144 - len(frame) - 2) + b'"}'
    too_much = await worker.send("POST", "/api/work/submit", body + b" ")
    assert refused(too_much, 413, "payload_too_large")["limit_bytes"] == 262_144
    accepted = await worker.send("POST", "/api/work/submit", body)
    assert accepted.json()["accepted"] is True
    result = (await buyer.ok("GET", f"/api/task/{second['task_id']}"))["result"]
    assert len(result) == 262_144 - len(frame) - 2
    await node.prove()
