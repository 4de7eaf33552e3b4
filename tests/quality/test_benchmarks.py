"""Gold tasks: kept by operators, slipped in as any task, shown to nobody twice, and judged."""

import asyncio

from tests.market.steps import claim, complete, post, refused
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
from tests.running import Json, Node, Party

GOLD = {"prompt": "What is the capital of Australia?", "answers": ["Canberra", RIGHT]}


async def add_gold(node: Node, **fields: Json) -> Json:
    body = {**GOLD, **fields}
    return await node.operator().ok("POST", "/api/admin/benchmarks", body, 201)


async def inject(node: Node) -> Json:
    return await node.operator().ok("POST", "/api/cron/benchmark-inject")


async def test_operators_keep_them(node: Node) -> None:
    operator, worker = node.operator(), await node.worker()
    added = await add_gold(node)
    messages = [{"role": "user", "content": "Say yes."}]
    other = await add_gold(node, prompt=None, messages=messages, category="writing")

    listed = await operator.ok("GET", "/api/admin/benchmarks?limit=1")
    rest = await operator.ok("GET", f"/api/admin/benchmarks?cursor={listed['next_cursor']}")
    assert listed["benchmarks"] == [other]
    assert (rest["benchmarks"], rest["next_cursor"]) == ([added], None)
    assert (other["messages"], other["category"]) == (messages, "writing")
    assert (added["exposures"], added["retired_at"]) == (0, None)
    for _ in range(2):
        gone = await operator.http.delete(f"/api/admin/benchmarks/{added['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
    live = await operator.ok("GET", "/api/admin/benchmarks?live=true")
    assert [gold["id"] for gold in live["benchmarks"]] == [other["id"]]
    refused(await operator.http.delete("/api/admin/benchmarks/gold_1"), 404, "not_found")
    bad: list[Json] = [
        {"prompt": "x"},
        {"prompt": "x", "answers": []},
        {"answers": ["x"]},
        {"prompt": " ", "answers": ["x"]},
        {"prompt": "x", "messages": messages, "answers": ["x"]},
        {"prompt": "x", "answers": ["a\x00b"]},
        {"prompt": "x", "answers": ["x"], "secret": True},
    ]
    for body in bad:
        refused(await operator.post("/api/admin/benchmarks", body), 422, "validation_failed")
    refused(await worker.get("/api/admin/benchmarks"), 403, "forbidden")


async def test_a_right_and_a_wrong_answer(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    first, second, third = [await node.worker() for _ in range(3)]
    gold = await add_gold(node)

    assert await inject(node) == {"injected": 1, "refused": 0}
    # One waits already: another would have two of one text in the queue.
    assert await inject(node) == {"injected": 0, "refused": 0}
    claimed = await claim(first)
    assert (claimed["prompt"], claimed["category"]) == (GOLD["prompt"], "general")
    assert claimed["task_id"].startswith("task_")
    await complete(first, claimed, "canberra.")
    await settle(node)
    assert await inject(node) == {"injected": 1, "refused": 0}
    # Who has seen it never gets it again.
    assert (await first.get("/api/work/next")).status_code == 204
    await do_next(second, WRONG)
    await settle(node)

    assert await checks(node) == [
        ("gold", "decided", None, "good"),
        ("gold", "decided", None, "bad"),
    ]
    assert [await record_of(node, w) for w in (first, second)] == [(1, 0, 1), (0, 1, 0)]
    me = await second.ok("GET", "/api/worker/me")
    assert (me["stats"]["credited"], me["balance"]["lifetime_cents"]) == (1, 0)
    listed = await node.operator().ok("GET", "/api/admin/benchmarks")
    assert listed["benchmarks"][0]["exposures"] == 2
    await node.operator().http.delete(f"/api/admin/benchmarks/{gold['id']}")
    assert await inject(node) == {"injected": 0, "refused": 0}
    assert (await third.get("/api/work/next")).status_code == 204
    await node.prove()


async def test_one_in_messages_costs_what_a_paid_one_does(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    # Letters outside ASCII, and what JSON escapes: neither its bytes nor its marks are paid for.
    content = "a" * 500 + '\u00fc"\\\n\N{GRINNING FACE}' * 140
    messages = [{"role": r, "content": content} for r in ("system", "user")]
    buyer, worker = await node.buyer(), await node.worker()
    for size in (1, 2):
        await buyer.ok("POST", "/api/task", {"messages": messages[:size]}, 201)
        paid = await claim(worker)
        await complete(worker, paid)
        await add_gold(node, prompt=None, messages=messages[:size])
        assert (await inject(node))["injected"] == 1
        slipped = await claim(worker)
        assert slipped["messages"] == paid["messages"] == messages[:size]
        assert slipped["earning_cents"] == paid["earning_cents"]
        await complete(worker, slipped)
    prices = await rows(node, "SELECT price_cents FROM tasks ORDER BY created_at")
    assert prices == [prices[0], prices[0], prices[2], prices[2]]
    assert prices[0] < prices[2], "it is long enough to cost more"
    await node.prove()


async def test_it_is_judged_no_sooner_than_if_others_were_asked(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    await add_gold(node)
    worker = await node.worker()
    await inject(node)
    await quality(node, benchmark_rate=1, check_delay_seconds=600)
    await do_next(worker, WRONG)
    await settle(node)
    assert await checks(node) == [("gold", "comparing", None, None)]
    assert (await worker.ok("GET", "/api/worker/me"))["stats"]["credited"] == 0
    ((delay,),) = await rows(node, "SELECT extract(epoch FROM due_at - now())::float8 FROM checks")
    assert isinstance(delay, float)
    assert 0 < delay < 1200
    await rows(node, "UPDATE checks SET due_at = now()")
    await settle(node)
    assert await checks(node) == [("gold", "decided", None, "bad")]
    await node.prove()


async def test_it_retires_after_five(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    await add_gold(node)
    for number in range(6):
        worker = await node.worker()
        assert (await inject(node))["injected"] == (number < 5)
        if number < 5:
            await do_next(worker, "Canberra")
            await settle(node)
    listed = await node.operator().ok("GET", "/api/admin/benchmarks")
    assert listed["benchmarks"][0]["retired_at"] is not None
    await node.prove()


async def test_the_economy_decides_whether_any(node: Node) -> None:
    await node.worker()
    await add_gold(node)
    for off in ({"enabled": False}, {"benchmark_rate": 0}):
        await quality(node, **{"benchmark_rate": 1, **off})
        assert await inject(node) == {"injected": 0, "refused": 0}
    await quality(node, benchmark_rate=1, budget_floor_cents=0)
    assert await inject(node) == {"injected": 0, "refused": 1}
    assert await checks(node) == []


async def test_paid_claims_draw_them(node: Node) -> None:
    from openclaw_jobs.market.inject_gold import spend_on_checks

    await quality(node, benchmark_rate=1, check_delay_seconds=600)
    await add_gold(node)
    buyer, worker = await node.buyer(), await node.worker()
    assert (await spend_on_checks(node.market)).injected == 0
    await post(buyer)
    await do_next(worker, "done")

    assert (await spend_on_checks(node.market)).injected == 1
    assert (await spend_on_checks(node.market)).injected == 0, "a claim draws once"
    ((delay,),) = await rows(
        node, "SELECT extract(epoch FROM due_at - created_at)::float8 FROM checks"
    )
    assert isinstance(delay, float)
    assert 0 < delay < 600
    await settle(node)
    assert await checks(node) == [("gold", "due", None, None)]
    await node.prove()


async def _share(node: Node, buyer: Party) -> None:
    await rows(node, "UPDATE buyers SET shares_texts = true WHERE id = %s", buyer.id)


async def test_arbitrated_tasks_of_buyers_who_share_become_gold(node: Node) -> None:
    private = await dispute(node)
    await do_next(private.third, RIGHT.lower())
    await settle(node)
    assert (await node.operator().ok("GET", "/api/admin/benchmarks"))["benchmarks"] == []
    disputed = await dispute(node)
    await _share(node, disputed.buyer)
    await do_next(disputed.third, RIGHT.lower())
    await settle(node)
    found = (await node.operator().ok("GET", "/api/admin/benchmarks"))["benchmarks"]
    assert len(found) == 1
    assert found[0]["origin_task_id"] == disputed.task_id
    assert sorted(found[0]["answers"]) == sorted([RIGHT, RIGHT.lower()])
    # None of the three that were shown the text gets it as a gold task.
    await quality(node, benchmark_rate=1)
    assert (await inject(node))["injected"] == 1
    polls = [w.get("/api/work/next") for w in (disputed.first, disputed.second, disputed.third)]
    assert [answer.status_code for answer in await asyncio.gather(*polls)] == [204] * 3
    await node.prove()


async def test_one_goes_to_no_lower_tier_than_its_buyer_asked_for(node: Node) -> None:
    disputed = await dispute(node)
    await _share(node, disputed.buyer)
    await rows(node, "UPDATE tasks SET min_tier = 1 WHERE id = %s", disputed.task_id)
    await do_next(disputed.third, RIGHT.lower())
    await settle(node)
    await quality(node, benchmark_rate=1)
    bronze = await node.worker()
    assert await inject(node) == {"injected": 0, "refused": 0}, "nobody may have it"

    silver = await node.worker()
    await rows(node, "UPDATE workers SET tier = 'silver' WHERE id = %s", silver.id)
    assert await inject(node) == {"injected": 1, "refused": 0}
    assert (await bronze.get("/api/work/next")).status_code == 204
    assert (await claim(silver))["prompt"] == "hello"
    await node.prove()
