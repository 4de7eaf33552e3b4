"""What an operator sees of checks, and how it overrules them."""

import asyncio

from tests.market.steps import balance, refused, status_of
from tests.quality.check_steps import RIGHT, WRONG, dispute, do_next, record_of, rows, settle
from tests.running import Json, Node


async def the_check(node: Node) -> Json:
    (found,) = (await node.operator().ok("GET", "/api/admin/quality"))["checks"]
    return found


async def overrule(node: Node, check: Json, status: int = 200, **body: Json) -> Json:
    path = f"/api/admin/quality/{check['id']}/verdict"
    return await node.operator().ok("POST", path, body, status)


async def test_a_check_shows_all_that_it_went_by(node: Node) -> None:
    disputed = await dispute(node, WRONG, RIGHT)
    await do_next(disputed.third, RIGHT)
    await settle(node)

    check = await the_check(node)

    assert check["prompt"] == "hello"
    assert [(check[side] or {}).get("result") for side in ("first", "second", "third")] == [
        *(WRONG, RIGHT, RIGHT)
    ]
    assert check["first"]["task_id"] == disputed.task_id
    assert check["first"]["worker_id"] == disputed.first.id
    assert check["verdict"] == {"first": "bad", "second": "good"}
    assert (check["agree"], check["stage"], check["decided_by"]) == (False, "decided", "checks")
    assert 0 <= check["similarity"] < 1
    assert set(check["evidence"]) == {"copy", "third_first", "third_second"}
    assert check["evidence"]["third_second"]["agree"] is True
    assert check["method"]
    assert check["engine"]
    assert check["why"]
    assert check["reason"] == "the third agrees with the second"
    one = await node.operator().ok("GET", f"/api/admin/quality/{check['id']}")
    assert one == check
    for query, count in (
        ("stage=decided", 1),
        ("stage=void", 0),
        ("kind=gold", 0),
        (f"worker_id={disputed.first.id}", 1),
        (f"worker_id={disputed.third.id}", 0),
        (f"cursor={check['id']}", 0),
    ):
        listed = await node.operator().ok("GET", f"/api/admin/quality?{query}")
        assert len(listed["checks"]) == count, query
    stats = await node.operator().ok("GET", "/api/admin/stats")
    assert (stats["checks"]["decided_24h"], stats["checks"]["bad_24h"]) == (1, 1)
    assert stats["checks"]["spent_24h_cents"] == 24
    assert stats["money"]["today"]["check_charge"] == {"count": 2, "amount_cents": 24}
    for party in (disputed.buyer, disputed.first):
        refused(await party.get("/api/admin/quality"), 403, "forbidden")


async def test_a_good_result_may_become_bad_and_a_bad_one_good(node: Node) -> None:
    disputed = await dispute(node, WRONG, RIGHT)
    await do_next(disputed.third, RIGHT)
    await settle(node)
    check = await the_check(node)

    turned = await overrule(node, check, first="good", second="bad", note="the text is unclear")

    assert turned["verdict"] == {"first": "good", "second": "bad"}
    assert (turned["decided_by"], turned["reason"]) == ("operator", "the text is unclear")
    assert await record_of(node, disputed.first) == (1, 0, 1)
    assert await record_of(node, disputed.second) == (0, 1, 0)
    # The copy's price went back to the platform; what the buyer was credited stays its, and the
    # worker who had lost it is paid again.
    first, second = [await w.ok("GET", "/api/worker/me") for w in (disputed.first, disputed.second)]
    assert (second["stats"]["credited"], second["balance"]["lifetime_cents"]) == (1, 0)
    assert (first["stats"]["credited"], first["balance"]["lifetime_cents"]) == (0, 9)
    assert (first["balance"]["available_cents"], first["balance"]["frozen_cents"]) == (9, 0)
    assert await status_of(disputed.buyer, disputed.task_id) == "credited"
    assert await balance(disputed.buyer) == 10_000
    again = await overrule(node, check, first="good", second="bad", note="the text is unclear")
    assert again == turned
    entries = (await node.operator().ok("GET", "/api/admin/audit"))["entries"]
    assert [e["action"] for e in entries].count("quality.verdict") == 1
    # Paid again once, and for good: it cannot be bad and paid.
    path = f"/api/admin/quality/{check['id']}/verdict"
    for body in ({"first": "bad"}, {"first": "bad", "second": "good"}):
        problem = refused(await node.operator().post(path, body), 409, "wrong_state")
        assert "paid again" in problem["detail"]
    assert await the_check(node) == turned
    assert (await overrule(node, check, first="inconclusive"))["verdict"]["first"] == "inconclusive"
    assert await record_of(node, disputed.first) == (0, 0, 0)
    refused(await node.operator().post(path, {"first": "bad"}), 409, "wrong_state")
    assert (await overrule(node, check, first="good"))["verdict"]["first"] == "good"
    assert await record_of(node, disputed.first) == (1, 0, 1)
    first = await disputed.first.ok("GET", "/api/worker/me")
    assert first["balance"]["available_cents"] == 9, "paid again once"
    nothing = await overrule(node, check, second="inconclusive")
    assert nothing["verdict"] == {"first": "good", "second": "inconclusive"}
    assert await record_of(node, disputed.second) == (0, 0, 0)
    await node.prove()


