"""Matching on a real database: order, tiers, fairness, limits, and a head that nobody may have."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from openclaw_jobs.dispatch import Claim, ClaimRequest
from openclaw_jobs.dispatch.models import ClaimResult
from openclaw_jobs.kit.clock import ManualClock
from openclaw_jobs.market.claim_tasks import claim_tasks
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.post_task import TaskOrder, post_task
from openclaw_jobs.workers import WorkerIdentity
from tests.dispatch.crowd import hire, queue, run
from tests.dispatch.seekers import Someone, classes_of
from tests.running import Node

FOREVER = 30.0


def ids(claims: Sequence[Claim]) -> list[str]:
    return [claim.task_id for claim in claims]


async def claim(market: Market, seekers: Sequence[Someone], limit: int = 100) -> ClaimResult:
    """One round for these seekers, looking into what each asks for."""
    lanes = {lane: None for s in seekers for lane in s.worker.preferences.categories or (None,)}
    request = ClaimRequest(lanes=lanes, limit=limit, classes=classes_of(seekers))
    return await claim_tasks(market, request)


def handed(result: ClaimResult) -> list[tuple[str, str]]:
    return sorted((a.claim.task_id, a.claim.worker_id) for a in result.assignments)


async def test_older_and_dearer_tasks_go_first(node: Node) -> None:
    """A cent is worth a second of waiting, up to five minutes."""
    buyer, worker = await node.buyer(100_000), await node.worker()
    start = node.market.clock.now()

    async def post(category: str, seconds_ago: float) -> str:
        clock = ManualClock(start - timedelta(seconds=seconds_ago))
        order = TaskOrder(
            buyer_id=buyer.id,
            prompt="x",
            messages=None,
            category=category,
            min_tier="bronze",
            max_price_cents=None,
            conversation_id=None,
            metadata=None,
        )
        return (await post_task(replace(node.market, clock=clock), order, None)).task_id

    await node.configure("pricing", base_cents={"default": 10, "dear": 30, "dearest": 1_000})
    base = node.market.config.pricing
    assert base.base_cents["dear"] - base.base_cents["default"] == 20
    young, older = await post("general", 10), await post("general", 15)
    dear, not_dear_enough = await post("dear", 0), await post("dear", -21)
    dearest, old = await post("dearest", 0), await post("general", 291)
    claimed = await worker.ok("GET", "/api/work/next?max=10")
    order = [old, dearest, dear, older, young, not_dear_enough]
    assert [t["task_id"] for t in claimed["tasks"]] == order


@pytest.mark.parametrize(("percent", "least", "most"), [(0, 0, 0), (20, 40, 80), (100, 300, 300)])
async def test_the_fairness_share_of_picks_ignores_tiers(
    node: Node, dsn: str, percent: int, least: int, most: int
) -> None:
    market = replace(node.market, rng=random.Random(20))  # noqa: S311 - held still for the test
    await node.configure("dispatch", fairness_percent=percent)
    newcomers = [await hire(market, dsn, "bronze", max_concurrent=100) for _ in range(10)]
    champions = [await hire(market, dsn, "platinum", max_concurrent=100) for _ in range(10)]
    queue(dsn, 300, "f")
    polls = [Someone(worker, 40, n) for n, worker in enumerate(newcomers + champions)]
    result = await claim(market, polls, limit=300)
    assert len(result.assignments) == 300
    tiers = Counter(a.seeker.worker.tier for a in result.assignments)
    assert least <= tiers["bronze"] <= most


async def test_a_better_tier_is_served_before_who_waits_longer(node: Node, dsn: str) -> None:
    await node.configure("dispatch", fairness_percent=0)
    matcher = node.services.matcher
    tiers = ["bronze", "silver", "platinum", "gold", "bronze"]
    polls = []
    for tier in tiers:
        worker = await hire(node.market, dsn, tier)  # type: ignore[arg-type]
        polls.append(asyncio.create_task(matcher.next(worker, 1, FOREVER)))
        await asyncio.sleep(0)
    order = []
    for n in range(5):
        queue(dsn, 1, f"t{n}")
        matcher.wake(frozenset({"general"}))
        done, _ = await asyncio.wait(
            [p for p in polls if p not in order], return_when=asyncio.FIRST_COMPLETED
        )
        order += list(done)
    assert [polls.index(poll) for poll in order] == [2, 3, 1, 0, 4]


async def test_a_round_never_exceeds_a_workers_limits(node: Node, dsn: str) -> None:
    narrow = await hire(node.market, dsn, max_concurrent=3)
    today = await hire(node.market, dsn, max_concurrent=9, daily_limit=2)
    queue(dsn, 30, "c")
    polls = [
        Someone(narrow, 5, 1), Someone(narrow, 5, 2), Someone(today, 5, 3), Someone(today, 5, 4)
    ]  # fmt: skip
    first = await claim(node.market, polls)
    held = Counter(a.claim.worker_id for a in first.assignments)
    assert held == {narrow.worker_id: 3, today.worker_id: 2}
    again = await claim(node.market, polls)
    assert (again.assignments, again.suspended) == ([], [])
    assert sorted(s.arrival for s in again.blocked) == [1, 2, 3, 4]


async def test_the_databases_word_counts_over_the_polls(node: Node, dsn: str) -> None:
    """Who changed its mind or lost its tier while parked is served as it is now."""
    demoted, choosy = await hire(node.market, dsn, "gold"), await hire(node.market, dsn)
    run(dsn, "UPDATE workers SET tier = 'bronze' WHERE id = %s", demoted.worker_id)
    run(dsn, "UPDATE workers SET categories = '{data}' WHERE id = %s", choosy.worker_id)
    queue(dsn, 2, "gold", min_tier="gold")
    queue(dsn, 1, "x", rank=1, min_tier="gold", category="data")
    polls = [Someone(demoted, 5, 1), Someone(choosy, 5, 2)]
    assert handed(await claim(node.market, polls)) == []
    (data,) = queue(dsn, 1, "data", rank=2, category="data")
    assert (data, choosy.worker_id) in handed(await claim(node.market, [polls[1]]))


async def test_the_suspended_are_kept_out(node: Node, dsn: str) -> None:
    worker = await hire(node.market, dsn)
    run(
        dsn,
        "UPDATE workers SET standing = 'suspended', suspended_reason = 'x',"
        " suspended_until = now() + interval '1 hour' WHERE id = %s",
        worker.worker_id,
    )
    queue(dsn, 1, "s")
    result = await claim(node.market, [Someone(worker, 1, 1)])
    assert result.assignments == []
    assert [s.seeker.arrival for s in result.suspended] == [1]


# A head longer than one round reads, of tasks that the waiting may not have.
HEAD = 3_000


async def starving(
    node: Node, worker: WorkerIdentity, wanted: str, *others: WorkerIdentity
) -> None:
    """The worker gets `wanted`, which stands behind such a head, in a few ticks."""
    matcher = node.services.matcher
    crowd = [asyncio.create_task(matcher.next(other, 1, FOREVER)) for other in others]
    async with asyncio.timeout(15):
        assert ids(await matcher.next(worker, 1, FOREVER)) == [wanted]
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_jobs.dispatch.matcher._TICK_SECONDS", 0.05)


@pytest.mark.usefixtures("quick_ticks")
async def test_tasks_for_better_tiers_starve_nobody(node: Node, dsn: str) -> None:
    queue(dsn, HEAD, "head", min_tier="gold")
    (wanted,) = queue(dsn, 1, "wanted", rank=1)
    gold = await hire(node.market, dsn, "gold", min_earning_cents=1_000)
    await starving(node, await hire(node.market, dsn), wanted, gold)


@pytest.mark.usefixtures("quick_ticks")
@pytest.mark.parametrize("categories", [None, ["general"], ["general", "data"]])
async def test_cheap_tasks_at_the_head_starve_nobody(
    node: Node, dsn: str, categories: list[str] | None
) -> None:
    queue(dsn, HEAD, "head", price_cents=10)
    (wanted,) = queue(dsn, 1, "wanted", rank=1, price_cents=100)
    worker = await hire(node.market, dsn, min_earning_cents=50, categories=categories)
    await starving(node, worker, wanted)


@pytest.mark.usefixtures("quick_ticks")
async def test_tasks_that_all_have_tried_starve_nobody(node: Node, dsn: str) -> None:
    worker = await hire(node.market, dsn)
    queue(dsn, HEAD, "head", tried_by=[worker.worker_id])
    (wanted,) = queue(dsn, 1, "wanted", rank=1)
    await starving(node, worker, wanted)


async def test_who_never_waits_gets_past_the_head_too(node: Node, dsn: str) -> None:
    queue(dsn, HEAD, "head", price_cents=10)
    (wanted,) = queue(dsn, 1, "wanted", rank=1, price_cents=100)
    worker = await hire(node.market, dsn, min_earning_cents=50)
    claims: list[Claim] = []
    for _ in range(10):
        if claims := await node.services.matcher.next(worker, 1, 0):
            break
    assert ids(claims) == [wanted]


async def test_a_full_category_does_not_hide_another(node: Node, dsn: str) -> None:
    queue(dsn, HEAD, "head", category="coding")
    (wanted,) = queue(dsn, 1, "wanted", rank=1, category="data")
    worker = await hire(node.market, dsn, categories=["data"])
    assert ids(await node.services.matcher.next(worker, 1, 0)) == [wanted]
    # One that takes either goes by the order of the queue.
    either = await hire(node.market, dsn, categories=["coding", "data"], max_concurrent=1000)
    (late,) = queue(dsn, 1, "late", rank=-1, category="data")
    claims = await node.services.matcher.next(either, 3, 0)
    assert ids(claims)[0] == late
    assert {c.category for c in claims[1:]} == {"coding"}


async def test_what_a_worker_earns_is_what_its_tier_is_paid(node: Node, dsn: str) -> None:
    await node.configure("commissions", rate_by_tier={
        "bronze": 0.3, "silver": 0.25, "gold": 0.2, "platinum": 0.15,
    })  # fmt: skip
    queue(dsn, 2, "e", price_cents=100)
    for tier, earns in (("bronze", 70), ("platinum", 85)):
        worker = await hire(node.market, dsn, tier)  # type: ignore[arg-type]
        (got,) = await node.services.matcher.next(worker, 1, 0)
        assert got.earning_cents == earns


async def test_nobody_gets_a_task_twice_or_again(node: Node, dsn: str) -> None:
    """Many workers in concurrent rounds of two markets: each task goes once."""
    tasks = queue(dsn, 200, "n")
    people = [await hire(node.market, dsn, max_concurrent=100) for _ in range(10)]

    async def rounds() -> list[str]:
        taken: list[str] = []
        while True:
            result = await claim(
                node.market, [Someone(w, 3, n) for n, w in enumerate(people)], limit=20
            )
            taken += [a.claim.task_id for a in result.assignments]
            left = run(dsn, "SELECT count(*) FROM tasks WHERE status = 'queued'")
            if left == [(0,)]:
                return taken

    async with asyncio.timeout(20):
        taken = await asyncio.gather(rounds(), rounds(), rounds())
    everything = [task for each in taken for task in each]
    assert Counter(everything) == Counter(tasks)
    for worker_id, held in run(dsn, "SELECT worker_id, count(*) FROM leases GROUP BY 1"):
        assert held <= 100, worker_id
