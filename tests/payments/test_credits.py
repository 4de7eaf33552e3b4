"""A buyer gets its money back for a bad result: once, in the window, whatever became of it."""

import asyncio
from typing import Any

import pytest

from openclaw_jobs.market.release_earnings import release_earnings
from tests.running import Node, Party


async def done(buyer: Party, worker: Party) -> dict[str, Any]:
    """A task that was posted and completed; answers it as the buyer sees it."""
    posted = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    claim = await worker.ok("GET", "/api/work/next?wait=10")
    assert claim["task_id"] == posted["id"]
    body = {
        "task_id": claim["task_id"],
        "lease_token": claim["lease_token"],
        "status": "completed",
        "result": "bad",
    }
    await worker.ok("POST", "/api/work/submit", body)
    task: dict[str, Any] = await buyer.ok("GET", f"/api/task/{posted['id']}")
    return task


async def money(worker: Party) -> tuple[int, int, int]:
    """Available, frozen and lifetime cents."""
    balance = (await worker.ok("GET", "/api/worker/me"))["balance"]
    return balance["available_cents"], balance["frozen_cents"], balance["lifetime_cents"]


async def ripen(node: Node) -> None:
    """Every earning that is frozen becomes available."""
    async with node.market.db.read() as conn:
        await conn.execute("UPDATE earnings SET release_at = now() WHERE status = 'frozen'")
    await release_earnings(node.market)


