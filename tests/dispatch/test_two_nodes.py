"""Two nodes on one database: wake-ups between them, and limits that hold across them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from openclaw_jobs.dispatch import Claim
from tests.bad_days.programs import background, behind, caller, together, until, web
from tests.dispatch.crowd import hire, queue, run
from tests.running import Node, running_node

FOREVER = 30.0


@pytest.fixture
async def nodes(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes whose ticks never come: whatever happens, a wake-up or an arrival made it."""
    monkeypatch.setattr("openclaw_jobs.dispatch.matcher._TICK_SECONDS", 3600.0)
    async with running_node(dsn, background=False) as a, running_node(dsn, background=False) as b:
        yield a, b


async def parked(node: Node, count: int) -> None:
    matcher = node.services.matcher
    await until(lambda: matcher.parked == count and all(w.looked_for for w in matcher._waiters), 5)


async def test_a_post_on_one_node_wakes_a_worker_on_the_other(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    buyer, worker = await a.buyer(), await b.worker()
    for n in range(5):
        poll = asyncio.create_task(worker.get("/api/work/next", wait=30))
        await parked(b, 1)
        posted = await buyer.ok("POST", "/api/task", {"prompt": f"task {n}"}, 201)
        async with asyncio.timeout(5):
            assert (await poll).json()["task_id"] == posted["id"]
    await a.prove()


async def test_a_release_on_one_node_wakes_a_worker_on_the_other(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    buyer, first, second = await a.buyer(), await a.worker(), await b.worker()
    posted = await buyer.ok("POST", "/api/task", {"prompt": "x"}, 201)
    claim = await first.ok("GET", "/api/work/next")
    poll = asyncio.create_task(second.get("/api/work/next", wait=30))
    await parked(b, 1)
    lease = {"task_id": posted["id"], "lease_token": claim["lease_token"]}
    await first.ok("POST", "/api/work/release", lease, 204)
    async with asyncio.timeout(5):
        assert (await poll).json()["attempt"] == 2


async def test_a_buyer_on_one_node_sees_what_is_done_on_the_other(
    nodes: tuple[Node, Node],
) -> None:
    a, b = nodes
    buyer, worker = await a.buyer(), await b.worker()
    posted = await buyer.ok("POST", "/api/task", {"prompt": "x"}, 201)
    waiting = asyncio.create_task(buyer.get(f"/api/task/{posted['id']}", wait=30))
    claim = await worker.ok("GET", "/api/work/next")
    body = {"task_id": posted["id"], "lease_token": claim["lease_token"]}
    await worker.ok("POST", "/api/work/submit", {**body, "status": "completed", "result": "y"})
    async with asyncio.timeout(5):
        assert (await waiting).json()["result"] == "y"


async def test_no_task_goes_to_both(nodes: tuple[Node, Node], dsn: str) -> None:
    a, b = nodes
    people = [await hire(a.market, dsn, max_concurrent=100) for _ in range(20)]
    tasks = queue(dsn, 300, "b")

    async def work(node: Node, offset: int) -> list[Claim]:
        got: list[Claim] = []
        async with asyncio.timeout(20):
            while run(dsn, "SELECT count(*) FROM tasks WHERE status = 'queued'") != [(0,)]:
                claims = await asyncio.gather(
                    *(node.services.matcher.next(p, 2, 0) for p in people[offset : offset + 10])
                )
                got += [claim for each in claims for claim in each]
        return got

    halves = await asyncio.gather(work(a, 0), work(b, 10))
    handed = Counter(claim.task_id for half in halves for claim in half)
    assert handed == Counter(tasks)
    assert all(halves), "both nodes had a part"


@pytest.mark.parametrize("wait", [0.0, 0.2])
async def test_a_workers_limit_holds_across_nodes(
    nodes: tuple[Node, Node], dsn: str, wait: float
) -> None:
    worker = await hire(nodes[0].market, dsn, max_concurrent=3)
    queue(dsn, 40, "m")
    got: list[Claim] = []
    for _ in range(5):
        answers = await asyncio.gather(
            *(node.services.matcher.next(worker, 2, wait) for node in nodes for _ in range(5))
        )
        got += [claim for each in answers for claim in each]
        held = run(dsn, "SELECT count(*) FROM leases WHERE worker_id = %s", worker.worker_id)
        assert held == [(len(got),)]
        assert len(got) <= 3
    assert len(got) == 3


async def test_a_daily_limit_holds_across_nodes(nodes: tuple[Node, Node], dsn: str) -> None:
    worker = await hire(nodes[0].market, dsn, daily_limit=4)
    queue(dsn, 40, "d")
    answers = await asyncio.gather(
        *(node.services.matcher.next(worker, 3, 0.2) for node in nodes for _ in range(5))
    )
    assert sum(map(len, answers)) == 4


async def do_tasks(client: httpx.AsyncClient, stop: asyncio.Event) -> int:
    """A worker's life: take tasks, hand each in with the wish for the next; returns how many."""
    done = 0
    claims: list[dict[str, str]] = []
    while not stop.is_set():
        if not claims:
            answer = await client.get("/api/work/next", params={"wait": 1, "max": 3})
            assert answer.status_code == 200, answer.text
            claims = answer.json()["tasks"]
            continue
        claim = claims.pop()
        body = {
            "task_id": claim["task_id"],
            "lease_token": claim["lease_token"],
            "status": "completed",
            "result": f"done {claim['prompt']}",
            "next": {"wait": 0, "max": 1},
        }
        answer = await client.post("/api/work/submit", json=body)
        assert answer.status_code == 200, answer.text
        assert "duplicate" not in answer.json() or not answer.json()["duplicate"]
        claims += answer.json()["tasks"]
        done += 1
    return done


async def test_two_web_processes_and_a_background_one_do_the_main_job(dsn: str) -> None:
    async with (
        behind(dsn) as back,
        together(web(dsn), web(dsn), background(dsn)) as processes,
    ):
        first, second, _ = processes
        buyers = [caller(p.address, await back.buyer()) for p in (first, second) for _ in range(10)]
        workers = [
            caller(p.address, await back.worker()) for p in (first, second) for _ in range(3)
        ]
        stop = asyncio.Event()
        lives = [asyncio.create_task(do_tasks(client, stop)) for client in workers]

        async def order(client: httpx.AsyncClient, n: int) -> None:
            posted = await client.post("/api/task", json={"prompt": f"task {n}"})
            assert posted.status_code == 201, posted.text
            seen = await client.get(f"/api/task/{posted.json()['id']}", params={"wait": 60})
            assert seen.json()["status"] == "completed", seen.text
            assert seen.json()["result"] == f"done task {n}"

        async with asyncio.timeout(120):
            await asyncio.gather(*(order(buyers[n % 20], n) for n in range(200)))
        stop.set()
        done = await asyncio.gather(*lives)
        assert sum(done) == 200
        assert all(done), done
        assert back.statuses() == {"completed": 200}
        await back.prove()
        for client in (*buyers, *workers):
            await client.aclose()
        await asyncio.gather(*(process.stop() for process in processes))
