"""A worker asks for its money: who may, how much, where to, and exactly once."""

import asyncio

import pytest

from openclaw_jobs.market.release_earnings import release_earnings
from tests.market.steps import misfit, refused, sql
from tests.payments.payout_steps import (
    PAYPAL,
    SOLANA,
    available,
    earn,
    open_market,
    rich_worker,
    withdraw,
)
from tests.payments.test_credits import done
from tests.running import Json, Node


async def test_a_withdrawal_sets_money_aside(node: Node) -> None:
    worker = await rich_worker(node, 3)
    answer = await worker.post("/api/worker/withdraw", {"amount_cents": 1_500})
    assert answer.status_code == 201
    body = answer.json()
    assert body["payout_id"].startswith("pay_")
    assert body == {
        "payout_id": body["payout_id"],
        "payout_status": "pending",
        "amount_cents": 1_500,
        "available_cents": 1_500,
    }
    assert await available(worker) == 1_500
    lots = await sql(node, "SELECT withdrawn_cents FROM earnings ORDER BY release_at, task_id")
    assert [row[0] for row in lots] == [1_000, 500, 0]
    await node.prove()


async def test_payouts_are_listed_newest_first(node: Node) -> None:
    worker = await rich_worker(node, 1)
    made = [await withdraw(worker, 10 + n) for n in range(5)]
    first = await worker.ok("GET", "/api/worker/payouts?limit=3")
    rest = await worker.ok("GET", f"/api/worker/payouts?limit=3&cursor={first['next_cursor']}")
    assert [p["payout_id"] for p in first["payouts"] + rest["payouts"]] == made[::-1]
    assert rest["next_cursor"] is None
    newest = first["payouts"][0]
    assert newest["amount_cents"] == 14
    assert (newest["payout_status"], newest["method"]) == ("pending", "paypal")
    assert newest["address"] == PAYPAL
    assert (newest["reason"], newest["ended_at"]) == (None, None)
    other = await node.worker()
    assert (await other.ok("GET", "/api/worker/payouts"))["payouts"] == []
    misfit(await worker.get("/api/worker/payouts", cursor="task_x"), "cursor")


async def test_refusals_come_in_order(node: Node) -> None:
    await open_market(node, min_withdrawal_cents=500, require_verified_email=True)
    worker = await node.worker()
    await earn(node, worker, 1)
    path, much = "/api/worker/withdraw", {"amount_cents": 100_000}

    await sql(node, "UPDATE workers SET standing = 'suspended', suspended_reason = 'x'")
    assert refused(await worker.post(path, much), 403, "suspended")["suspended_until"] is None
    await sql(node, "UPDATE workers SET standing = 'active', suspended_reason = NULL")

    refused(await worker.post(path, much), 422, "payout_not_bound")
    bind = "/api/worker/bind-payout"
    await worker.ok("POST", bind, {"method": "paypal", "email": PAYPAL})
    refused(await worker.post(path, much), 422, "email_not_verified")
    await sql(node, "UPDATE workers SET email = 'a@example.com', email_verified_at = now()")
    await worker.ok("POST", bind, {"method": "solana", "address": SOLANA})
    pending = refused(await worker.post(path, much), 422, "payout_change_pending")
    assert pending["withdrawals_from"].endswith("Z")
    await sql(node, "UPDATE workers SET payout_blocked_until = now()")

    assert refused(await worker.post(path, much), 422, "limit_exceeded")["available_cents"] == 1_000
    small = refused(await worker.post(path, {"amount_cents": 499}), 422, "limit_exceeded")
    assert small["min_withdrawal_cents"] == 500
    await withdraw(worker, 500)
    await node.prove()


async def test_frozen_money_cannot_be_withdrawn(node: Node) -> None:
    worker = await rich_worker(node)
    await done(await node.buyer(1_100), worker)
    refused(await worker.post("/api/worker/withdraw", {"amount_cents": 1_001}), 422,
            "limit_exceeded")  # fmt: skip
    await withdraw(worker, 1_000)
    await node.prove()


