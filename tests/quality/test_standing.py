"""What follows from a record: a stop with its evidence, an appeal, tiers, and confidence."""

import asyncio
import random
from dataclasses import replace

from openclaw_jobs.market.review_standing import review_tiers, stop_suspects
from tests.market.steps import claim, complete, post, sql
from tests.quality.check_steps import (
    RIGHT,
    WRONG,
    dispute,
    do_next,
    quality,
    record_of,
    rows,
    settle,
)
from tests.running import Json, Node, Party


async def bad_worker(node: Node) -> tuple[Party, list[str]]:
    """A worker against whom there is enough: six results that gold answers refute."""
    await quality(node, benchmark_rate=0.1)
    operator, worker = node.operator(), await node.worker()
    tasks = []
    for number in range(6):
        body = {"prompt": f"What is {number} plus {number}?", "answers": [str(2 * number)]}
        await operator.ok("POST", "/api/admin/benchmarks", body, 201)
        await operator.ok("POST", "/api/cron/benchmark-inject")
        await settle(node)
        claimed = await claim(worker)
        tasks.append(claimed["task_id"])
        await complete(worker, claimed, f"{2 * number + 1}")
        await settle(node)
    return worker, tasks


async def test_a_bad_worker_is_stopped_sees_why_and_appeals_once(node: Node) -> None:
    worker, tasks = await bad_worker(node)
    assert (await record_of(node, worker))[:2] == (0, 6)
    assert (await worker.get("/api/worker/standing")).json()["status"] == "active"
    held = await post(await node.buyer())
    assert (await claim(worker))["task_id"] == held["id"]

    stopped = await asyncio.gather(*(stop_suspects(node.market, at_once=True) for _ in range(4)))
    assert sum(s.suspended for s in stopped) == 1

    told = await worker.ok("GET", "/api/worker/standing")
    assert told["status"] == "suspended"
    assert told["suspended_until"] is None
    assert [r["task_id"] for r in told["results"]] == tasks[::-1]
    assert told["results"][0]["result"] == "11"
    assert told["may_appeal"] is True
    assert told["appeal"] is None
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["status"], me["suspended_until"]) == ("suspended", None)
    refused = await worker.get("/api/work/next")
    assert (refused.status_code, refused.json()["code"]) == (403, "suspended")
    other = await node.worker()
    assert (await claim(other))["task_id"] == held["id"], "what it held is another's at once"

    said = await worker.ok("POST", "/api/worker/appeal", {"text": "I learned to add."}, 202)
    assert said["status"] == "waiting"
    again = await worker.post("/api/worker/appeal", {"text": "Please!"})
    assert (again.status_code, again.json()["code"]) == (422, "validation_failed")
    await node.prove()


async def appealed(node: Node) -> tuple[Party, Json]:
    worker, _ = await bad_worker(node)
    await stop_suspects(node.market, at_once=True)
    await worker.ok("POST", "/api/worker/appeal", {"text": "I learned to add."}, 202)
    listed = await node.operator().ok("GET", "/api/admin/appeals")
    (entry,) = listed["appeals"]
    assert (entry["worker_id"], entry["bad"], entry["text"]) == (worker.id, 6, "I learned to add.")
    return worker, entry


async def test_an_upheld_appeal_lets_the_worker_begin_anew(node: Node) -> None:
    worker, entry = await appealed(node)
    path = f"/api/admin/appeals/{entry['id']}/uphold"
    decided = await node.operator().ok("POST", path, {"answer": "Fair enough."})
    assert (decided["status"], decided["answer"]) == ("upheld", "Fair enough.")
    told = await worker.ok("GET", "/api/worker/standing")
    assert (told["status"], told["results"], told["appeal"]) == ("active", [], None)
    suspicion = await rows(node, "SELECT suspicion, bad FROM worker_records")
    assert suspicion == [(0.0, 6)]
    assert (await stop_suspects(node.market, at_once=True)).suspended == 0
    assert (await worker.get("/api/work/next")).status_code == 204
    twice = await node.operator().post(path, {"answer": "Again."})
    assert twice.status_code == 422
    assert (await node.operator().ok("GET", "/api/admin/appeals"))["appeals"] == []
    decided_list = await node.operator().ok("GET", "/api/admin/appeals?status=decided")
    assert [a["status"] for a in decided_list["appeals"]] == ["upheld"]


async def test_a_rejected_appeal_changes_nothing(node: Node) -> None:
    worker, entry = await appealed(node)
    path = f"/api/admin/appeals/{entry['id']}/reject"
    await node.operator().ok("POST", path, {"answer": "No."})
    told = await worker.ok("GET", "/api/worker/standing")
    assert (told["status"], told["may_appeal"]) == ("suspended", False)
    assert (told["appeal"]["status"], told["appeal"]["answer"]) == ("rejected", "No.")


