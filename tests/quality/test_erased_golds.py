"""Gold tasks of buyers who take their texts back: nobody is judged by what is left of them."""

import asyncio

import pytest

from openclaw_jobs.market import store_people, store_retention
from openclaw_jobs.market.account import delete_account, erase_deleted, set_shares_texts
from tests.market.steps import claim, complete, completion, fail, post
from tests.quality.check_steps import (
    OTHER,
    RIGHT,
    WRONG,
    Disputed,
    checks,
    dispute,
    do_next,
    quality,
    record_of,
    rows,
    settle,
)
from tests.running import Node


async def withdraw_consent(node: Node, buyer_id: str) -> None:
    [(user_id,)] = await rows(node, "SELECT user_id FROM buyers WHERE id = %s", buyer_id)
    await set_shares_texts(node.market, str(user_id), buyer_id, shares=False)


async def delete(node: Node, buyer_id: str) -> None:
    [(user_id, email)] = await rows(
        node, "SELECT u.id, u.email FROM users u JOIN buyers b ON b.user_id = u.id"
        " WHERE b.id = %s", buyer_id)  # fmt: skip
    await delete_account(node.market, str(user_id), buyer_id, str(email))


ENDS = [withdraw_consent, delete]


async def minted(node: Node) -> Disputed:
    """A task that was arbitrated and became a gold task."""
    disputed = await dispute(node)
    await rows(node, "UPDATE buyers SET shares_texts = true WHERE id = %s", disputed.buyer.id)
    await do_next(disputed.third, RIGHT.lower())
    await settle(node)
    await quality(node, benchmark_rate=1)
    return disputed


async def inject(node: Node) -> None:
    done = await node.operator().ok("POST", "/api/cron/benchmark-inject")
    assert done == {"injected": 1, "refused": 0}


@pytest.mark.parametrize("end", ENDS)
async def test_nobody_is_blamed_for_the_answer_to_an_erased_text(node: Node, end: object) -> None:
    assert callable(end)
    disputed = await minted(node)
    worker, late = await node.worker(), await node.worker()
    await inject(node)
    await quality(node, benchmark_rate=1, check_delay_seconds=600)
    await do_next(worker, RIGHT)
    await quality(node, benchmark_rate=1)
    await inject(node)
    claimed = await claim(late)
    assert [stage for _, stage, *_ in await checks(node)][1:] == ["comparing", "copying"]

    await end(node, disputed.buyer.id)
    await complete(late, claimed, RIGHT)
    await rows(node, "UPDATE checks SET due_at = now()")
    await settle(node)

    assert (await checks(node))[1:] == [("gold", "void", None, None)] * 2
    assert await rows(
        node, "SELECT reason, reserved_cents FROM checks WHERE kind = 'gold'"
    ) == [("a text was erased", 0)] * 2  # fmt: skip
    for honest in (worker, late):
        assert await record_of(node, honest) == (0, 0, 0)
        me = await honest.ok("GET", "/api/worker/me")
        assert (me["stats"]["credited"], me["balance"]["lifetime_cents"] > 0) == (0, True)
    await node.prove()


async def test_what_is_left_of_an_erased_text_is_no_answer(node: Node) -> None:
    await minted(node)
    worker = await node.worker()
    await inject(node)
    await rows(
        node, "UPDATE golds SET prompt = '-', answers = '{-}', erased_at = now(),"
        " retired_at = now()")  # fmt: skip
    await do_next(worker, OTHER)
    await settle(node)
    assert (await checks(node))[1:] == [("gold", "void", None, None)]
    assert await record_of(node, worker) == (0, 0, 0)
    await node.prove()


