"""A buyer's word alone counts against nobody: what it complains of is looked at."""

from tests.market.steps import balance, post, status_of
from tests.quality.check_steps import RIGHT, WRONG, checks, do_next, quality, record_of, settle
from tests.running import Json, Node, Party


async def complaint(node: Node, result: str, **fields: Json) -> tuple[Party, Party, str, Json]:
    """A buyer asks the price of a result back; buyer, worker, task, answer."""
    await quality(node, **fields)
    buyer, worker = await node.buyer(), await node.worker()
    task_id = (await post(buyer))["id"]
    await do_next(worker, result)
    answer = await buyer.post(f"/api/task/{task_id}/credit", {"reason": "bad"})
    return buyer, worker, task_id, answer


LIMITED = {"auto_credit_rate": 0, "auto_credit_min_tasks": 0}


async def test_an_automatic_credit_is_looked_at_for_the_record(node: Node) -> None:
    buyer, worker, task_id, answer = await complaint(node, WRONG)
    assert (answer.status_code, answer.json()["status"]) == (200, "credited")
    assert await checks(node) == [("credit", "due", None, None)]
    await settle(node)
    await do_next(await node.worker(), RIGHT)
    await settle(node)
    await do_next(await node.worker(), RIGHT)
    await settle(node)

    assert await checks(node) == [("credit", "decided", "bad", "good")]
    assert await record_of(node, worker) == (0, 1, 0)
    assert await status_of(buyer, task_id) == "credited"
    assert await balance(buyer) == 10_000, "it is given back once"
    await node.prove()


async def test_past_the_limit_arbitration_decides(node: Node) -> None:
    for result, status, verdict in ((RIGHT, "completed", "good"), (WRONG, "credited", "bad")):
        buyer, worker, task_id, answer = await complaint(node, result, **LIMITED)
        assert (answer.status_code, answer.json()["status"]) == (202, "credit_review")
        await settle(node)
        await do_next(await node.worker(), RIGHT)
        await settle(node)
        if result == WRONG:
            await do_next(await node.worker(), RIGHT)
            await settle(node)

        assert (await checks(node))[-1] == ("credit", "decided", verdict, "good")
        assert await status_of(buyer, task_id) == status
        assert await balance(buyer) == 10_000 - (12 if status == "completed" else 0)
        assert (await node.operator().ok("GET", "/api/admin/credits"))["credits"] == []
        again = await buyer.post(f"/api/task/{task_id}/credit", {})
        assert again.status_code == 409
        assert (await record_of(node, worker))[1] == (result == WRONG)
    await node.prove()


async def test_what_was_found_before_counts(node: Node) -> None:
    await quality(node, spot_check_rate=1, **LIMITED)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    task_id = (await post(buyer))["id"]
    await do_next(first, RIGHT)
    await settle(node)
    await do_next(second, RIGHT)
    await settle(node)

    answer = await buyer.post(f"/api/task/{task_id}/credit", {})

    assert answer.json()["status"] == "credit_review"
    assert await status_of(buyer, task_id) == "completed"
    assert len(await checks(node)) == 1
    await node.prove()


async def test_without_budget_or_word_an_operator_decides(node: Node) -> None:
    buyer, _, task_id, answer = await complaint(node, WRONG, budget_floor_cents=0, **LIMITED)
    assert answer.json()["status"] == "credit_review"
    assert await checks(node) == []
    operator = node.operator()
    assert len((await operator.ok("GET", "/api/admin/credits"))["credits"]) == 1
    await operator.ok("POST", f"/api/admin/credits/{task_id}/approve")
    assert await status_of(buyer, task_id) == "credited"
    await node.prove()