async def test_a_credit_before_unfreeze_takes_the_frozen_lot(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    task = await done(buyer, worker)
    answer = await buyer.ok("POST", f"/api/task/{task['id']}/credit", {"reason": "wrong"})
    assert answer == {
        "id": task["id"],
        "status": "credited",
        "credited_cents": task["price_cents"],
        "balance_cents": 1_000,
    }
    assert await money(worker) == (0, 0, 0)
    seen = await buyer.ok("GET", f"/api/task/{task['id']}")
    assert (seen["status"], seen["credited_cents"]) == ("credited", task["price_cents"])
    lifetime = (await buyer.ok("GET", "/api/balance"))["lifetime"]
    assert lifetime["credited_cents"] == lifetime["spent_cents"] == task["price_cents"]
    me = await worker.ok("GET", "/api/worker/me")
    assert me["stats"]["credited"] == 1
    earning = (await worker.ok("GET", "/api/worker/earnings"))["earnings"][0]
    assert earning["status"] == "credited"
    # Nothing is left to ripen.
    await ripen(node)
    assert await money(worker) == (0, 0, 0)
    await node.prove()


async def test_a_credit_after_unfreeze_takes_what_is_available(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    first, second = [await done(buyer, worker) for _ in range(2)]
    await ripen(node)
    before = (await money(worker))[0]
    await buyer.ok("POST", f"/api/task/{first['id']}/credit", {})
    assert (await money(worker))[0] == before // 2
    await buyer.ok("POST", f"/api/task/{second['id']}/credit", {})
    assert await money(worker) == (0, 0, 0)
    await node.prove()


async def test_what_a_worker_cannot_give_back_is_repaid_by_later_earnings(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    first = await done(buyer, worker)
    await ripen(node)
    net = (await money(worker))[0]
    await spend_available(node, worker, net)
    await buyer.ok("POST", f"/api/task/{first['id']}/credit", {})
    assert await money(worker) == (0, 0, 0)
    await node.prove()
    for _ in range(2):
        await done(buyer, worker)
    await ripen(node)
    # The first of the two repaid the debt, the second is the worker's.
    assert (await money(worker))[0] == net
    await node.prove()


async def spend_available(node: Node, worker: Party, cents: int) -> None:
    """Withdraw so much; the payout waits for its approval."""
    await node.configure("commissions", min_withdrawal_cents=1, require_verified_email=False)
    bound = {"method": "paypal", "email": "worker@example.com"}
    await worker.ok("POST", "/api/worker/bind-payout", bound)
    await worker.ok("POST", "/api/worker/withdraw", {"amount_cents": cents}, 201)


async def test_a_hundred_credits_at_once_are_one(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    task = await done(buyer, worker)
    answers = await asyncio.gather(
        *(buyer.post(f"/api/task/{task['id']}/credit", {}) for _ in range(100))
    )
    codes = sorted(a.status_code for a in answers)
    assert codes == [200] + [409] * 99
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"already_credited"}
    assert (await buyer.ok("GET", "/api/balance"))["balance_cents"] == 1_000
    await node.prove()


async def test_credit_and_unfreeze_at_once_agree(node: Node) -> None:
    buyer, worker = await node.buyer(10_000), await node.worker()
    tasks = [await done(buyer, worker) for _ in range(8)]
    async with node.market.db.read() as conn:
        await conn.execute("UPDATE earnings SET release_at = now()")
    await asyncio.gather(
        *(buyer.ok("POST", f"/api/task/{t['id']}/credit", {}) for t in tasks),
        *(release_earnings(node.market) for _ in range(4)),
    )
    await ripen(node)
    assert await money(worker) == (0, 0, 0)
    assert (await buyer.ok("GET", "/api/balance"))["balance_cents"] == 10_000
    await node.prove()


@pytest.mark.parametrize("state", ["queued", "claimed", "cancelled"])
async def test_only_a_result_can_be_credited(node: Node, state: str) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    posted = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    if state == "claimed":
        await worker.ok("GET", "/api/work/next?wait=10")
    if state == "cancelled":
        await buyer.ok("POST", f"/api/task/{posted['id']}/cancel")
    refused = await buyer.post(f"/api/task/{posted['id']}/credit", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_creditable")
    await node.prove()


async def test_the_window_closes(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    task = await done(buyer, worker)
    await node.configure("quality", credit_window_hours=0)
    refused = await buyer.post(f"/api/task/{task['id']}/credit", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_creditable")
    stranger = await node.buyer(1)
    foreign = await stranger.post(f"/api/task/{task['id']}/credit", {})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")


async def test_past_the_limit_an_operator_decides(node: Node) -> None:
    buyer, worker, operator = await node.buyer(10_000), await node.worker(), node.operator()
    await node.configure("quality", auto_credit_rate=0.25, auto_credit_min_tasks=4)
    tasks = [await done(buyer, worker) for _ in range(4)]
    await buyer.ok("POST", f"/api/task/{tasks[0]['id']}/credit", {})
    for task in tasks[1:3]:
        answer = await buyer.ok("POST", f"/api/task/{task['id']}/credit", {"reason": "no"}, 202)
        assert answer == {"id": task["id"], "status": "credit_review"}
        again = await buyer.post(f"/api/task/{task['id']}/credit", {})
        assert (again.status_code, again.json()["code"]) == (409, "already_credited")
    waiting = (await operator.ok("GET", "/api/admin/credits"))["credits"]
    assert [c["task_id"] for c in waiting] == [tasks[1]["id"], tasks[2]["id"]]
    assert waiting[0]["reason"] == "no"
    await operator.ok("POST", f"/api/admin/credits/{tasks[1]['id']}/approve")
    await operator.ok("POST", f"/api/admin/credits/{tasks[2]['id']}/reject")
    for task, status in zip(tasks[1:3], ("credited", "completed"), strict=True):
        assert (await buyer.ok("GET", f"/api/task/{task['id']}"))["status"] == status
        late = await operator.post(f"/api/admin/credits/{task['id']}/approve")
        assert (late.status_code, late.json()["code"]) == (409, "not_creditable")
    declined = await buyer.post(f"/api/task/{tasks[2]['id']}/credit", {})
    assert (declined.status_code, declined.json()["code"]) == (409, "not_creditable")
    assert (await operator.ok("GET", "/api/admin/credits"))["credits"] == []
    await node.prove()


async def test_a_repeated_request_is_answered_again(node: Node) -> None:
    buyer, worker = await node.buyer(1_000), await node.worker()
    task = await done(buyer, worker)
    path = f"/api/task/{task['id']}/credit"
    first = await buyer.post(path, {"reason": "x"}, idempotency_key="one")
    second = await buyer.post(path, {"reason": "x"}, idempotency_key="one")
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert second.headers["Idempotent-Replayed"] == "true"
    await node.prove()
