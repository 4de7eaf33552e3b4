"""What heals by itself and what the configuration changes: leases, queues, strikes, freezing."""

import asyncio

import pytest

from tests.market.steps import (
    balance,
    claim,
    claim_many,
    complete,
    completion,
    fail,
    lapse_leases,
    lease_of,
    post,
    recover,
    refused,
    sql,
    status_of,
)
from tests.running import Node, running_node

NOTHING = {"requeued": 0, "failed": 0, "expired": 0, "suspended": 0, "reinstated": 0}


async def test_a_lost_lease_puts_the_task_back(node: Node) -> None:
    buyer, loser, other = await node.buyer(), await node.worker(), await node.worker()
    await node.configure("dispatch", lease_seconds=1)
    task_id = (await post(buyer))["id"]
    claimed = await claim(loser)
    assert claimed["lease_seconds"] == 1
    assert await recover(node) == NOTHING

    # The database's clock decides; a poll of the buyer's passes the time.
    async with asyncio.timeout(10):
        while (recovered := await recover(node)) == NOTHING:
            await buyer.get(f"/api/task/{task_id}", wait=0.1)

    assert recovered == NOTHING | {"requeued": 1}
    back = await buyer.ok("GET", f"/api/task/{task_id}")
    assert (back["status"], back["claimed_at"], back["progress"]) == ("queued", None, None)
    refused(await loser.post("/api/work/submit", completion(claimed)), 409, "lease_lost")
    me = await loser.ok("GET", "/api/worker/me")
    assert (me["strikes"], me["stats"]["expired"], me["stats"]["completion_rate"]) == (1, 1, 0)
    again = await claim(other)
    assert (again["task_id"], again["attempt"]) == (task_id, 2)
    await complete(other, again)
    await node.prove()


async def test_the_last_lost_lease_fails_the_task_and_refunds_it(node: Node) -> None:
    buyer = await node.buyer(100)
    await node.configure("dispatch", max_attempts=2)
    task_id = (await post(buyer))["id"]
    for outcome in ("requeued", "failed"):
        await claim(await node.worker())
        await lapse_leases(node)
        assert await recover(node) == NOTHING | {outcome: 1}

    assert await status_of(buyer, task_id) == "failed"
    assert await balance(buyer) == 100
    await node.prove()


