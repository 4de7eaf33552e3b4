"""What checks may cost, over several processes."""

import asyncio
import contextlib

from openclaw_jobs.market.grant_checks import grant_anew
from openclaw_jobs.quality.budget import CheckBudget, Grant, Volume
from tests.market.steps import claim_many, completion, post
from tests.quality.check_steps import RIGHT, checks, do_next, quality, rows, settle
from tests.running import Node, running_node


def granted(cents: int) -> CheckBudget:
    budget = CheckBudget()
    budget.begin_asking(0.0)
    budget.granted(Grant(cents, 0, 0, cents), 1)
    return budget


def test_it_is_spent_once() -> None:
    budget = granted(50)
    assert [budget.take(24) for _ in range(3)] == [True, True, False]
    budget.ended(24, committed=True)
    budget.ended(24, committed=False)
    assert budget.left_cents == 26
    assert budget.begin_asking(1.0) == Volume(refused=1)


def test_what_is_under_way_as_it_is_granted_is_not_granted_again() -> None:
    budget = granted(100)
    assert budget.take(10)
    budget.begin_asking(0.0)
    # Taken while the question is under way: the database may know of neither.
    assert budget.take(20)
    budget.ended(20, committed=True)
    budget.granted(Grant(100, 0, 0, 100), 1)
    assert budget.left_cents == 70
    budget.ended(10, committed=False)
    assert budget.left_cents == 80


def test_when_it_asks() -> None:
    budget = CheckBudget()
    assert budget.must_ask(1, 0.0), "at first"
    budget.begin_asking(0.0)
    budget.granted(Grant(10, 0, 0, 10), 1)
    assert not budget.must_ask(1, 0.5)
    assert budget.must_ask(2, 0.5), "after a change of the configuration"
    assert not budget.take(11)
    assert not budget.must_ask(1, 0.9), "at most once a second"
    assert budget.must_ask(1, 1.1), "when it was short"
    volume = budget.begin_asking(1.1)
    budget.count(paid_cents=5, paid_claims=1)
    budget.failed_asking(volume)
    assert budget.begin_asking(1.2) == Volume(5, 1, 1), "nothing seen is lost"


async def cost(node: Node) -> int:
    ((cents,),) = await rows(
        node, "SELECT coalesce(sum(spent_cents + reserved_cents), 0)::bigint FROM checks"
    )
    assert isinstance(cents, int)
    return cents


async def refused_checks(node: Node) -> int:
    await grant_anew(node.market)
    stats = await node.operator().ok("GET", "/api/admin/stats")
    found: int = stats["checks"]["refused_24h"]
    return found


async def test_without_a_budget_there_are_none(node: Node) -> None:
    await quality(node, budget_floor_cents=0, spot_check_rate=1, shadow_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await do_next(worker, RIGHT)
    assert await checks(node) == []
    assert await refused_checks(node) == 2


async def test_a_share_of_what_was_paid(node: Node) -> None:
    await quality(node, budget_floor_cents=0, daily_budget_percent=100, spot_check_rate=1)
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(8):
        await post(buyer)
        await do_next(worker, RIGHT)
        # What this process has paid counts from the next grant on.
        await grant_anew(node.market)
    # 12 cents each; a check of 24 fits whenever as much was paid and nothing else reserved it.
    assert 48 <= await cost(node) <= 96
    assert len(await checks(node)) >= 2
    assert await refused_checks(node) > 0


async def test_three_processes_spend_one_budget(node: Node, dsn: str) -> None:
    floor = 240
    async with contextlib.AsyncExitStack() as stack:
        others = [
            await stack.enter_async_context(running_node(dsn, background=False)) for _ in range(2)
        ]
        nodes = [node, *others]
        await quality(node, budget_floor_cents=floor, spot_check_rate=1)
        for each in others:
            assert await each.market.configuration.refresh()
        buyer, worker = await node.buyer(), await node.worker(max_concurrent=200)
        await asyncio.gather(*(post(buyer) for _ in range(60)))
        claims = await claim_many(worker)
        assert len(claims) == 60
        there = [each.party(worker.id, worker.token) for each in nodes]

        async def hand_in(number: int) -> None:
            party = there[number % len(there)]
            await party.ok("POST", "/api/work/submit", completion(claims[number], RIGHT))

        await asyncio.gather(*(hand_in(number) for number in range(60)))
        # Who is short asks again: what is left is found by somebody.
        for each in nodes:
            await grant_anew(each.market)
        left = sum(each.market.checks.left_cents for each in nodes)
        spent = await cost(node)
        assert 0 < spent <= floor
        assert spent + left <= floor
    # Who stops gives back what it held.
    assert await rows(node, "SELECT count(*) FROM check_allotments") == [(1,)]
    await grant_anew(node.market)
    assert node.market.checks.left_cents == floor - spent
    await settle(node)
    await node.prove()


async def test_a_change_is_felt_at_once(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    for floor, count in ((0, 0), (100, 1), (0, 1), (100, 2)):
        await quality(node, budget_floor_cents=floor, spot_check_rate=1)
        await post(buyer)
        await do_next(worker, RIGHT)
        assert len(await checks(node)) == count