async def test_who_may_not_appeal(node: Node) -> None:
    worker, operator = await node.worker(), node.operator()
    active = await worker.post("/api/worker/appeal", {"text": "Why not?"})
    assert active.status_code == 422
    await operator.ok("POST", f"/api/admin/workers/{worker.id}/suspend", {"reason": "spam"})
    assert (await worker.post("/api/worker/appeal", {"text": "Why?"})).status_code == 422
    told = await worker.ok("GET", "/api/worker/standing")
    assert (told["reason"], told["may_appeal"]) == ("spam", False)
    for wrong in ({}, {"text": ""}, {"text": "  "}, {"text": "x" * 2001}, {"text": 1}):
        assert (await worker.post("/api/worker/appeal", wrong)).status_code == 422, wrong
    until = await operator.post(
        f"/api/admin/workers/{worker.id}/suspend",
        {"reason": "spam", "until": "2099-01-01T00:00:00Z"},
    )
    assert until.status_code == 422, "what has no end is not given one by the way"
    for unknown in ("sus_01h455vb4pex5vsknk084sn02q", "sus_x", worker.id):
        path = f"/api/admin/appeals/{unknown}/uphold"
        assert (await operator.post(path, {"answer": "x"})).status_code == 404


async def test_the_moment_of_a_stop_is_chance(node: Node) -> None:
    await bad_worker(node)
    market = replace(node.market, rng=random.Random(2))  # noqa: S311 - a test
    runs = 0
    while (await stop_suspects(market)).suspended == 0:
        runs += 1
        assert runs < 100
    assert runs > 0


async def test_tiers_go_up_and_down_with_what_a_worker_has_to_show(node: Node) -> None:
    threshold = {"completed": 2, "completion_rate": 0.5, "credit_rate": 0.5, "quality": 0.9}
    out_of_reach = threshold | {"completed": 1000}
    await node.configure("tiers", silver=threshold, gold=out_of_reach, platinum=out_of_reach)
    await quality(node)
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(2):
        await post(buyer)
        await do_next(worker, RIGHT)
    progress = (await worker.ok("GET", "/api/worker/me"))["tier_progress"]
    assert [r["name"] for r in progress["requirements"]] == [
        "completed",
        "completion_rate",
        "credit_rate",
        "quality",
    ]
    assert progress["requirements"][3]["current"] == 0.9
    assert await review_tiers(node.market) == 1
    assert await review_tiers(node.market) == 0, "the next review is at a time of its own"
    assert (await worker.ok("GET", "/api/worker/me"))["tier"] == "silver"

    await sql(
        node,
        "INSERT INTO worker_records (worker_id, good, bad) VALUES (%s, 5, 5) RETURNING good",
        worker.id,
    )
    await sql(node, "UPDATE workers SET tier_review_at = now() RETURNING id")
    assert await review_tiers(node.market) == 1
    me = await worker.ok("GET", "/api/worker/me")
    assert me["tier"] == "bronze"
    assert me["tier_progress"]["requirements"][3]["current"] == 0.7

    await sql(node, "UPDATE worker_records SET good = 500 RETURNING good")
    await sql(node, "UPDATE workers SET tier_review_at = now() RETURNING id")
    await review_tiers(node.market)
    shown = (await worker.ok("GET", "/api/worker/me"))["tier_progress"]["requirements"][3]
    assert shown["current"] == 0.7, "a fresh one would tell which task was looked at"


async def test_a_buyer_is_told_how_sure_the_platform_is(node: Node) -> None:
    await quality(node)
    buyer, worker = await node.buyer(), await node.worker()
    posted = await post(buyer)
    assert (await buyer.ok("GET", f"/api/task/{posted['id']}"))["confidence"] is None
    await do_next(worker, RIGHT)
    assert (await buyer.ok("GET", f"/api/task/{posted['id']}"))["confidence"] == 0.9
    (listed,) = (await buyer.ok("GET", "/api/tasks"))["tasks"]
    assert listed["confidence"] == 0.9


async def test_confidence_follows_what_checks_find(node: Node) -> None:
    disputed = await dispute(node, WRONG, RIGHT)
    path = f"/api/task/{disputed.task_id}"
    before = (await disputed.buyer.ok("GET", path))["confidence"]
    assert 0.5 < before < 0.9
    await do_next(disputed.third, RIGHT)
    await settle(node)
    after = (await disputed.buyer.ok("GET", path))["confidence"]
    assert after < 0.3


async def test_public_figures_say_nothing_of_a_few(node: Node) -> None:
    figures = await node.anyone().ok("GET", "/api/quality")
    assert figures == {
        "days": 30,
        "results": 0,
        "checked_share": None,
        "agreement": None,
        "workers_stopped": 0,
        "tasks_until_stopped": None,
    }
    await bad_worker(node)
    await stop_suspects(node.market, at_once=True)
    figures = await node.anyone().ok("GET", "/api/quality")
    assert figures["workers_stopped"] == 0, "today's would tell of single tasks"
    yesterday = "UPDATE suspensions SET started_at = now() - interval '1 day' RETURNING id"
    await sql(node, yesterday)
    figures = await node.anyone().ok("GET", "/api/quality")
    assert (figures["workers_stopped"], figures["tasks_until_stopped"]) == (1, 6)