async def test_counters_that_are_full_stop_what_no_limit_stops(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    most = dict.fromkeys(("strikes", "max_attempts", "task_fault_after"), 1_000_000)
    await node.configure("dispatch", **most)
    task_id = (await post(buyer))["id"]
    await claim(worker)
    await sql(node, "UPDATE workers SET strikes = 32767 WHERE id = %s", worker.id)
    await sql(node, "UPDATE tasks SET attempts = 32767, failures = 32766 WHERE id = %s", task_id)
    await sql(
        node, "UPDATE leases SET attempt = 32767, expires_at = now() WHERE task_id = %s", task_id
    )

    assert (await recover(node))["suspended"] == 1

    assert await status_of(buyer, task_id) == "failed"
    assert (await worker.ok("GET", "/api/worker/me"))["status"] == "suspended"


async def test_strikes_suspend_for_a_time(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await node.configure("dispatch", strikes=2, suspension_seconds=600)
    for _ in range(3):
        await post(buyer)
    held = (await claim_many(worker, 1))[0]
    for strikes in (1, 2):
        lost = await claim(worker)
        await sql(
            node,
            "UPDATE leases SET expires_at = now() WHERE task_id = %s",
            lost["task_id"],
        )
        assert (await recover(node))["suspended"] == strikes - 1

    me = await worker.ok("GET", "/api/worker/me")
    assert me["status"] == "suspended"
    for answer in (
        await worker.get("/api/work/next"),
        await worker.get("/api/work/next", wait=30),
        await worker.get("/api/work/next", max=5),
        await worker.post("/api/work/submit", completion(held)),
        await worker.post("/api/work/submit", {"submissions": [completion(held)]}),
    ):
        problem = refused(answer, 403, "suspended")
        assert problem["suspended_until"] == me["suspended_until"]
        assert problem["suspended_until"].endswith("Z")

    await sql(node, "UPDATE workers SET suspended_until = now() WHERE id = %s", worker.id)
    # Over is over, whether or not a job has yet said so.
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["status"], me["suspended_until"]) == ("active", None)
    assert (await complete(worker, held))["accepted"] is True
    assert (await recover(node))["reinstated"] == 1
    assert (await worker.ok("GET", "/api/worker/me"))["status"] == "active"
    await claim(await node.worker())
    await node.prove()


async def test_a_parked_poll_hears_of_its_worker_s_suspension(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await node.configure("dispatch", strikes=1)
    await post(buyer)
    await claim(worker)
    parked = asyncio.create_task(worker.get("/api/work/next", wait=30))
    await lapse_leases(node)
    await recover(node)
    await post(buyer)

    refused(await parked, 403, "suspended")
    await node.prove()


async def test_a_completed_task_ends_a_row_of_strikes(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await node.configure("dispatch", strikes=2)
    for _ in range(3):
        await post(buyer)
        await claim(worker)
        await lapse_leases(node)
        await recover(node)
        assert (await worker.ok("GET", "/api/worker/me"))["strikes"] == 1
        await post(buyer)
        await complete(worker, await claim(worker))
        assert (await worker.ok("GET", "/api/worker/me"))["strikes"] == 0
        for task in (await buyer.ok("GET", "/api/tasks?status=queued"))["tasks"]:
            await buyer.ok("POST", f"/api/task/{task['id']}/cancel")
    await node.prove()


async def test_a_task_that_several_failed_is_no_worker_s_fault(node: Node) -> None:
    buyer = await node.buyer()
    await node.configure("dispatch", strikes=1, max_attempts=5, task_fault_after=2)
    task_id = (await post(buyer))["id"]
    for _ in range(2):
        worker = await node.worker()
        await fail(worker, await claim(worker))

    unlucky = await node.worker()
    assert (await claim(unlucky))["task_id"] == task_id
    await lapse_leases(node)

    assert await recover(node) == NOTHING | {"requeued": 1}
    assert (await unlucky.ok("GET", "/api/worker/me"))["status"] == "active"
    await node.prove()


async def test_a_task_that_nobody_takes_expires_and_is_refunded(node: Node) -> None:
    buyer, worker = await node.buyer(100), await node.worker()
    await node.configure("dispatch", queue_expiry_seconds=1)
    task_id = (await post(buyer))["id"]
    waiting = asyncio.create_task(buyer.get(f"/api/task/{task_id}", wait=30))

    async with asyncio.timeout(10):
        while (recovered := await recover(node)) == NOTHING:
            await asyncio.wait((waiting,), timeout=0.05)

    assert recovered == NOTHING | {"expired": 1}
    expired = (await waiting).json()
    assert (expired["status"], expired["queue"]) == ("expired", None)
    assert await balance(buyer) == 100
    assert (await worker.get("/api/work/next")).status_code == 204
    refused(await buyer.post(f"/api/task/{task_id}/cancel"), 409, "not_cancellable")
    await node.prove()


async def test_a_task_past_its_time_is_not_handed_out_before_it_expires(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await sql(node, "UPDATE tasks SET expires_at = now()")

    assert (await worker.get("/api/work/next")).status_code == 204
    assert (await recover(node))["expired"] == 1
    await node.prove()


async def test_recovery_by_many_at_once_counts_each_loss_once(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await node.configure("dispatch", strikes=100)
    for _ in range(5):
        await post(buyer)
    assert len(await claim_many(worker)) == 5
    await lapse_leases(node)

    runs = await asyncio.gather(*(recover(node) for _ in range(8)))

    assert sum(run["requeued"] for run in runs) == 5
    assert (await worker.ok("GET", "/api/worker/me"))["strikes"] == 5
    await node.prove()


@pytest.mark.parametrize("hours", [0, 24])
async def test_earnings_thaw_when_their_time_has_come(node: Node, hours: int) -> None:
    buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
    await node.configure("commissions", freeze_window_hours=hours)
    await post(buyer)
    receipt = await complete(worker, await claim(worker))
    before = (await worker.ok("GET", "/api/worker/me"))["balance"]
    assert (before["available_cents"], before["frozen_cents"]) == (0, receipt["earned_cents"])

    released = await operator.ok("POST", "/api/cron/unfreeze-earnings")
    if hours:
        assert released == {"released": 0}
        await sql(node, "UPDATE earnings SET release_at = now()")
        released = await operator.ok("POST", "/api/cron/unfreeze-earnings", {})

    assert released == {"released": 1}
    assert (await operator.ok("POST", "/api/cron/unfreeze-earnings")) == {"released": 0}
    after = (await worker.ok("GET", "/api/worker/me"))["balance"]
    assert (after["available_cents"], after["frozen_cents"]) == (receipt["earned_cents"], 0)
    assert after["lifetime_cents"] == after["today_cents"] == receipt["earned_cents"]
    statement = (await worker.ok("GET", "/api/worker/earnings"))["earnings"]
    assert statement[0]["status"] == "available"
    await node.prove()


async def test_commission_follows_the_tier_and_the_moment_of_the_claim(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    rates = {"bronze": 0.5, "silver": 0.25, "gold": 0.1, "platinum": 0}
    await node.configure("commissions", rate_by_tier=rates)
    await node.configure("pricing", base_cents={"default": 99}, per_1000_chars_cents=0)
    earned = {}
    for tier in ("bronze", "silver", "platinum"):
        await sql(node, "UPDATE workers SET tier = %s WHERE id = %s", tier, worker.id)
        await post(buyer)
        claimed = await claim(worker)
        await node.configure("commissions", rate_by_tier={**rates, tier: 1})
        receipt = await complete(worker, claimed)
        await node.configure("commissions", rate_by_tier=rates)
        assert receipt["earned_cents"] == claimed["earning_cents"], "as it was promised"
        earned[tier] = receipt["earned_cents"]

    # A fraction of a cent is the worker's.
    assert earned == {"bronze": 50, "silver": 75, "platinum": 99}
    await node.prove()


async def test_a_free_worker_s_whole_price_and_a_worker_that_earns_nothing(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    nothing_left = dict.fromkeys(("bronze", "silver", "gold", "platinum"), 1)
    await node.configure("commissions", rate_by_tier=nothing_left, freeze_window_hours=0)
    await post(buyer)

    receipt = await complete(worker, await claim(worker))

    assert receipt["earned_cents"] == 0
    released = await node.operator().ok("POST", "/api/cron/unfreeze-earnings")
    assert released == {"released": 1}
    await node.prove()


async def test_a_change_is_in_force_here_at_once_and_on_another_node_within_5_s(
    node: Node, dsn: str
) -> None:
    operator, buyer = node.operator(), await node.buyer()
    async with running_node(dsn, background=False) as second:
        there = second.party(buyer.id, buyer.token)
        quote = {"prompt": "hello", "dry_run": True}

        async def price_there() -> int:
            told = await there.ok("POST", "/api/task", quote)
            return int(told["price_cents"])

        assert await price_there() == 12
        body = {"value": {"base_cents": {"default": 70}}}
        await operator.ok("PUT", "/api/admin/config/pricing", body)
        here = await buyer.ok("POST", "/api/task", quote)
        assert here["price_cents"] == 72
        async with asyncio.timeout(5):
            while await price_there() != 72:  # noqa: ASYNC110 - it comes from afar
                await asyncio.sleep(0.05)


async def test_a_lease_is_honoured_by_every_node(node: Node, dsn: str) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    async with running_node(dsn, background=False) as second:
        away = second.party(worker.id, worker.token)
        parked = asyncio.create_task(away.get("/api/work/next", wait=30))
        task_id = (await post(buyer))["id"]
        claimed = (await parked).json()
        assert claimed["task_id"] == task_id
        waiting = asyncio.create_task(
            second.party(buyer.id, buyer.token).get(f"/api/task/{task_id}", wait=30)
        )
        await worker.ok("POST", "/api/work/heartbeat", lease_of(claimed))
        await complete(worker, claimed)
        assert (await waiting).json()["status"] == "completed"
    await node.prove()
