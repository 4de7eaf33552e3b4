"""What anybody may see costs the same however many look."""

import asyncio
from contextlib import ExitStack

from openclaw_jobs.market.public_activity import PublicActivity
from tests.running import Node, Party


async def _do_one(buyer: Party, worker: Party, category: str) -> str:
    made = await buyer.ok("POST", "/api/task", {"prompt": "x", "category": category}, 201)
    work = await worker.ok("GET", "/api/work/next?wait=5")
    done = {"task_id": made["id"], "lease_token": work["lease_token"], "status": "completed"}
    await worker.ok("POST", "/api/work/submit", done | {"result": "y"})
    return str(made["id"])


async def test_followers_share_one_look(node: Node) -> None:
    activity = PublicActivity(node.market)
    looks = 0
    look = activity._look

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await look()

    activity._look = counted  # type: ignore[method-assign]
    buyer, worker = await node.buyer(), await node.worker()
    with ExitStack() as followers:
        waits = [followers.enter_context(activity.follow()).wait(20) for _ in range(50)]
        following = asyncio.gather(*waits)
        await _do_one(buyer, worker, "coding")
        await following
        assert [task.category for task in activity.done_after(0)] == ["coding"]
        assert looks <= 5
        assert activity._poller is not None
    assert activity._poller is None


async def test_each_task_is_told_once_and_in_order(node: Node) -> None:
    activity = PublicActivity(node.market)
    buyer, worker = await node.buyer(), await node.worker()
    categories = ["coding", "my own words", "data"]
    for category in categories:
        await _do_one(buyer, worker, category)
        activity._looked_until = 0.0
        await activity.done()
    told = activity.done_after(0)
    assert [task.category for task in told] == ["coding", None, "data"]
    assert sorted({task.seq for task in told}) == [task.seq for task in told]
    assert activity.done_after(told[1].seq) == told[2:]
    figures = await activity.figures()
    assert (figures.tasks_done, figures.kept_share) == (3, None)
    assert figures.median_wait_s is not None
    assert figures.earned_cents > 0
    # Another process has seen the same, under the same numbers.
    assert [t.seq for t in await PublicActivity(node.market).done()] == [t.seq for t in told[::-1]]
