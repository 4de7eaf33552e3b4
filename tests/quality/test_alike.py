"""What a worker sees of a hidden task is, byte by byte, what it sees of a paid one."""

import re
from dataclasses import dataclass, field

import httpx

from openclaw_jobs.market.queue_checks import queue_checks
from tests.market.steps import (
    claim,
    complete,
    completion,
    failure,
    lapse_leases,
    lease_of,
    post,
    recover,
)
from tests.quality.check_steps import RIGHT, dispute, do_next, quality, rows, settle
from tests.running import Json, Node, Party

FORMS = [
    (re.compile(r"\b(task|wrk|pay|req)_[0-7][0-9a-hjkmnp-tv-z]{25}\b"), r"\1_ID"),
    (re.compile(r"lease_[A-Za-z0-9_-]{32}(?![A-Za-z0-9_-])"), "lease_TOKEN"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
]
OWN_HEADERS = {"x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"}


async def namesake(node: Node) -> Party:
    """A worker whose name is as long as any other's here."""
    made = await node.anyone().ok("POST", "/api/worker/connect", {"name": "worker"}, 201)
    return node.party(made["worker_id"], made["token"])


def seen(answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Status, bytes and headers with nothing left out but what names this one answer."""
    text = answer.text
    for form, name in FORMS:
        text = form.sub(name, text)
    headers = [
        (name, "" if name in OWN_HEADERS else value) for name, value in answer.headers.items()
    ]
    return answer.status_code, text, headers


async def a_copy(node: Node, buyer: Party) -> None:
    """Put one copy into the queue, and nothing else."""
    await quality(node, spot_check_rate=1)
    await post(buyer)
    await do_next(await node.worker(), RIGHT)
    await quality(node)
    await settle(node)


async def a_shadow(node: Node, buyer: Party) -> None:
    """Put the copy of one task into the queue that was queued while its original was at work."""
    await quality(node, shadow_rate=1)
    await post(buyer)
    first = await node.worker()
    original = await claim(first)
    await queue_checks(node.market)
    await quality(node)
    await complete(first, original, RIGHT)


async def an_arbiter(node: Node, _: Party) -> None:
    """Put one task into the queue that is to decide between two results."""
    await dispute(node)


async def a_paid_one(node: Node, buyer: Party) -> None:
    """Put one paid task into the queue."""
    await quality(node, spot_check_rate=1)
    await post(buyer)


async def a_gold(node: Node, _: Party) -> None:
    """Put one gold task into the queue."""
    await quality(node, benchmark_rate=1)
    if not (await node.operator().ok("GET", "/api/admin/benchmarks"))["benchmarks"]:
        body = {"prompt": "hello", "answers": [RIGHT]}
        await node.operator().ok("POST", "/api/admin/benchmarks", body, 201)
    await node.operator().ok("POST", "/api/cron/benchmark-inject")


QUEUES = (a_paid_one, a_copy, a_shadow, a_gold, an_arbiter)

READS = (
    "/api/worker/me",
    "/api/worker/earnings",
    "/api/worker/earnings?limit=1",
    "/api/worker/payouts",
    "/api/worker/standing",
)


@dataclass
class Life:
    """What a worker is told about one task, in order."""

    node: Node
    worker: Party
    told: list[Json] = field(default_factory=list)
    done: Json = None

    async def call(self, method: str, path: str, body: Json = None) -> httpx.Response:
        answer = await self.worker.http.request(method, path, json=body)
        self.told.append((method, path, seen(answer)))
        return answer

    async def read(self) -> None:
        for path in READS:
            await self.call("GET", path)

    async def work(self) -> None:
        """All that happens to the task until its result is checked, and what it reads meanwhile."""
        claimed = (await self.call("GET", "/api/work/next?wait=1")).json()
        lease = lease_of(claimed)
        await self.call("POST", "/api/work/heartbeat", {**lease, "progress": "half"})
        self.done = {**completion(claimed, RIGHT), "usage": {"tokens": 3}}
        await self.call("POST", "/api/work/submit", {**self.done, "lease_token": "lease_wrong"})
        await self.call("POST", "/api/work/submit", self.done)
        await self.call("POST", "/api/work/submit", self.done)
        await self.call("POST", "/api/work/heartbeat", lease)
        await self.call("POST", "/api/work/release", lease)
        await self.call("GET", "/api/work/next?max=5")
        await self.read()
        await settle(self.node)

    async def judge(self) -> None:
        """An operator finds the result bad; an arbiter's result has no verdict."""
        ((check_id, original),) = await rows(
            self.node,
            "SELECT id, original_task_id FROM checks WHERE %s IN (original_task_id, copy_task_id)",
            self.done["task_id"],
        )
        side = "first" if original == self.done["task_id"] else "second"
        path = f"/api/admin/quality/{check_id}/verdict"
        await self.node.operator().ok("POST", path, {side: "bad"})

    async def afterwards(self) -> None:
        await self.read()
        await self.call("POST", "/api/work/submit", self.done)


async def test_whole_lives_are_the_same(node: Node) -> None:
    buyer = await node.buyer()
    lives = []
    for queue in QUEUES:
        await queue(node, buyer)
        life = Life(node, await namesake(node))
        await life.work()
        if queue is not an_arbiter:
            await life.judge()
            await life.afterwards()
        lives.append(life.told)
        # What is left of the checks must not reach the next worker.
        await rows(node, "UPDATE tasks SET expires_at = now() WHERE status = 'queued'")
        await recover(node)
    *judged, arbiter = lives
    for told in judged:
        assert told == judged[0]
    assert arbiter == judged[0][: len(arbiter)]
    assert len(arbiter) > len(READS)
    assert any("credited" in text for _, path, (_, text, _) in judged[0] if "earnings" in path)
    await node.prove()


async def test_giving_up_is_the_same(node: Node) -> None:
    buyer = await node.buyer()
    for give_up in ("failed", "released", "expired"):
        lives = []
        for queue in QUEUES:
            worker = await namesake(node)
            await queue(node, buyer)
            claimed = await claim(worker)
            told = []
            if give_up == "failed":
                told.append(seen(await worker.post("/api/work/submit", failure(claimed))))
            elif give_up == "released":
                told.append(seen(await worker.post("/api/work/release", lease_of(claimed))))
            else:
                await lapse_leases(node)
                await recover(node)
            told += [seen(await worker.post("/api/work/submit", completion(claimed)))]
            told += [seen(await worker.get(path)) for path in READS]
            told += [seen(await worker.get("/api/work/next", max=3))]
            await rows(node, "UPDATE tasks SET expires_at = now() WHERE status = 'queued'")
            await recover(node)
            lives.append(told)
        for told in lives:
            assert told == lives[0], give_up
    await node.prove()


async def test_a_batch_holds_both_alike(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await a_copy(node, buyer)
    await a_paid_one(node, buyer)

    tasks = (await worker.ok("GET", "/api/work/next?max=5"))["tasks"]
    answer = await worker.ok(
        "POST", "/api/work/submit", {"submissions": [completion(t, RIGHT) for t in tasks]}
    )
    earned = (await worker.ok("GET", "/api/worker/earnings"))["earnings"]

    assert len(tasks) == 2
    for pair in (tasks, answer["receipts"], earned):
        assert list(pair[0]) == list(pair[1])
        assert [type(v) for v in pair[0].values()] == [type(v) for v in pair[1].values()]
    assert earned[0]["frozen_until"] == earned[1]["frozen_until"]
    await node.prove()
