"""A result is done again, compared, and judged by two of three."""

from tests.market.steps import balance, lapse_leases, post, recover, status_of
from tests.quality.check_steps import (
    OTHER,
    RIGHT,
    WRONG,
    checks,
    dispute,
    do_next,
    quality,
    record_of,
    rows,
    settle,
)
from tests.running import Node


async def test_two_that_agree_are_both_good(node: Node) -> None:
    await quality(node, spot_check_rate=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    posted = await post(buyer)

    await do_next(first, RIGHT)
    assert await checks(node) == [("spot", "due", None, None)]
    await settle(node)
    receipt = await do_next(second, RIGHT.upper())
    await settle(node)

    assert await checks(node) == [("spot", "decided", "good", "good")]
    assert receipt["earned_cents"] == 9
    assert [await record_of(node, w) for w in (first, second)] == [(1, 0, 1)] * 2
    assert await status_of(buyer, posted["id"]) == "completed"
    assert await balance(buyer) == 10_000 - posted["price_cents"]
    # The arbiter's reserve has returned, the copy is paid.
    assert await rows(node, "SELECT reserved_cents, spent_cents FROM checks") == [(0, 12)]
    await node.prove()


async def test_a_bad_original_is_credited_by_itself(node: Node) -> None:
    disputed = await dispute(node, WRONG, RIGHT)
    assert await checks(node) == [("spot", "arbitrating", None, None)]
    assert [await record_of(node, w) for w in (disputed.first, disputed.second)] == [(0, 0, 0)] * 2

    await do_next(disputed.third, RIGHT)
    await settle(node)

    assert await checks(node) == [("spot", "decided", "bad", "good")]
    task = await disputed.buyer.ok("GET", f"/api/task/{disputed.task_id}")
    assert (task["status"], task["credited_cents"]) == ("credited", 12)
    assert await balance(disputed.buyer) == 10_000
    assert await record_of(node, disputed.first) == (0, 1, 0)
    assert await record_of(node, disputed.second) == (1, 0, 1)
    assert await record_of(node, disputed.third) == (0, 0, 0)
    me = await disputed.first.ok("GET", "/api/worker/me")
    assert (me["stats"]["credited"], me["balance"]["lifetime_cents"]) == (1, 0)
    await node.prove()


async def test_a_bad_copy_is_clawed_back_and_the_buyer_hears_nothing(node: Node) -> None:
    disputed = await dispute(node, RIGHT, WRONG)

    await do_next(disputed.third, RIGHT)
    await settle(node)

    assert await checks(node) == [("spot", "decided", "good", "bad")]
    assert await status_of(disputed.buyer, disputed.task_id) == "completed"
    assert await balance(disputed.buyer) == 10_000 - 12
    me = await disputed.second.ok("GET", "/api/worker/me")
    assert (me["stats"]["credited"], me["balance"]["lifetime_cents"]) == (1, 0)
    kinds = await rows(
        node,
        "SELECT kind, count(*) FROM transfers WHERE kind LIKE 'check%%' GROUP BY 1 ORDER BY 1",
    )
    assert kinds == [("check_charge", 2), ("check_clawback", 1)]
    await node.prove()


async def test_three_that_differ_blame_nobody(node: Node) -> None:
    disputed = await dispute(node, RIGHT, WRONG)

    await do_next(disputed.third, OTHER)
    await settle(node)

    assert await checks(node) == [("spot", "decided", "inconclusive", "inconclusive")]
    for worker in (disputed.first, disputed.second, disputed.third):
        assert await record_of(node, worker) == (0, 0, 0)
    assert await status_of(disputed.buyer, disputed.task_id) == "completed"
    await node.prove()


async def test_a_lost_copy_blames_nobody_and_gives_its_price_back(node: Node) -> None:
    await quality(node, spot_check_rate=1)
    await node.configure("dispatch", max_attempts=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    await post(buyer)
    await do_next(first, RIGHT)
    await settle(node)
    await second.ok("GET", "/api/work/next")
    await lapse_leases(node)
    await recover(node)

    assert await checks(node) == [("spot", "void", None, None)]
    assert await rows(node, "SELECT reserved_cents, spent_cents, reason FROM checks") == [
        (0, 0, "a task failed")
    ]
    assert await balance(buyer) == 10_000 - 12
    await node.prove()
