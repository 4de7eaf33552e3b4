"""The main job, through HTTP: a task is priced, paid, dispatched, done, settled and read back."""

import asyncio

from tests.running import Node


async def test_a_task_goes_all_the_way(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    parked = asyncio.create_task(worker.get("/api/work/next", wait=20))
    posted = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    assert posted["status"] == "queued"
    assert posted["balance_cents"] == 1_000 - posted["price_cents"]

    claim = (await parked).json()
    assert claim["task_id"] == posted["id"]
    assert claim["messages"] == [{"role": "user", "content": "hello"}]
    held = await buyer.ok("GET", f"/api/task/{posted['id']}")
    assert held["status"] == "claimed"

    waiting = asyncio.create_task(buyer.get(f"/api/task/{posted['id']}", wait=20))
    lease = {"task_id": claim["task_id"], "lease_token": claim["lease_token"]}
    receipt = await worker.ok(
        "POST", "/api/work/submit", {**lease, "status": "completed", "result": "world"}
    )
    assert receipt["earned_cents"] == claim["earning_cents"]
    done = (await waiting).json()
    assert (done["status"], done["result"]) == ("completed", "world")

    balance = (await worker.ok("GET", "/api/worker/me"))["balance"]
    assert balance["frozen_cents"] == receipt["earned_cents"]
    await node.prove()


async def test_submitting_again_gives_the_first_receipt(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    claim = await worker.ok("GET", "/api/work/next")
    body = {
        "task_id": claim["task_id"],
        "lease_token": claim["lease_token"],
        "status": "completed",
        "result": "world",
    }
    answers = await asyncio.gather(
        *(worker.ok("POST", "/api/work/submit", body) for _ in range(100))
    )
    first = [answer for answer in answers if not answer.pop("duplicate", False)]
    assert len(first) == 1
    assert all(answer == first[0] for answer in answers)
    await node.prove()
