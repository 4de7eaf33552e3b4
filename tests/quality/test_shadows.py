"""A task is queued twice as it is posted, and the buyer sees one."""

import asyncio
from typing import Any

import pytest

from openclaw_jobs.dispatch.store import claims
from openclaw_jobs.market.queue_checks import queue_checks
from tests.market.steps import (
    balance,
    claim,
    complete,
    fail,
    lapse_leases,
    lease_of,
    post,
    recover,
    sql,
    status_of,
)
from tests.quality.check_steps import (
    RIGHT,
    checks,
    do_next,
    quality,
    record_of,
    rows,
    settle,
)
from tests.running import Node


async def test_the_buyer_gets_its_own_and_the_copy_is_the_platforms(node: Node) -> None:
    await quality(node, shadow_rate=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    posted = await post(buyer)
    claimed = await claim(first)
    assert await queue_checks(node.market) == 1

    copied = await claim(second)
    assert claimed["task_id"] == posted["id"]
    assert copied["task_id"] > posted["id"], "it is as new as a task posted now"
    assert set(copied) == set(claimed)
    # The copy comes first: then the check waits for the original.
    await complete(second, copied, RIGHT)
    await settle(node)
    assert await checks(node) == [("shadow", "copying", None, None)]
    await complete(first, claimed, RIGHT)
    await settle(node)

    assert await checks(node) == [("shadow", "decided", "good", "good")]
    assert [await record_of(node, w) for w in (first, second)] == [(1, 0, 1)] * 2
    listed = await buyer.ok("GET", "/api/tasks")
    assert [task["id"] for task in listed["tasks"]] == [posted["id"]]
    assert (await buyer.get(f"/api/task/{copied['task_id']}")).status_code == 404
    assert await balance(buyer) == 10_000 - posted["price_cents"]
    for call in ("cancel", "credit", "rating"):
        body = {"rating": "up"} if call == "rating" else None
        answer = await buyer.post(f"/api/task/{copied['task_id']}/{call}", body)
        assert answer.status_code == 404
    others = "SELECT count(*) FROM events WHERE task_id <> %s AND buyer_id = %s"
    assert await rows(node, others, posted["id"], buyer.id) == [(0,)]
    await node.prove()


async def test_no_worker_has_both(node: Node) -> None:
    await quality(node, shadow_rate=1)
    buyer, alone = await node.buyer(), await node.worker()
    posted = await post(buyer)
    assert await queue_checks(node.market) == 0, "a copy takes nobody from its original"

    both = await alone.ok("GET", "/api/work/next?max=10")
    await sql(node, "UPDATE checks SET due_at = now() RETURNING id")
    assert await queue_checks(node.market) == 1
    more = await alone.ok("GET", "/api/work/next?max=10")

    assert [task["task_id"] for task in both["tasks"]] == [posted["id"]]
    assert more["tasks"] == []


async def test_a_check_ends_with_its_original(node: Node) -> None:
    await quality(node, shadow_rate=1)
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    cancelled = (await post(buyer))["id"]
    await buyer.ok("POST", f"/api/task/{cancelled}/cancel")
    await queue_checks(node.market)
    assert await rows(node, "SELECT stage, reason, reserved_cents FROM checks") == [
        ("void", "a task cancelled", 0)
    ]
    # Its copy is in the queue by now.
    second = (await post(buyer))["id"]
    lease = await claim(worker)
    await queue_checks(node.market)
    fields = {"task_id": second, "lease_token": lease["lease_token"]}
    await worker.ok("POST", "/api/work/release", fields, 204)
    await buyer.ok("POST", f"/api/task/{second}/cancel")
    await recover(node)

    assert (await other.get("/api/work/next")).status_code == 204
    found = await rows(node, "SELECT stage, spent_cents, reserved_cents FROM checks ORDER BY id")
    assert found == [("void", 0, 0)] * 2
    assert await balance(buyer) == 10_000
    await node.prove()


async def test_a_copy_that_is_under_way_as_its_check_ends_is_paid(node: Node) -> None:
    await quality(node, shadow_rate=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    await node.configure("dispatch", max_attempts=1)
    await post(buyer)
    original = await claim(first)
    await queue_checks(node.market)
    copied = await claim(second)
    await fail(first, original)

    receipt = await complete(second, copied, RIGHT)
    await settle(node)

    assert receipt["earned_cents"] == copied["earning_cents"]
    assert await rows(node, "SELECT stage, reason, spent_cents FROM checks") == [
        ("void", "a task failed", 12)
    ]
    assert await record_of(node, second) == (0, 0, 0)
    assert await balance(buyer) == 10_000
    await node.prove()


async def test_three_workers_at_the_most_are_shown_a_text(node: Node) -> None:
    await quality(node, spot_check_rate=1)
    buyer, workers = await node.buyer(), [await node.worker() for _ in range(4)]
    await post(buyer)
    await do_next(workers[0], RIGHT)
    await quality(node)
    await settle(node)
    released, lost = await claim(workers[1]), None
    await workers[1].ok("POST", "/api/work/release", lease_of(released), 204)
    lost = await claim(workers[2])
    assert lost["task_id"] == released["task_id"]
    await lapse_leases(node)
    await recover(node)

    # It waits for a while, as a paid task would that the last of them gave up, but for nobody.
    assert (await workers[3].get("/api/work/next")).status_code == 204
    assert await rows(node, "SELECT stage FROM checks") == [("copying",)]
    await rows(node, "UPDATE tasks SET expires_at = expires_at - interval '300 seconds'")
    await recover(node)
    assert await rows(node, "SELECT stage, reason FROM checks") == [("void", "a task expired")]
    await node.prove()


async def test_readers_are_counted_again_as_a_copy_is_handed_out(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another of its tasks may be handed out between the look at the queue and the claim."""
    await quality(node, spot_check_rate=1)
    buyer, workers = await node.buyer(), [await node.worker() for _ in range(4)]
    posted = await post(buyer)
    await do_next(workers[0], RIGHT)
    await quality(node)
    await settle(node)
    write_claims = claims.write_claims

    async def late(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
        for other in workers[1:3]:
            await rows(
                node,
                "INSERT INTO lineage_readers (lineage, worker_id) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING",
                posted["id"],
                other.id,
            )
        return await write_claims(*given, **named)

    monkeypatch.setattr(claims, "write_claims", late)
    assert (await workers[3].get("/api/work/next")).status_code == 204
    assert await rows(node, "SELECT count(*) FROM lineage_readers") == [(3,)]
    assert await rows(node, "SELECT stage FROM checks") == [("copying",)]
    # What is paid for has no such limit.
    await post(buyer)
    await claim(workers[3])
    await node.prove()


async def test_what_is_late_comes_in_no_burst(node: Node) -> None:
    await quality(node, spot_check_rate=1, check_delay_seconds=600)
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(5):
        await post(buyer)
        await do_next(worker, RIGHT)
    # As if nobody had looked for a while.
    await rows(node, "UPDATE checks SET due_at = now() - interval '61 seconds'")

    assert await queue_checks(node.market) == 0
    waits = [
        float(str(row[0]))
        for row in await rows(node, "SELECT extract(epoch FROM due_at - now())::float8 FROM checks")
    ]
    assert all(-1 < wait < 600 for wait in waits)
    assert len(set(waits)) == 5


async def test_buyers_stand_behind_no_hidden_task(node: Node) -> None:
    await quality(node, spot_check_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await do_next(worker, RIGHT)
    await queue_checks(node.market)
    second = await post(buyer)
    task = await buyer.ok("GET", f"/api/task/{second['id']}")
    assert task["queue"]["position"] == 1


async def test_an_expired_lease_ends_the_streak(node: Node) -> None:
    await quality(node, spot_check_rate=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    await post(buyer)
    await do_next(first, RIGHT)
    await settle(node)
    await do_next(second, RIGHT)
    await settle(node)
    await quality(node)
    assert await record_of(node, first) == (1, 0, 1)
    await post(buyer)
    await claim(first)
    await lapse_leases(node)
    await recover(node)

    assert await record_of(node, first) == (1, 0, 0)
    assert await record_of(node, second) == (1, 0, 1)


async def test_original_and_copy_in_one_batch(node: Node) -> None:
    await quality(node, shadow_rate=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    task_id = (await post(buyer))["id"]
    original = await claim(first)
    await queue_checks(node.market)
    copied = await claim(second)
    # Submissions that arrive together share a transaction.
    await asyncio.gather(complete(first, original, RIGHT), complete(second, copied, RIGHT))
    await settle(node)
    assert await checks(node) == [("shadow", "decided", "good", "good")]
    assert await status_of(buyer, task_id) == "completed"
    await node.prove()