async def test_a_day_has_a_limit(node: Node) -> None:
    worker = await rich_worker(node, 3, daily_withdrawal_limit_cents=1_000)
    first = await withdraw(worker, 600)
    over = refused(
        await worker.post("/api/worker/withdraw", {"amount_cents": 401}), 422, "limit_exceeded"
    )
    assert over["daily_withdrawal_limit_cents"] == 1_000
    assert over["withdrawn_today_cents"] == 600
    await withdraw(worker, 400)
    # What was rejected no longer counts, nor does what was asked for yesterday.
    await node.operator().ok("POST", f"/api/admin/payouts/{first}/reject", {"reason": "no"})
    await withdraw(worker, 600)
    refused(await worker.post("/api/worker/withdraw", {"amount_cents": 1}), 422, "limit_exceeded")
    await sql(
        node,
        "UPDATE payouts SET created_at = date_trunc('day', now(), 'UTC') - interval '1 second'",
    )
    await withdraw(worker, 1_000)
    await node.prove()


async def test_a_hundred_withdrawals_of_everything_are_one(node: Node) -> None:
    worker = await rich_worker(node, 4)
    answers = await asyncio.gather(
        *(worker.post("/api/worker/withdraw", {"amount_cents": 4_000}) for _ in range(100))
    )
    assert sorted(a.status_code for a in answers) == [201] + [422] * 99
    assert {a.json()["code"] for a in answers if a.status_code == 422} == {"limit_exceeded"}
    assert await available(worker) == 0
    await node.prove()


async def test_withdrawals_credits_and_unfreezing_at_once_add_up(node: Node) -> None:
    worker = await rich_worker(node, 4)
    buyer = await node.buyer(10_000)
    tasks = [await done(buyer, worker) for _ in range(6)]
    await sql(node, "UPDATE earnings SET release_at = now() WHERE status = 'frozen'")
    withdrawals = [
        asyncio.ensure_future(worker.post("/api/worker/withdraw", {"amount_cents": 700}))
        for _ in range(12)
    ]
    await asyncio.gather(
        *withdrawals,
        *(buyer.ok("POST", f"/api/task/{t['id']}/credit", {}) for t in tasks),
        *(release_earnings(node.market) for _ in range(4)),
    )
    await release_earnings(node.market)
    made = [w.result().status_code for w in withdrawals].count(201)
    assert made >= 1
    await node.prove()


async def test_a_repeated_withdrawal_is_one(node: Node) -> None:
    worker = await rich_worker(node)
    body = {"amount_cents": 300}
    answers = [
        await worker.post("/api/worker/withdraw", body, idempotency_key="one") for _ in range(3)
    ]
    assert len({a.text for a in answers}) == 1
    assert {a.status_code for a in answers} == {201}
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    conflict = await worker.post(
        "/api/worker/withdraw", {"amount_cents": 301}, idempotency_key="one"
    )
    refused(conflict, 409, "idempotency_conflict")
    # A refusal is repeated as well, even once it would be granted.
    too_much = {"amount_cents": 800}
    first = await worker.post("/api/worker/withdraw", too_much, idempotency_key="two")
    await earn(node, worker)
    second = await worker.post("/api/worker/withdraw", too_much, idempotency_key="two")
    assert refused(first, 422, "limit_exceeded") == refused(second, 422, "limit_exceeded")
    assert await available(worker) == 1_700
    await node.prove()


async def test_withdrawals_are_rate_limited(node: Node) -> None:
    worker = await rich_worker(node)
    await node.configure("rate_limits", withdraw={"limit": 2, "per_seconds": 60})
    codes = [
        (await worker.post("/api/worker/withdraw", {"amount_cents": 1})).status_code
        for _ in range(3)
    ]
    assert codes[2] == 429
    await node.prove()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amount_cents": 0},
        {"amount_cents": -500},
        {"amount_cents": 1.5},
        {"amount_cents": "500"},
        {"amount_cents": True},
        {"amount_cents": None},
        {"amount_cents": 2**63},
        {"amount_cents": 10**30},
        {"amount_cents": 500, "to": "me@example.com"},
    ],
)
async def test_what_is_no_amount_is_refused(node: Node, body: Json) -> None:
    worker = await rich_worker(node)
    refused(await worker.post("/api/worker/withdraw", body), 422, "validation_failed")
    assert await available(worker) == 1_000
    await node.prove()


async def test_only_a_worker_withdraws(node: Node) -> None:
    body = {"amount_cents": 500}
    refused(await node.anyone().post("/api/worker/withdraw", body), 401, "unauthenticated")
    refused(await (await node.buyer()).post("/api/worker/withdraw", body), 403, "forbidden")
    refused(await node.operator().post("/api/worker/withdraw", body), 403, "forbidden")
    worker = await node.worker()
    refused(await worker.get("/api/admin/payouts"), 403, "forbidden")