async def nothing_is_left(node: Node) -> bool:
    """Whether no text of anybody is left, and the deletion is noted as complete."""
    [(erased, *left)] = await rows(
        node,
        """
        SELECT (SELECT erased_at IS NOT NULL FROM users WHERE deleted_at IS NOT NULL),
            (SELECT count(*) FROM task_inputs WHERE num_nonnulls(prompt, messages, metadata) > 0),
            (SELECT count(*) FROM task_results),
            (SELECT count(*) FROM attempts WHERE num_nonnulls(error, usage) > 0),
            (SELECT count(*) FROM checks WHERE evidence IS NOT NULL),
            (SELECT count(*) FROM golds WHERE erased_at IS NULL)
        """,
    )
    return bool(erased) and not any(left)


async def test_no_gold_task_is_made_of_a_deleted_buyers_text(node: Node) -> None:
    disputed = await dispute(node)
    await rows(node, "UPDATE buyers SET shares_texts = true WHERE id = %s", disputed.buyer.id)
    await delete(node, disputed.buyer.id)
    # The third was asked before; its answer decides, and nothing is made of it.
    await do_next(disputed.third, RIGHT.lower())
    await settle(node)
    assert [stage for _, stage, *_ in await checks(node)] == ["decided"]
    assert await rows(node, "SELECT id FROM golds") == []
    assert await erase_deleted(node.market) == 1
    assert await nothing_is_left(node)
    await node.prove()


async def test_who_deletes_the_account_has_no_text_left_in_copies_of_gold(node: Node) -> None:
    disputed = await minted(node)
    judged, waiting = await node.worker(), await node.worker()
    await inject(node)
    body = {**completion(await claim(judged), WRONG), "usage": {"model": "large"}}
    await judged.ok("POST", "/api/work/submit", body)
    await settle(node)
    await inject(node)
    claimed = await claim(waiting)
    assert await record_of(node, judged) == (0, 1, 0)

    await delete(node, disputed.buyer.id)
    assert not await nothing_is_left(node), "a worker has it at this moment"
    await fail(waiting, claimed)
    await erase_deleted(node.market)
    assert not await nothing_is_left(node), "it is still in the queue"
    await node.operator().ok("POST", "/api/cron/timeout-recovery")
    await erase_deleted(node.market)
    assert await nothing_is_left(node)
    await node.prove()


async def test_a_copy_that_is_not_queued_yet_never_is(node: Node) -> None:
    await quality(node, spot_check_rate=1, check_delay_seconds=600)
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await do_next(worker, RIGHT)
    assert [stage for _, stage, *_ in await checks(node)] == ["due"]
    await delete(node, buyer.id)
    assert await rows(node, "SELECT stage, reason FROM checks") == [("void", "a text was erased")]
    assert await nothing_is_left(node)
    await node.prove()


async def test_consent_that_is_withdrawn_while_a_verdict_is_reached(node: Node) -> None:
    disputed = await dispute(node)
    buyer = disputed.buyer.id
    await rows(node, "UPDATE buyers SET shares_texts = true WHERE id = %s", buyer)
    await do_next(disputed.third, RIGHT.lower())
    async with node.market.db.transaction() as conn:
        await store_people.update_shares_texts(conn, buyer, shares=False)
        await store_people.retire_golds_of(conn, buyer)
        verdict = asyncio.create_task(settle(node))
        done, _ = await asyncio.wait([verdict], timeout=0.5)
        assert not done, "it waits for the buyer's decision"
    await verdict
    assert [stage for _, stage, *_ in await checks(node)] == ["decided"]
    assert await rows(node, "SELECT id FROM golds") == []
    await node.prove()


async def test_no_copy_is_made_of_a_text_that_is_being_erased(node: Node) -> None:
    await quality(node, spot_check_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    posted = await post(buyer)
    await do_next(worker, RIGHT)
    async with node.market.db.transaction() as conn:
        await store_retention.erase_texts(conn, [posted["id"]])
        await settle(node)
    assert await rows(node, "SELECT reason FROM checks") == [("there is nothing to do again",)]
    assert await rows(node, "SELECT FROM task_inputs WHERE erased_at IS NULL") == []
    await node.prove()
