"""What a buyer sees of its tasks: one, many, their end; and what it says of them."""

import asyncio
import time

import pytest

from openclaw_jobs.kit.ids import new_id
from tests.market.steps import (
    balance,
    claim,
    complete,
    completion,
    deposit,
    lease_of,
    misfit,
    post,
    refused,
    status_of,
)
from tests.running import Node, Party

TASK = {
    *("id", "status", "category", "price_cents", "prompt", "result", "progress", "created_at"),
    *("claimed_at", "completed_at", "credited_cents", "rating", "confidence", "queue"),
}


async def test_a_task_has_these_fields_in_every_state(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    posted = await post(buyer)
    path = f"/api/task/{posted['id']}"

    queued = await buyer.ok("GET", path)
    claimed = await claim(worker)
    held = await buyer.ok("GET", path)
    await complete(worker, claimed, "the answer")
    done = await buyer.ok("GET", path)

    assert set(queued) == set(held) == set(done) == TASK
    assert [each["status"] for each in (queued, held, done)] == ["queued", "claimed", "completed"]
    assert set(queued["queue"]) == {"position", "workers_online", "estimated_wait_s"}
    assert held["queue"] is done["queue"] is None
    assert queued["claimed_at"] is queued["completed_at"] is held["completed_at"] is None
    assert done["created_at"] <= done["claimed_at"] <= done["completed_at"]
    assert held["claimed_at"] == done["claimed_at"]
    assert (held["result"], done["result"]) == (None, "the answer")
    assert (done["credited_cents"], done["rating"]) == (0, None)
    await node.prove()


async def test_the_queue_object_counts_who_stands_before(node: Node) -> None:
    buyer = await node.buyer()
    tasks = [await post(buyer) for _ in range(3)]
    other = await post(buyer, category="writing")

    places = [(await buyer.ok("GET", f"/api/task/{t['id']}"))["queue"] for t in tasks]

    assert [place["position"] for place in places] == [1, 2, 3]
    assert all(place["estimated_wait_s"] is None for place in places)
    assert (await buyer.ok("GET", f"/api/task/{other['id']}"))["queue"]["position"] == 1
    await node.prove()


async def test_waiting_ends_when_the_task_does_and_not_before(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    path = f"/api/task/{(await post(buyer))['id']}"
    waiting = asyncio.create_task(buyer.get(path, wait=30))
    claimed = await claim(worker)
    heard = await buyer.get(path, wait=0.2)

    assert heard.json()["status"] == "claimed"
    assert not waiting.done()

    started = time.monotonic()
    await complete(worker, claimed)
    done = (await waiting).json()
    assert done["status"] == "completed"
    assert time.monotonic() - started < 5
    assert (await buyer.get(path, wait=60)).json()["status"] == "completed"
    await node.prove()


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_waiting_ends_with_a_bad_end_too(node: Node, end: str) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await node.configure("dispatch", max_attempts=1)
    task_id = (await post(buyer))["id"]
    claimed = await claim(worker) if end == "failed" else None
    waiting = asyncio.create_task(buyer.get(f"/api/task/{task_id}", wait=30))

    if claimed is None:
        await buyer.ok("POST", f"/api/task/{task_id}/cancel")
    else:
        await worker.ok("POST", "/api/work/submit", {**lease_of(claimed), "status": "failed"})

    assert (await waiting).json()["status"] == end
    await node.prove()


async def test_bad_query_values(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer()
    path = f"/api/task/{(await post(buyer))['id']}"
    bad = [
        *((path, "wait", v) for v in ("-1", "61", "abc", "", "nan", "inf", "1e9", "1,5", "\x00")),
        *(("/api/tasks", "limit", v) for v in ("0", "101", "-1", "x", "", "1.5", "9" * 40)),
        *(("/api/tasks", "status", v) for v in ("done", "QUEUED", "queued ")),
        *(("/api/tasks", "cursor", v) for v in ("x", "task_", new_id("key"), "\x00", "%00")),
    ]
    for where, name, value in bad:
        with subtests.test(where=where, name=name, value=value):
            refused(await buyer.get(where, **{name: value}), 422, "validation_failed")
    await node.prove()


async def test_an_empty_filter_is_none(node: Node, subtests: pytest.Subtests) -> None:
    buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
    await post(buyer)
    lists = [
        (buyer, "/api/tasks", "cursor=&status="),
        (buyer, "/api/tasks", "limit=100&cursor="),
        (worker, "/api/worker/earnings", "cursor="),
        (worker, "/api/worker/payouts", "cursor="),
        (operator, "/api/admin/workers", "status=&tier=&cursor="),
        (operator, "/api/admin/audit", "limit=50&cursor="),
        (operator, "/api/admin/quality", "stage=&kind=&worker_id=&cursor="),
        (operator, "/api/admin/reconciliations", "rail=&limit=10"),
        (operator, "/api/admin/appeals", "status=&cursor="),
    ]
    for party, path, query in lists:
        with subtests.test(path=path, query=query):
            plain = await party.ok("GET", path)
            assert await party.ok("GET", f"{path}?{query}") == plain
    for path in ("/api/admin/pnl?format=", "/api/admin/pairs?flagged=", "/api/tasks?limit="):
        party = buyer if path.startswith("/api/tasks") else operator
        refused(await party.http.get(path), 422, "validation_failed")


async def test_another_s_task_is_as_if_there_were_none(
    node: Node, subtests: pytest.Subtests
) -> None:
    buyer, stranger = await node.buyer(), await node.buyer()
    theirs = (await post(buyer))["id"]
    ids = (theirs, new_id("task"), "task_", "x", "a" * 5_000, "%00", "..%2f", "%F0%9F%A6%80", "'")
    told = set()
    for task_id in ids:
        with subtests.test(task_id=task_id[:40]):
            for method, path, body in (
                ("GET", f"/api/task/{task_id}", None),
                ("POST", f"/api/task/{task_id}/cancel", None),
                ("POST", f"/api/task/{task_id}/rating", {"rating": "up"}),
                ("GET", f"/api/task/{task_id}/events", None),
            ):
                answer = await stranger.http.request(method, path, json=body)
                refused(answer, 404, "not_found")
                if task_id in ids[:2]:
                    told.add(answer.json()["detail"])
    assert len(told) == 1, "the two cannot be told apart"
    assert await status_of(buyer, theirs) == "queued"
    await node.prove()


async def test_the_list_is_paged_newest_first(node: Node) -> None:
    buyer, other = await node.buyer(), await node.buyer()
    posted = [(await post(buyer, f"{n}"))["id"] for n in range(7)]
    await post(other)

    async def walk(**params: object) -> list[list[str]]:
        pages: list[list[str]] = []
        cursor = None
        while cursor or not pages:
            more = params | ({"cursor": cursor} if cursor else {})
            page = (await buyer.get("/api/tasks", **more)).json()
            assert set(page) == {"tasks", "next_cursor"}
            pages.append([task["id"] for task in page["tasks"]])
            cursor = page["next_cursor"]
        return pages

    newest_first = posted[::-1]
    assert await walk() == [newest_first]
    assert await walk(limit=3) == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    assert await walk(limit=7) == [newest_first]
    await buyer.ok("POST", f"/api/task/{posted[4]}/cancel")
    await buyer.ok("POST", f"/api/task/{posted[1]}/cancel")
    assert await walk(limit=1, status="cancelled") == [[posted[4]], [posted[1]]]
    assert [len(page) for page in await walk(limit=4, status="queued")] == [4, 1]
    assert await walk(status="completed") == [[]]
    tasks = (await buyer.ok("GET", "/api/tasks?limit=1"))["tasks"]
    assert set(tasks[0]) == TASK
    await node.prove()


async def test_a_cancelled_task_is_refunded_whence_it_was_paid(node: Node) -> None:
    buyer = await node.buyer(5)
    await deposit(node, buyer, 8)
    posted = await post(buyer)
    charged = await buyer.ok("GET", "/api/balance")

    cancelled = await buyer.ok("POST", f"/api/task/{posted['id']}/cancel")
    refunded = await buyer.ok("GET", "/api/balance")

    assert (cancelled["status"], cancelled["queue"]) == ("cancelled", None)
    assert set(cancelled) == TASK
    assert (charged["promo_cents"], charged["paid_cents"]) == (0, 1)
    assert charged["lifetime"]["spent_cents"] == 12
    assert (refunded["promo_cents"], refunded["paid_cents"]) == (5, 8)
    assert refunded["lifetime"]["spent_cents"] == 0
    again = await buyer.post(f"/api/task/{posted['id']}/cancel")
    refused(again, 409, "not_cancellable")
    assert await balance(buyer) == 13
    await node.prove()


async def test_only_what_is_queued_can_be_cancelled(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    task_id = (await post(buyer))["id"]
    claimed = await claim(worker)
    refused(await buyer.post(f"/api/task/{task_id}/cancel"), 409, "not_cancellable")

    await worker.ok("POST", "/api/work/release", lease_of(claimed), 204)
    await buyer.ok("POST", f"/api/task/{task_id}/cancel")

    refused(await worker.post("/api/work/submit", completion(claimed)), 409, "lease_lost")
    done = (await post(buyer))["id"]
    await complete(worker, await claim(worker))
    refused(await buyer.post(f"/api/task/{done}/cancel"), 409, "not_cancellable")
    await node.prove()


async def test_a_cancel_and_a_claim_at_once_have_one_winner(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=1000)

    async def race() -> tuple[bool, bool]:
        task_id = (await post(buyer))["id"]
        cancel, polled = await asyncio.gather(
            buyer.post(f"/api/task/{task_id}/cancel"), worker.get("/api/work/next")
        )
        return cancel.status_code == 200, polled.status_code == 200

    outcomes = [await race() for _ in range(15)]

    assert all(cancelled != claimed for cancelled, claimed in outcomes), outcomes
    await node.prove()


async def test_a_hundred_cancels_refund_once(node: Node) -> None:
    buyer = await node.buyer(1_000)
    task_id = (await post(buyer))["id"]

    answers = await asyncio.gather(*(buyer.post(f"/api/task/{task_id}/cancel") for _ in range(100)))

    assert sorted(a.status_code for a in answers)[:2] == [200, 409]
    assert await balance(buyer) == 1_000
    await node.prove()


async def test_a_rating_is_kept_changed_and_taken_back(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    path = f"/api/task/{(await post(buyer))['id']}"
    misfit(await buyer.post(f"{path}/rating", {"rating": "up"}), "rating")
    await complete(worker, await claim(worker))
    before = await balance(buyer)

    for rating in ("up", "down", None, "down"):
        rated = await buyer.ok("POST", f"{path}/rating", {"rating": rating})
        assert set(rated) == TASK
        assert rated["rating"] == rating
    assert (await buyer.ok("GET", path))["rating"] == "down"
    for body in ({"rating": "sideways"}, {"rating": 1}, {}, {"rating": "up", "why": "x"}):
        refused(await buyer.post(f"{path}/rating", body), 422, "validation_failed")
    assert await balance(buyer) == before
    await node.prove()


async def test_the_balance_and_its_lifetime(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    kept = await post(buyer)
    cancelled = await post(buyer)
    await complete(worker, await claim(worker))
    await buyer.ok("POST", f"/api/task/{cancelled['id']}/cancel")

    money = await buyer.ok("GET", "/api/balance")

    assert money == {
        "balance_cents": 1_000 - kept["price_cents"],
        "promo_cents": 1_000 - kept["price_cents"],
        "paid_cents": 0,
        "lifetime": {
            "deposited_cents": 0,
            "bonus_cents": 1_000,
            "spent_cents": kept["price_cents"],
            "credited_cents": 0,
        },
    }
    await node.prove()


async def test_an_event_stream_tells_a_task_s_life(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    task_id = (await post(buyer))["id"]
    claimed = await claim(worker)
    beat = {**lease_of(claimed), "progress": "half way"}
    await worker.ok("POST", "/api/work/heartbeat", beat)
    assert (await buyer.ok("GET", f"/api/task/{task_id}"))["progress"] == "half way"
    await complete(worker, claimed)

    events = await _events_of(buyer, task_id)

    kinds = [kind for kind, _ in events]
    assert kinds == ["task.queued", "task.claimed", "task.progress", "task.completed"]
    assert 'progress":"half way"' in events[2][1]
    await node.prove()


async def _events_of(buyer: Party, task_id: str) -> list[tuple[str, str]]:
    """A task's events, until the server ends the stream: type and data."""
    found, kind = [], ""
    async with buyer.http.stream("GET", f"/api/task/{task_id}/events") as stream:
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                found.append((kind, value))
    return found
