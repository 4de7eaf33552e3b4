"""What is done twice at once counts once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from openclaw_jobs.db import Connection
from openclaw_jobs.market.judge_checks import judge_checks
from openclaw_jobs.market.queue_checks import queue_checks
from openclaw_jobs.quality import store_standing
from openclaw_jobs.quality.checks import Finding, Texts
from openclaw_jobs.quality.judging import Compare, judge
from openclaw_jobs.workers import store as workers
from tests.market.steps import claim, complete, completion, lapse_leases, post, recover
from tests.quality.check_steps import (
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
from tests.running import Node, running_node


async def test_a_submission_twice_at_once_draws_one_check(node: Node, dsn: str) -> None:
    await quality(node, spot_check_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    async with running_node(dsn, background=False) as other:
        there = other.party(worker.id, worker.token)
        for _ in range(5):
            await post(buyer)
            claimed = await claim(worker)
            body = completion(claimed, RIGHT)
            await asyncio.gather(
                *(party.ok("POST", "/api/work/submit", body) for party in (worker, there) * 3)
            )
    assert await rows(node, "SELECT count(*), count(DISTINCT original_task_id) FROM checks") == [
        (5, 5)
    ]
    await node.prove()


async def test_two_processes_judge_one_verdict(node: Node, dsn: str) -> None:
    async with running_node(dsn, background=False) as other:
        for bad_first in (True, False):
            results = (WRONG, RIGHT) if bad_first else (RIGHT, WRONG)
            disputed = await dispute(node, *results)
            await do_next(disputed.third, RIGHT)
            moved = await asyncio.gather(
                *(judge_checks(where.market) for where in (node, other) * 3)
            )
            assert sum(moved) == 1
            records = [await record_of(node, w) for w in (disputed.first, disputed.second)]
            assert sorted(records) == [(0, 1, 0), (1, 0, 1)]
    kinds = await rows(
        node,
        "SELECT kind, count(*) FROM transfers WHERE kind IN ('credit', 'check_clawback')"
        " GROUP BY 1 ORDER BY 1",
    )
    assert kinds == [("check_clawback", 1), ("credit", 1)]
    await node.prove()


async def test_two_processes_queue_one_copy(node: Node, dsn: str) -> None:
    await quality(node, spot_check_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(10):
        await post(buyer)
        await do_next(worker, RIGHT)
    async with running_node(dsn, background=False) as other:
        queued = await asyncio.gather(*(queue_checks(where.market) for where in (node, other) * 3))
    assert sum(queued) == 10
    assert await rows(node, "SELECT count(*) FROM tasks WHERE buyer_id IS NULL") == [(10,)]
    await node.prove()


async def test_a_credit_and_a_verdict_at_once_give_the_money_back_once(node: Node) -> None:
    for _ in range(4):
        disputed = await dispute(node, WRONG, RIGHT)
        await do_next(disputed.third, RIGHT)
        await asyncio.gather(
            disputed.buyer.post(f"/api/task/{disputed.task_id}/credit", {}),
            judge_checks(node.market),
        )
        await settle(node)
        found = await rows(
            node, "SELECT count(*) FROM transfers WHERE key = %s", f"credit:{disputed.task_id}"
        )
        assert found == [(1,)]
        assert await record_of(node, disputed.first) == (0, 1, 0)
        await node.prove()


async def test_an_arbiter_that_is_lost_blames_nobody(node: Node) -> None:
    disputed = await dispute(node)
    await claim(disputed.third)
    await lapse_leases(node)
    await recover(node)
    # Three were shown the text: the arbiter is for nobody any more, and ends at a random time.
    assert (await (await node.worker()).get("/api/work/next")).status_code == 204
    await rows(node, "UPDATE tasks SET expires_at = expires_at - interval '300 seconds'")
    await recover(node)

    assert await checks(node) == [("spot", "void", None, None)]
    assert await rows(node, "SELECT spent_cents, reserved_cents FROM checks") == [(12, 0)]
    for worker in (disputed.first, disputed.second, disputed.third):
        assert (await record_of(node, worker))[1] == 0
    await node.prove()


async def test_what_nobody_takes_expires(node: Node) -> None:
    disputed = await dispute(node)
    await rows(node, "UPDATE tasks SET expires_at = now() WHERE status = 'queued'")
    await recover(node)

    assert await rows(node, "SELECT stage, reason FROM checks") == [("void", "a task expired")]
    assert (await disputed.third.get("/api/work/next")).status_code == 204
    await node.prove()


async def test_kin_that_are_found_out_late_void_the_check(node: Node) -> None:
    disputed = await dispute(node)
    await rows(
        node,
        "INSERT INTO worker_marks (worker_id, kind, mark) SELECT w, 'payout', sha256('x')"
        " FROM unnest(%s::text[]) AS w",
        [disputed.first.id, disputed.second.id],
    )
    await do_next(disputed.third, RIGHT)
    await settle(node)

    assert await rows(node, "SELECT stage, reason FROM checks") == [
        ("void", "two of its workers may be one person")
    ]
    assert await record_of(node, disputed.first) == (0, 0, 0)
    await node.prove()


async def test_switched_off_there_are_none(node: Node) -> None:
    await quality(node, enabled=False, spot_check_rate=1, shadow_rate=1, benchmark_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await do_next(worker, RIGHT)
    assert await checks(node) == []
    # What was drawn before becomes no task either.
    await quality(node, spot_check_rate=1)
    await post(buyer)
    await do_next(worker, RIGHT)
    await quality(node, enabled=False)
    await settle(node)

    assert await rows(node, "SELECT stage, reason FROM checks") == [
        ("void", "checks were switched off")
    ]
    assert await rows(node, "SELECT count(*) FROM tasks WHERE buyer_id IS NULL") == [(0,)]
    await node.prove()


async def test_one_that_cannot_be_judged_stands_in_nobodys_way(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quality(node, spot_check_rate=1)
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    for _ in range(2):
        await post(buyer)
        await do_next(first, RIGHT)
    await quality(node)
    await queue_checks(node.market)
    for _ in range(2):
        await do_next(second, RIGHT)
    first_id = (await rows(node, "SELECT min(id) FROM checks"))[0][0]

    def failing(texts: Texts, compare: Compare) -> Finding | None:
        if texts.check_id == first_id:
            raise ValueError("a fault of the engine")
        return judge(texts, compare)

    monkeypatch.setattr("openclaw_jobs.market.judge_checks.judge", failing)
    await judge_checks(node.market)

    assert await rows(node, "SELECT stage, reason FROM checks ORDER BY id") == [
        ("void", "it could not be judged"),
        ("decided", "they agree"),
    ]
    await node.prove()


async def _strike(conn: Connection, worker_id: str) -> object:
    return await workers.add_strikes(conn, [(worker_id, 1)], 9, datetime(2099, 1, 1, tzinfo=UTC))


async def _review(conn: Connection, worker_id: str) -> object:
    await conn.execute("UPDATE workers SET tier_review_at = now() WHERE id = %s", (worker_id,))
    return await store_standing.lock_due_reviews(conn, 9)


async def _look(conn: Connection, worker_id: str) -> object:
    return await workers.select_profile(conn, worker_id, for_update=True)


@pytest.mark.parametrize("hold", [_strike, _review, _look])
async def test_a_worker_whose_row_is_changed_can_be_given_a_task(
    node: Node, hold: Callable[[Connection, str], Awaitable[object]]
) -> None:
    """That it was shown the text points at its row, and waits for nobody who leaves its id be."""
    await quality(node, shadow_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    async with node.market.db.transaction() as conn:
        await hold(conn, worker.id)
        async with asyncio.timeout(5):
            claimed = await claim(worker)
    await complete(worker, claimed)
    assert await rows(node, "SELECT worker_id FROM lineage_readers") == [(worker.id,)]
    await node.prove()
