"""Leases on bad days: stolen, run out, left by a dead worker, submitted a hundredfold."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.bad_days.conftest import Stage
from tests.dispatch.sockets import poll

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def post(buyer: httpx.AsyncClient, prompt: str = "hello") -> str:
    answer = await buyer.post("/api/task", json={"prompt": prompt})
    assert answer.status_code == 201, answer.text
    task_id: str = answer.json()["id"]
    return task_id


async def take(worker: httpx.AsyncClient, wait: float = 10) -> dict[str, Any]:
    answer = await worker.get("/api/work/next", params={"wait": wait})
    assert answer.status_code == 200, answer.text
    claim: dict[str, Any] = answer.json()
    return claim


def done(claim: dict[str, Any], result: str = "done") -> dict[str, Any]:
    return {
        "task_id": claim["task_id"],
        "lease_token": claim["lease_token"],
        "status": "completed",
        "result": result,
    }


async def submit(worker: httpx.AsyncClient, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await worker.post("/api/work/submit", json=body)
    return answer.status_code, answer.json()


async def test_a_hundred_identical_submits_through_two_nodes_settle_once(stage: Stage) -> None:
    buyer, here = await stage.buyer(), await stage.worker(stage.first)
    there = httpx.AsyncClient(
        base_url=stage.second.address, headers=here.headers, timeout=30, trust_env=False
    )
    stage.clients.append(there)
    task_id = await post(buyer)
    claim = await take(here)
    assert claim["task_id"] == task_id
    body = done(claim)
    answers = await asyncio.gather(*(submit(here if n % 2 else there, body) for n in range(100)))
    assert {status for status, _ in answers} == {200}
    receipts = [receipt for _, receipt in answers]
    assert sum(not receipt.pop("duplicate", False) for receipt in receipts) == 1
    assert all(receipt == receipts[0] for receipt in receipts)
    me = (await here.get("/api/worker/me")).json()
    assert me["balance"]["frozen_cents"] == receipts[0]["earned_cents"]
    assert me["stats"]["completed"] == 1
    await stage.back.prove()


async def test_another_result_after_the_first_does_not_replace_it(stage: Stage) -> None:
    buyer, worker = await stage.buyer(), await stage.worker()
    task_id = await post(buyer)
    claim = await take(worker)
    answers = await asyncio.gather(*(submit(worker, done(claim, f"result {n}")) for n in range(10)))
    assert {status for status, _ in answers} == {200}
    assert sum(not receipt.get("duplicate", False) for _, receipt in answers) == 1
    read = (await buyer.get(f"/api/task/{task_id}")).json()
    (kept,) = [n for n, (_, r) in enumerate(answers) if not r.get("duplicate", False)]
    assert read["result"] == f"result {kept}"


async def test_a_stolen_lease_is_worth_nothing(stage: Stage) -> None:
    buyer, owner, thief = await stage.buyer(), await stage.worker(), await stage.worker()
    await post(buyer)
    claim = await take(owner)
    lease = {"task_id": claim["task_id"], "lease_token": claim["lease_token"]}
    for path, body in (
        ("/api/work/submit", done(claim, "stolen")),
        ("/api/work/submit", {**lease, "status": "failed", "error": "sabotage"}),
        ("/api/work/heartbeat", lease),
        ("/api/work/release", lease),
    ):
        answer = await thief.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    wrong = {**done(claim), "lease_token": claim["lease_token"][:-1] + "0"}
    if wrong["lease_token"] == claim["lease_token"]:
        wrong["lease_token"] = claim["lease_token"][:-1] + "1"
    status, problem = await submit(owner, wrong)
    assert (status, problem["code"]) == (409, "lease_lost")
    status, receipt = await submit(owner, done(claim))
    assert (status, receipt["accepted"]) == (200, True)
    # One that did hold the task once is told so, but cannot use the present holder's token.
    status, problem = await submit(thief, done(claim, "stolen"))
    assert (status, problem["code"]) == (404, "not_found")


async def test_a_lease_that_ran_out_is_refused_and_the_task_queued_again(stage: Stage) -> None:
    buyer, late, other = await stage.buyer(), await stage.worker(), await stage.worker(stage.second)
    task_id = await post(buyer)
    claim = await take(late)
    assert claim["lease_seconds"] == 2
    # Another waits on another node; the background process gives it the task.
    again = await take(other, wait=20)
    assert (again["task_id"], again["attempt"]) == (task_id, 2)
    status, problem = await submit(late, done(claim, "too late"))
    assert (status, problem["code"]) == (409, "lease_lost")
    # Nor does the other's token help the first.
    status, problem = await submit(late, done(again, "too late"))
    assert (status, problem["code"]) == (409, "lease_lost")
    status, receipt = await submit(other, done(again, "in time"))
    assert (status, receipt["earned_cents"]) == (200, again["earning_cents"])
    read = (await buyer.get(f"/api/task/{task_id}")).json()
    assert (read["status"], read["result"]) == ("completed", "in time")
    stats = (await late.get("/api/worker/me")).json()["stats"]
    assert (stats["completed"], stats["expired"]) == (0, 1)
    await stage.back.prove()


async def test_heartbeats_keep_a_lease(stage: Stage) -> None:
    buyer, worker = await stage.buyer(), await stage.worker()
    await post(buyer)
    claim = await take(worker)
    lease = {"task_id": claim["task_id"], "lease_token": claim["lease_token"]}
    ends = claim["lease_expires_at"]
    # As long as it takes for the first end to be past and recovery to have run.
    async with asyncio.timeout(10):
        while not stage.back.rows("SELECT 1 WHERE now() > %s::timestamptz + '1.2 s'", ends):
            answer = await worker.post("/api/work/heartbeat", json=lease)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.2)
    status, _ = await submit(worker, done(claim))
    assert status == 200


async def test_what_a_dead_worker_held_is_done_by_another(stage: Stage) -> None:
    buyer, dies = await stage.buyer(), await stage.worker()
    tasks = {await post(buyer, f"task {n}") for n in range(5)}
    answer = await dies.get("/api/work/next", params={"max": 5})
    assert {task["task_id"] for task in answer.json()["tasks"]} == tasks
    await dies.aclose()
    heir = await stage.worker(stage.second)
    finished: set[str] = set()
    while finished < tasks:
        claim = await take(heir, wait=20)
        status, _ = await submit(heir, done(claim))
        assert status == 200
        finished.add(claim["task_id"])
    assert finished == tasks
    await stage.back.prove()


@pytest.mark.parametrize("how", ["cut", "hang up"])
async def test_a_worker_that_hangs_up_while_parked_holds_nothing(stage: Stage, how: str) -> None:
    buyer, worker = await stage.buyer(), await stage.worker()
    token = worker.headers["Authorization"].removeprefix("Bearer ")
    gone = await poll(stage.second.address, token)
    # A poll that came later and has been served shows that the first is parked by now.
    here = await poll(stage.second.address, token, wait=0)
    assert await here.status() == 204
    await here.hang_up()
    gone.cut() if how == "cut" else await gone.hang_up()
    task_id = await post(buyer)
    claim = await take(worker)
    assert claim["task_id"] == task_id
    status, _ = await submit(worker, done(claim))
    assert status == 200
    assert not stage.back.rows("SELECT 1 FROM leases")