async def test_no_statistics_are_held_while_a_balance_is_waited_for(node: Node) -> None:
    """Else two transactions about the same two workers could wait for each other."""
    disputed = await dispute(node, WRONG, RIGHT)
    await do_next(disputed.third, RIGHT)
    await settle(node)
    check = await the_check(node)
    async with node.market.db.transaction() as conn:
        await conn.execute("SELECT FROM balances WHERE owner = %s FOR UPDATE", (disputed.first.id,))
        turning = asyncio.create_task(overrule(node, check, first="good", second="bad"))
        done, _ = await asyncio.wait([turning], timeout=0.5)
        assert not done, "it waits for the balance"
        await conn.execute(
            "SELECT FROM worker_stats WHERE worker_id = %s FOR UPDATE NOWAIT",
            (disputed.second.id,),
        )
    assert (await turning)["verdict"] == {"first": "good", "second": "bad"}
    await node.prove()


async def test_what_a_worker_owes_is_repaid_first(node: Node) -> None:
    disputed = await dispute(node, WRONG, RIGHT)
    # All that it earned was paid out before it was found bad.
    await rows(node, "UPDATE earnings SET release_at = now()")
    await node.operator().ok("POST", "/api/cron/unfreeze-earnings")
    await node.configure("commissions", require_verified_email=False, min_withdrawal_cents=1)
    await disputed.first.ok(
        "POST", "/api/worker/bind-payout", {"method": "paypal", "email": "w@example.com"}
    )
    await disputed.first.ok("POST", "/api/worker/withdraw", {"amount_cents": 5}, 201)
    await do_next(disputed.third, RIGHT)
    await settle(node)
    await node.prove()

    await overrule(node, await the_check(node), first="good")

    balance = (await disputed.first.ok("GET", "/api/worker/me"))["balance"]
    assert (balance["available_cents"], balance["lifetime_cents"]) == (4, 9)
    owed = await rows(
        node,
        "SELECT balance_cents FROM balances WHERE owner = %s AND account = 'receivable:worker'",
        disputed.first.id,
    )
    assert owed == [(0,)]
    await node.prove()


async def test_an_operator_decides_what_is_inconclusive_or_open(node: Node) -> None:
    disputed = await dispute(node, WRONG, RIGHT)
    check = await the_check(node)
    assert check["stage"] == "arbitrating"

    decided = await overrule(node, check, first="bad")

    assert (decided["stage"], decided["verdict"]) == ("decided", {"first": "bad", "second": None})
    assert await status_of(disputed.buyer, disputed.task_id) == "credited"
    assert await record_of(node, disputed.first) == (0, 1, 0)
    # The arbiter that still waits has nothing to decide any more, and leaves the queue.
    await node.operator().ok("POST", "/api/cron/timeout-recovery")
    assert (await disputed.third.get("/api/work/next")).status_code == 204
    assert await rows(node, "SELECT spent_cents, reserved_cents FROM checks") == [(12, 0)]
    await node.prove()


async def test_what_cannot_be_overruled(node: Node) -> None:
    await dispute(node)
    check = await the_check(node)
    operator, path = node.operator(), "/api/admin/quality/{}/verdict"
    for body in ({}, {"first": "fine"}, {"note": "x"}, {"third": "good"}, {"first": None}):
        answer = await operator.post(path.format(check["id"]), body)
        refused(answer, 422, "validation_failed")
    for unknown in ("chk_1", check["first"]["task_id"], "chk_01h455vb4pex5vsknk084sn02q"):
        answer = await operator.post(path.format(unknown), {"first": "good"})
        refused(answer, 404, "not_found")
        refused(await operator.get(f"/api/admin/quality/{unknown}"), 404, "not_found")
    for query in ({"limit": 0}, {"stage": "x"}, {"cursor": "\0"}):
        answer = await operator.get("/api/admin/quality", **query)
        refused(answer, 422, "validation_failed")
