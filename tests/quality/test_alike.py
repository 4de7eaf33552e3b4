"""What a worker sees of a hidden task is, byte by byte, what it sees of a paid one."""

import re

import httpx

from tests.market.steps import claim, completion, failure, lapse_leases, lease_of, post, recover
from tests.quality.check_steps import RIGHT, do_next, quality, rows, settle
from tests.running import Json, Node, Party

FORMS = [
    (re.compile(r"\b(task|wrk|pay|req)_[0-7][0-9a-hjkmnp-tv-z]{25}\b"), r"\1_ID"),
    (re.compile(r"lease_[A-Za-z0-9_-]{32}\b"), "lease_TOKEN"),
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


async def a_paid_one(node: Node, buyer: Party) -> None:
    """Put one paid task into the queue."""
    await quality(node, spot_check_rate=1)
    await post(buyer)


async def a_gold(node: Node, _: Party) -> None:
    """Put one gold task into the queue."""
    await quality(node, benchmark_rate=1)
    body = {"prompt": "hello", "answers": [RIGHT]}
    await node.operator().ok("POST", "/api/admin/benchmarks", body, 201)
    await node.operator().ok("POST", "/api/cron/benchmark-inject")


READS = (
    "/api/worker/me",
    "/api/worker/earnings",
    "/api/worker/earnings?limit=1",
    "/api/worker/payouts",
    "/api/worker/standing",
)


async def live(node: Node, worker: Party) -> list[Json]:
    """All that happens to one task of a worker, and what it reads in between."""
    told: list[Json] = []

    async def call(method: str, path: str, body: Json = None) -> httpx.Response:
        answer = await worker.http.request(method, path, json=body)
        told.append((method, path, seen(answer)))
        return answer

    claimed = (await call("GET", "/api/work/next?wait=1")).json()
    lease = lease_of(claimed)
    await call("POST", "/api/work/heartbeat", {**lease, "progress": "half"})
    body = {**completion(claimed, RIGHT), "usage": {"tokens": 3}}
    await call("POST", "/api/work/submit", {**body, "lease_token": "lease_wrong"})
    await call("POST", "/api/work/submit", body)
    await call("POST", "/api/work/submit", body)
    await call("POST", "/api/work/heartbeat", lease)
    await call("POST", "/api/work/release", lease)
    await call("GET", "/api/work/next?max=5")
    for path in READS:
        await call("GET", path)
    await settle(node)
    side = (
        "first"
        if await rows(node, "SELECT 1 FROM checks WHERE original_task_id = %s", claimed["task_id"])
        else "second"
    )
    ((check_id,),) = await rows(
        node,
        "SELECT id FROM checks WHERE original_task_id = %s OR copy_task_id = %s",
        claimed["task_id"],
        claimed["task_id"],
    )
    path = f"/api/admin/quality/{check_id}/verdict"
    await node.operator().ok("POST", path, {side: "bad"})
    for path in READS:
        await call("GET", path)
    await call("POST", "/api/work/submit", body)
    return told


async def test_whole_lives_are_the_same(node: Node) -> None:
    buyer = await node.buyer()
    lives = []
    for queue in (a_paid_one, a_copy, a_gold):
        worker = await namesake(node)
        await queue(node, buyer)
        lives.append(await live(node, worker))
        # What is left of the checks must not reach the next worker.
        await rows(node, "UPDATE tasks SET expires_at = now() WHERE status = 'queued'")
        await recover(node)
    for paid, copy, gold in zip(*lives, strict=True):
        assert paid == copy == gold
    assert any("credited" in text for _, path, (_, text, _) in lives[0] if "earnings" in path)
    await node.prove()


async def test_giving_up_is_the_same(node: Node) -> None:
    buyer = await node.buyer()
    for give_up in ("failed", "released", "expired"):
        lives = []
        for queue in (a_paid_one, a_copy):
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
        assert lives[0] == lives[1], give_up
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
