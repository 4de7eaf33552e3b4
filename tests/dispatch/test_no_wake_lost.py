"""On a real database without ticks: whatever is queued is found at once, look or no look."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import psycopg
import pytest

from openclaw_jobs.dispatch import ClaimRequest
from openclaw_jobs.dispatch.commits import Written
from openclaw_jobs.dispatch.models import ClaimResult
from tests.bad_days.programs import until
from tests.dispatch.crowd import hire, queue, run
from tests.market.steps import lapse_leases, post, recover
from tests.running import Json, Node, Party, running_node

pytestmark = pytest.mark.usefixtures("no_tick")


@pytest.fixture
async def node(dsn: str, no_tick: None) -> AsyncIterator[Node]:  # noqa: ARG001 - before it starts
    async with running_node(dsn, background=False) as running:
        yield running


@pytest.fixture
def rounds(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[ClaimRequest]:
    """The rounds of the node's matcher from now on."""
    seen: list[ClaimRequest] = []
    commits = node.services.matcher._commits
    claim = commits._claim

    async def counted(request: ClaimRequest, written: Written) -> ClaimResult:
        seen.append(request)
        return await claim(request, written)

    monkeypatch.setattr(commits, "_claim", counted)
    return seen


async def wait_for_work(worker: Party) -> Json:
    """A patient poll, which must not need all its patience."""
    async with asyncio.timeout(5):
        return await worker.ok("GET", "/api/work/next?wait=30")


async def parked(node: Node, worker: Party) -> "asyncio.Task[Json]":
    matcher = node.services.matcher
    before = matcher.parked
    poll = asyncio.create_task(wait_for_work(worker))
    await until(lambda: matcher.parked > before and all(w.looked_for for w in matcher._waiters), 5)
    return poll


async def submit(worker: Party, claim: Json) -> None:
    lease = {key: claim[key] for key in ("task_id", "lease_token")}
    await worker.ok("POST", "/api/work/submit", {**lease, "status": "completed", "result": "done"})


async def test_a_lone_task_costs_one_round(node: Node, rounds: list[ClaimRequest]) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    idle = await parked(node, other)
    poll = await parked(node, worker)
    for _ in range(5):
        posted = await post(buyer)
        done, _ = await asyncio.wait((idle, poll), return_when=asyncio.FIRST_COMPLETED)
        claim = done.pop().result()
        assert claim["task_id"] == posted["id"]
        who = worker if poll.done() else other
        await submit(who, claim)
        again = await parked(node, who)
        idle, poll = (idle, again) if who is worker else (again, poll)
    # The first look was for both; each task had one round more.
    assert len(rounds) == 6
    idle.cancel()
    poll.cancel()
    await asyncio.gather(idle, poll, return_exceptions=True)


async def test_what_was_queued_while_nobody_waited_is_found(
    node: Node, rounds: list[ClaimRequest]
) -> None:
    """Between the commit of a submission and the parking of its worker."""
    buyer, worker = await node.buyer(), await node.worker()
    posted = await post(buyer)
    for _ in range(5):
        claim = await wait_for_work(worker)
        assert claim["task_id"] == posted["id"]
        await submit(worker, claim)
        posted = await post(buyer)
    assert len(rounds) == 5


async def test_a_task_that_was_put_back_is_found(node: Node) -> None:
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    posted = await post(buyer)
    claim = await wait_for_work(first)
    lease = {key: claim[key] for key in ("task_id", "lease_token")}
    await first.ok("POST", "/api/work/release", lease, 204)
    # Who released it waits, and may not have it; who comes then may.
    poll = await parked(node, first)
    claim = await wait_for_work(second)
    assert (claim["task_id"], claim["attempt"]) == (posted["id"], 2)
    third = await node.worker()
    third_poll = await parked(node, third)
    await lapse_leases(node)
    assert (await recover(node))["requeued"] == 1
    assert (await third_poll)["attempt"] == 3
    assert not poll.done()
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)


