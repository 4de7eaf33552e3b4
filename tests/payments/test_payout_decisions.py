"""What operators do with payouts: pay by hand, approve, reject, look; and several nodes at once."""

import asyncio
import csv
import io

import httpx
import pytest

from openclaw_jobs.market.release_earnings import release_earnings
from openclaw_jobs.market.work_payouts import work_payouts
from openclaw_jobs.payments.providers import Failed, Paid, Returned
from tests.market.steps import refused, sql
from tests.payments.payout_steps import (
    PAYPAL,
    SOLANA,
    ScriptedRail,
    approve,
    attach,
    available,
    earn,
    make_due,
    open_market,
    rich_worker,
    state,
    time_out,
    withdraw,
    work,
)
from tests.payments.test_credits import done
from tests.running import Json, Node, running_node


@pytest.fixture
def rail(node: Node) -> ScriptedRail:
    """A rail for PayPal that the node pays by."""
    scripted = ScriptedRail()
    attach(node, scripted)
    return scripted


async def postings(node: Node) -> dict[str, int]:
    """Debits less credits of the accounts that payouts touch."""
    rows = await sql(
        node,
        "SELECT account, sum(amount_cents)::int FROM postings WHERE account IN"
        " ('payout', 'paypal', 'usdc_sol', 'bank', 'expense:payout_fee') GROUP BY account",
    )
    return {str(account): int(str(cents)) for account, cents in rows if cents}


@pytest.mark.parametrize("worked", [0, 2])
async def test_an_operator_pays_by_hand(node: Node, worked: int) -> None:
    worker = await rich_worker(node)
    paid, failed, waits = [await withdraw(worker, cents) for cents in (100, 250, 300)]
    for payout in (paid, failed):
        await approve(node, payout, provider="manual")
    await work(node, worked)
    operator = node.operator()
    answer = await operator.get("/api/admin/payouts", format="csv", provider="manual")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(r["payout_id"], r["amount_usd"], r["address"]) for r in rows] == [
        (paid, "1.00", PAYPAL),
        (failed, "2.50", PAYPAL),
    ]
    path = "/api/admin/payouts"
    done = await operator.ok("POST", f"{path}/{paid}/mark-paid", {"reference": "WIRE 17"})
    assert (done["payout_status"], done["attempt"]) == ("paid", 1)
    refused(await operator.post(f"{path}/{paid}/mark-paid", {"reference": "x"}), 409,
            "wrong_state")  # fmt: skip
    await operator.ok("POST", f"{path}/{failed}/mark-failed", {"reason": "no such account"})
    refused(await operator.post(f"{path}/{waits}/mark-paid", {"reference": "x"}), 409,
            "wrong_state")  # fmt: skip
    assert await postings(node) == {"payout": -300, "bank": -100}
    assert await available(worker) == 600
    references = await sql(node, "SELECT reference FROM payout_attempts WHERE status = 'paid'")
    assert references == [("WIRE 17",)]
    await node.prove()


async def test_by_hand_is_for_what_is_paid_by_hand(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 100)
    await approve(node, payout)
    path = f"/api/admin/payouts/{payout}/mark-paid"
    for _ in range(2):
        refused(await node.operator().post(path, {"reference": "x"}), 409, "wrong_state")
        await work(node)
    assert rail.total_cents == 100
    await node.prove()


