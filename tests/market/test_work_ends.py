"""How a claim ends without a result, and what keeps it alive: failures, heartbeats, releases."""

import asyncio

from tests.market.steps import (
    balance,
    claim,
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
from tests.running import Json, Node


async def lapse_one(node: Node, claimed: Json) -> None:
    async with node.market.db.transaction() as conn:
        await conn.execute(
            "UPDATE leases SET expires_at = now() WHERE task_id = %s", (claimed["task_id"],)
        )


async def test_a_failure_may_say_much(node: Node) -> None:
    worker = await node.worker()
    await post(await node.buyer())
    failure = {**lease_of(await claim(worker)), "status": "failed"}
    much = "\u00e9" * 65_536
    refused(
        await worker.post("/api/work/submit", {**failure, "error": much + "x"}),
        422,
        "validation_failed",
    )
    answer = await worker.ok("POST", "/api/work/submit", {**failure, "error": much})
    assert answer["accepted"] is True
    assert await sql(node, "SELECT error FROM attempts") == [(much,)]


async def test_failures_pay_nothing_and_end_with_a_refund(node: Node) -> None:
    buyer, workers = await node.buyer(100), [await node.worker() for _ in range(3)]
    task_id = (await post(buyer))["id"]

    for attempt, worker in enumerate(workers, start=1):
        claimed = await claim(worker)
        assert claimed["attempt"] == attempt
        assert (await fail(worker, claimed))["earned_cents"] == 0
        assert (await worker.get("/api/work/next")).status_code == 204, "never offered again"
        assert (await fail(worker, claimed))["duplicate"] is True

    ended = await buyer.ok("GET", f"/api/task/{task_id}")
    assert (ended["status"], ended["result"]) == ("failed", None)
    assert ended["completed_at"] is not None
    assert await balance(buyer) == 100
    me = await workers[0].ok("GET", "/api/worker/me")
    assert (me["stats"]["failed"], me["strikes"]) == (1, 0)
    assert me["balance"]["lifetime_cents"] == 0
    await node.prove()


async def test_a_task_is_never_offered_again_to_who_gave_it_up(node: Node) -> None:
    buyer = await node.buyer()
    releaser, failer, loser = [await node.worker() for _ in range(3)]
    await node.configure("dispatch", max_attempts=10)
    task_id = (await post(buyer))["id"]

    await releaser.ok("POST", "/api/work/release", lease_of(await claim(releaser)), 204)
    await fail(failer, await claim(failer))
    await claim(loser)
    await lapse_leases(node)
    await recover(node)

    for worker in (releaser, failer, loser):
        empty = await worker.ok("GET", "/api/work/next?max=10")
        assert empty["tasks"] == []
        assert empty["why"] == {"tried by you before": 1}
    assert (await claim(await node.worker()))["task_id"] == task_id
    await node.prove()


async def test_a_heartbeat_extends_and_its_progress_is_shown(node: Node) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    task_id = (await post(buyer))["id"]
    claimed = await claim(worker)
    beat = lease_of(claimed)

    extended = await worker.ok("POST", "/api/work/heartbeat", {**beat, "progress": "1 of 2"})
    silent = await worker.ok("POST", "/api/work/heartbeat", beat)

    assert set(extended) == {"lease_expires_at"}
    first, second, third = (x["lease_expires_at"] for x in (claimed, extended, silent))
    assert first < second < third
    assert (await buyer.ok("GET", f"/api/task/{task_id}"))["progress"] == "1 of 2"
    refused(await other.post("/api/work/heartbeat", beat), 404, "not_found")
    stolen = {**beat, "lease_token": "lease_guess"}
    refused(await worker.post("/api/work/heartbeat", stolen), 409, "lease_lost")
    await lapse_leases(node)
    refused(await worker.post("/api/work/heartbeat", beat), 409, "lease_lost")
    refused(await worker.post("/api/work/submit", completion(claimed)), 409, "lease_lost")
    for body in ({}, {**beat, "progress": 5}, {**beat, "pct": 1}, {**beat, "progress": "\x00"}):
        refused(await worker.post("/api/work/heartbeat", body), 422, "validation_failed")
    await node.prove()


async def test_a_release_is_no_strike(node: Node) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    await node.configure("dispatch", strikes=1, max_attempts=2)
    task_id = (await post(buyer))["id"]
    claimed = await claim(worker)
    lease = lease_of(claimed)
    refused(await other.post("/api/work/release", lease), 404, "not_found")
    refused(
        await worker.post("/api/work/release", {**lease, "lease_token": "x"}), 409, "lease_lost"
    )

    released = await worker.post("/api/work/release", {**lease, "reason": "too hard"})

    assert (released.status_code, released.content) == (204, b"")
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["strikes"], me["status"], me["stats"]["completion_rate"]) == (0, "active", 1)
    assert await status_of(buyer, task_id) == "queued"
    refused(await worker.post("/api/work/release", lease), 409, "lease_lost")
    again = await claim(other)
    assert again["attempt"] == 2
    await fail(other, again)
    assert await status_of(buyer, task_id) == "queued", "only the failure counts against it"
    await node.prove()


async def test_a_submission_and_the_lease_s_end_at_once(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await node.configure("dispatch", strikes=100)
    for _ in range(8):
        await post(buyer)
        claimed = await claim(worker)
        await lapse_one(node, claimed)
        submitted, beat, _ = await asyncio.gather(
            worker.post("/api/work/submit", completion(claimed)),
            worker.post("/api/work/heartbeat", lease_of(claimed)),
            recover(node),
        )
        refused(submitted, 409, "lease_lost")
        refused(beat, 409, "lease_lost")
    await node.prove()