async def test_who_comes_back_from_a_suspension_finds_what_waits(node: Node, dsn: str) -> None:
    buyer, worker, choosy = (
        await node.buyer(), await node.worker(), await node.worker(categories=["data"])
    )  # fmt: skip
    poll = await parked(node, choosy)
    await submit_one(node, buyer, worker)
    suspend = (
        "UPDATE workers SET standing = 'suspended', suspended_reason = 'x',"
        " suspended_until = now() + make_interval(secs => %s) WHERE id = %s"
    )
    run(dsn, suspend, 3600, worker.id)
    posted = await post(buyer)
    assert (await worker.get("/api/work/next", wait=30)).status_code == 403
    run(dsn, suspend, -1, worker.id)
    assert (await wait_for_work(worker))["task_id"] == posted["id"]
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)


async def submit_one(node: Node, buyer: Party, worker: Party) -> None:
    poll = await parked(node, worker)
    await post(buyer)
    await submit(worker, await poll)


async def test_a_task_for_better_tiers_is_found_by_who_has_one(node: Node, dsn: str) -> None:
    matcher = node.services.matcher
    bronze = asyncio.create_task(matcher.next(await hire(node.market, dsn), 1, 30))
    await until(lambda: matcher._known_empty, 5)
    (wanted,) = queue(dsn, 1, "gold", min_tier="gold")
    matcher.wake(frozenset({"general"}))
    await until(lambda: not matcher._known_empty, 5)
    async with asyncio.timeout(5):
        (claim,) = await matcher.next(await hire(node.market, dsn, "gold"), 1, 30)
    assert claim.task_id == wanted
    assert not bronze.done()
    bronze.cancel()
    await asyncio.gather(bronze, return_exceptions=True)


async def test_a_task_that_another_process_looked_at_is_found(node: Node, dsn: str) -> None:
    """A round passes over what is locked, and must not take the queue for empty."""
    matcher = node.services.matcher
    first = asyncio.create_task(matcher.next(await hire(node.market, dsn), 1, 30))
    await until(lambda: matcher._known_empty, 5)
    (wanted,) = queue(dsn, 1, "locked")
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        await conn.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", (wanted,))
        matcher.wake(frozenset({"general"}))
        await until(lambda: not matcher._known_empty and matcher._round_end is None, 5)
        assert not first.done()
    second = asyncio.create_task(matcher.next(await hire(node.market, dsn), 1, 30))
    done, others = await asyncio.wait(
        (first, second), timeout=5, return_when=asyncio.FIRST_COMPLETED
    )
    assert [claim.task_id for claim in done.pop().result()] == [wanted]
    for poll in others:
        poll.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize("count", [1, 2])
async def test_patient_workers_miss_nothing(node: Node, dsn: str, count: int) -> None:
    """Many short lives at once; a wake-up that was lost would leave a task to the 5 s."""
    async with running_node(dsn, background=False) as second:
        nodes = (node, second)[:count]
        buyers = [await each.buyer() for each in nodes for _ in range(3)]
        workers = [await each.worker() for each in nodes for _ in range(4)]
        done: Counter[str] = Counter()

        async def live(worker: Party) -> None:
            while True:
                claim = await worker.ok("GET", "/api/work/next?wait=30")
                done[claim["task_id"]] += 1
                await submit(worker, claim)

        lives = [asyncio.create_task(live(worker)) for worker in workers]
        for n in range(20):
            crowd = buyers[: 1 + n % len(buyers)]
            async with asyncio.timeout(5):
                await asyncio.gather(*(order_one(buyer) for buyer in crowd))
        for each in lives:
            each.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
    assert set(done.values()) == {1}
    assert run(dsn, "SELECT count(*) FROM tasks WHERE status = 'completed'") == [(len(done),)]


async def order_one(buyer: Party) -> None:
    """Post a task and see it done."""
    posted = await post(buyer)
    seen = await buyer.ok("GET", f"/api/task/{posted['id']}?wait=30")
    assert seen["status"] == "completed"