async def test_every_decision_is_kept(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    first, second = await withdraw(worker, 100), await withdraw(worker, 200)
    await approve(node, first)
    await node.operator().ok("POST", f"/api/admin/payouts/{second}/reject", {"reason": "why"})
    await work(node, 2)
    await node.operator().ok(
        "POST", f"/api/admin/payouts/{first}/mark-returned", {"reason": "back"}
    )
    kept = await sql(
        node,
        "SELECT actor, action, subject, (detail->>'cents')::int FROM audit_log"
        " WHERE starts_with(action, 'payout.') ORDER BY id",
    )
    assert kept == [
        ("operator", "payout.approve", first, 100),
        ("operator", "payout.reject", second, 200),
        ("operator", "payout.mark_returned", first, 100),
    ]
    assert rail.total_cents == 100


async def test_of_many_approvals_one_counts(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    operator, path = node.operator(), f"/api/admin/payouts/{payout}"
    answers = await asyncio.gather(
        *(operator.post(f"{path}/{act}", {}) for _ in range(10) for act in ("approve", "reject"))
    )
    assert sorted(a.status_code for a in answers) == [200] + [409] * 19
    await work(node, 2)
    assert await state(node, payout) in {"paid", "rejected"}
    assert rail.total_cents + await available(worker) == 1_000
    await node.prove()


async def test_a_repeated_decision_is_answered_again(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    operator, path = node.operator(), f"/api/admin/payouts/{payout}/approve"
    first = await operator.post(path, {}, idempotency_key="a")
    await work(node, 2)
    second = await operator.post(path, {}, idempotency_key="a")
    assert first.json() == second.json()
    assert second.json()["payout_status"] == "approved"
    refused(await operator.post(path, {"provider": "manual"}, idempotency_key="a"), 409,
            "idempotency_conflict")  # fmt: skip
    assert rail.total_cents == 1_000


async def test_the_operators_list(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    made = [await withdraw(worker, 10 + n) for n in range(5)]
    await approve(node, made[2])
    operator = node.operator()
    first = await operator.ok("GET", "/api/admin/payouts?limit=2")
    rest = await operator.ok("GET", f"/api/admin/payouts?limit=100&cursor={first['next_cursor']}")
    assert [p["payout_id"] for p in first["payouts"] + rest["payouts"]] == made[::-1]
    shown = first["payouts"][0]
    assert (shown["worker_id"], shown["method"], shown["address"]) == (worker.id, "paypal", PAYPAL)
    approved = await operator.ok("GET", "/api/admin/payouts?status=approved")
    assert [p["payout_id"] for p in approved["payouts"]] == [made[2]]
    by_hand = await operator.ok("GET", "/api/admin/payouts?provider=manual")
    assert by_hand == {"payouts": [], "next_cursor": None}
    for query in ("status=lost", "provider=cash", "limit=0", "cursor=nonsense", "format=xml"):
        answer = await operator.http.get(f"/api/admin/payouts?{query}")
        refused(answer, 422, "validation_failed")
    for act in ("approve", "reject", "retry"):
        refused(await operator.post(f"/api/admin/payouts/pay_none/{act}", {}), 404, "not_found")
    refused(await operator.post(f"/api/admin/payouts/{made[0]}/reject", {"reason": "x" * 501}),
            422, "validation_failed")  # fmt: skip
    refused(await operator.post("/api/admin/payouts/%00/approve", {}), 404, "not_found")
    assert rail.calls == {}


async def test_two_nodes_work_the_same_payouts(dsn: str) -> None:
    async with (
        running_node(dsn, background=False) as one,
        running_node(dsn, background=False) as two,
    ):
        rail = ScriptedRail()
        rail.delay_s = 0.02
        attach(one, rail)
        attach(two, rail)
        worker = await rich_worker(one, 3)
        await one.market.configuration.refresh()
        payouts = [await withdraw(worker, 100) for _ in range(30)]
        for payout in payouts:
            await approve(one, payout)
        for _ in range(3):
            await make_due(one)
            await asyncio.gather(
                *(work_payouts(n.market, n.services.providers) for n in (one, two, one, two))
            )
        assert len(rail.paid) == 30
        assert rail.calls["prepare"] == rail.calls["send"] == 30
        listed = await one.operator().ok("GET", "/api/admin/payouts?status=paid&limit=100")
        assert len(listed["payouts"]) == 30
        await one.prove()


async def test_each_method_has_its_rail(node: Node) -> None:
    paypal, solana = ScriptedRail("paypal"), ScriptedRail("solana")
    attach(node, paypal, solana)
    worker = await rich_worker(node, payout_change_delay_hours=0)
    first = await withdraw(worker, 100)
    await worker.ok("POST", "/api/worker/bind-payout", {"method": "solana", "address": SOLANA})
    second = await withdraw(worker, 200)
    for payout in (first, second):
        await approve(node, payout)
    await work(node, 2)
    assert paypal.paid == {f"{first}-1": 100}
    assert solana.paid == {f"{second}-1": 200}
    assert await postings(node) == {"paypal": -100, "usdc_sol": -200}
    await node.prove()


async def test_everything_at_once_adds_up(node: Node, rail: ScriptedRail) -> None:
    """Withdrawals, decisions, outcomes, credits, unfreezing: no deadlock and no lost cent."""
    await open_market(node)
    workers = [await node.worker() for _ in range(3)]
    buyer = await node.buyer(20_000)
    tasks: list[Json] = []
    for worker in workers:
        await worker.ok("POST", "/api/worker/bind-payout", {"method": "paypal", "email": PAYPAL})
        tasks += await earn(node, worker, 4, buyer=buyer)
        await done(buyer, worker)
    await sql(node, "UPDATE earnings SET release_at = now() WHERE status = 'frozen'")
    payouts = [await withdraw(w, 300) for w in workers for _ in range(6)]
    rail.on_send.extend([Failed("no"), time_out, Returned("back"), Paid("at once", 5)] * 4)
    rail.lost.update(f"{p}-1" for p in payouts)
    operator = node.operator()
    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(operator.post(f"/api/admin/payouts/{p}/approve", {}) for p in payouts[::2]),
            *(operator.post(f"/api/admin/payouts/{p}/reject", {}) for p in payouts[1::3]),
            *(w.post("/api/worker/withdraw", {"amount_cents": 450}) for w in workers * 6),
            *(buyer.post(f"/api/task/{t['id']}/credit", {}) for t in tasks),
            *(release_earnings(node.market) for _ in range(4)),
            *(work(node) for _ in range(6)),
            *(operator.post(f"/api/admin/payouts/{p}/retry", {}) for p in payouts),
        )
    statuses = {a.status_code for a in answers if isinstance(a, httpx.Response)}
    assert statuses <= {200, 201, 409, 422}, statuses
    await node.prove()
    rail.on_send.clear()
    rail.lost.clear()
    await work(node, 4)
    await node.prove()
