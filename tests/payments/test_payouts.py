"""The way of a payout: each state, and each outcome of asking its provider."""

import pytest

from openclaw_jobs.market.work_payouts import take_due, work_payout, work_payouts
from openclaw_jobs.payments.providers import Failed, Paid, Returned, Sent, Unknown
from tests.market.steps import misfit, refused, sql
from tests.payments.payout_steps import (
    PAYPAL,
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
    unavailable,
    withdraw,
    work,
)
from tests.running import Json, Node, Party


@pytest.fixture
def rail(node: Node) -> ScriptedRail:
    """A rail for PayPal that the node pays by."""
    scripted = ScriptedRail()
    attach(node, scripted)
    return scripted


async def of_worker(worker: Party) -> Json:
    """The worker's newest payout."""
    return (await worker.ok("GET", "/api/worker/payouts"))["payouts"][0]


async def postings(node: Node) -> dict[str, int]:
    """Debits less credits of the accounts that payouts touch."""
    rows = await sql(
        node,
        "SELECT account, sum(amount_cents)::int FROM postings WHERE account IN"
        " ('payout', 'paypal', 'usdc_sol', 'bank', 'expense:payout_fee') GROUP BY account",
    )
    return {str(account): int(str(cents)) for account, cents in rows if cents}


async def test_pending_approved_submitted_paid(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    rail.fee_cents = 25
    payout = await withdraw(worker, 700)
    await work(node)
    assert await state(node, payout) == "pending"
    assert rail.calls == {}
    approved = await approve(node, payout)
    assert (approved["payout_status"], approved["provider"]) == ("approved", "paypal")
    assert approved["approved_by"] == "operator"
    await work(node)
    assert await state(node, payout) == "submitted"
    await work(node)
    told = await of_worker(worker)
    assert (told["payout_status"], told["reason"]) == ("paid", None)
    assert told["ended_at"].endswith("Z")
    assert rail.paid == {f"{payout}-1": 700}
    assert await postings(node) == {"paypal": -725, "expense:payout_fee": 25}
    assert await available(worker) == 300
    # It has ended: nothing more is done for it.
    calls = rail.calls.copy()
    await work(node, 3)
    assert rail.calls == calls
    await node.prove()


async def test_a_rejected_payout_is_the_workers_money_again(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node, 2)
    payout = await withdraw(worker, 1_500)
    operator = node.operator()
    path = f"/api/admin/payouts/{payout}"
    rejected = await operator.ok("POST", f"{path}/reject", {"reason": "odd address"})
    assert rejected["payout_status"] == "rejected"
    assert (await of_worker(worker))["reason"] == "odd address"
    assert await available(worker) == 2_000
    for act in ("approve", "reject", "retry"):
        problem = refused(await operator.post(f"{path}/{act}", {}), 409, "wrong_state")
        assert problem["payout_status"] == "rejected"
    await work(node)
    assert rail.calls == {}
    await node.prove()
    await withdraw(worker, 2_000)
    await node.prove()


async def test_a_failed_payout_can_be_retried_while_the_money_is_there(
    node: Node, rail: ScriptedRail
) -> None:
    worker = await rich_worker(node, 2)
    payout = await withdraw(worker, 1_500)
    path = f"/api/admin/payouts/{payout}/retry"
    operator = node.operator()
    refused(await operator.post(path, {}), 409, "wrong_state")
    await approve(node, payout)
    rail.on_send.append(Failed("the account is closed"))
    rail.lost.add(f"{payout}-1")
    await work(node)
    told = await of_worker(worker)
    assert (told["payout_status"], told["reason"]) == ("failed", "the account is closed")
    assert await available(worker) == 2_000
    await node.prove()

    elsewhere = await withdraw(worker, 600)
    gone = refused(await operator.post(path, {}), 422, "limit_exceeded")
    assert gone["available_cents"] == 1_400
    await operator.ok("POST", f"/api/admin/payouts/{elsewhere}/reject", {})
    again = await operator.ok("POST", path, {})
    assert (again["payout_status"], again["error"]) == ("approved", None)
    assert again["ended_at"] is None
    assert await available(worker) == 500
    await node.prove()
    await work(node, 2)
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-2": 1_500}
    await node.prove()


async def test_a_payout_can_fail_again_and_again(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    for number in (1, 2, 3):
        rail.on_send.append(Failed("no"))
        rail.lost.add(f"{payout}-{number}")
        await work(node)
        assert await state(node, payout) == "failed"
        assert await available(worker) == 1_000
        await node.prove()
        await node.operator().ok("POST", f"/api/admin/payouts/{payout}/retry", {})
    assert await available(worker) == 0
    await node.prove()


async def test_what_is_unknown_is_asked_about_and_never_failed(
    node: Node, rail: ScriptedRail
) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    # The money left, the answer did not come.
    rail.on_send.append(time_out)
    await work(node)
    assert await state(node, payout) == "unknown"
    assert await available(worker) == 0
    rail.on_check.extend([time_out, unavailable, Unknown("maintenance"), Unknown("still")])
    for _ in range(2):
        await work(node)
        assert await state(node, payout) in {"unknown", "submitted"}
        await node.prove()
    rail.on_check.clear()
    await work(node)
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-1": 1_000}
    assert rail.calls["prepare"] == 1
    await node.prove()


async def test_an_order_that_never_arrived_is_sent_again_as_it_was(
    node: Node, rail: ScriptedRail
) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    rail.lost.add(f"{payout}-1")
    rail.on_send.extend([time_out, time_out, time_out])
    await work(node, 3)
    assert await state(node, payout) == "unknown"
    rail.lost.clear()
    await work(node, 2)
    assert await state(node, payout) == "paid"
    assert (rail.total_cents, rail.calls["prepare"]) == (1_000, 1)
    await node.prove()


async def test_an_old_unknown_is_left_to_the_operator(node: Node, rail: ScriptedRail) -> None:
    """Past the time for which a rail surely remembers a key, nothing is sent again."""
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    rail.lost.add(f"{payout}-1")
    rail.on_send.append(time_out)
    await work(node)
    await sql(node, "UPDATE payout_attempts SET created_at = now() - interval '2 days'")
    sent = rail.calls["send"]
    await work(node, 3)
    assert (rail.calls["send"], await state(node, payout)) == (sent, "unknown")
    operator, path = node.operator(), f"/api/admin/payouts/{payout}"
    misfit(await operator.post(f"{path}/mark-failed", {}), "reason")
    failed = await operator.ok("POST", f"{path}/mark-failed", {"reason": "PayPal never had it"})
    assert failed["payout_status"] == "failed"
    assert await available(worker) == 1_000
    await node.prove()


async def test_nothing_is_settled_by_hand_while_it_may_be_sent(
    node: Node, rail: ScriptedRail
) -> None:
    """Else a payout whose money went back could be on its way at that very moment."""
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    rail.lost.add(f"{payout}-1")
    rail.on_send.append(time_out)
    await work(node)
    assert await state(node, payout) == "unknown"
    await make_due(node)
    (taken,) = await take_due(node.market, {"paypal": rail})
    operator, path = node.operator(), f"/api/admin/payouts/{payout}"
    for act, body in (("mark-failed", {"reason": "x"}), ("mark-paid", {"reference": "x"})):
        refused(await operator.post(f"{path}/{act}", body), 409, "wrong_state")
    rail.on_send.append(time_out)
    await work_payout(node.market, {"paypal": rail}, taken)
    assert await state(node, payout) == "unknown"
    await operator.ok("POST", f"{path}/mark-failed", {"reason": "PayPal never had it"})
    assert await available(worker) == 1_000
    await node.prove()


async def test_what_was_acknowledged_stays_so_while_nobody_answers(
    node: Node, rail: ScriptedRail
) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    await work(node)
    rail.on_check.extend([time_out, Unknown("down"), Sent("ref 2")])
    for _ in range(3):
        await work(node)
        assert await state(node, payout) == "submitted"
    # Acknowledged, so never sent again.
    assert rail.calls["send"] == 1
    await work(node)
    assert await state(node, payout) == "paid"
    await node.prove()


@pytest.mark.parametrize("outcome", [Failed("refused"), Returned("unclaimed"), Paid("r", 7)])
async def test_a_check_can_end_it(
    node: Node, rail: ScriptedRail, outcome: Failed | Returned | Paid
) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    await work(node)
    rail.on_check.append(outcome)
    await work(node)
    expected = {Failed: "failed", Returned: "returned", Paid: "paid"}[type(outcome)]
    assert await state(node, payout) == expected
    assert await available(worker) == (0 if expected == "paid" else 1_000)
    await node.prove()


async def test_a_paid_payout_can_come_back(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    path, note = f"/api/admin/payouts/{payout}/mark-returned", {"reason": "reversed"}
    refused(await node.operator().post(path, note), 409, "wrong_state")
    await work(node, 2)
    returned = await node.operator().ok("POST", path, note)
    assert returned["payout_status"] == "returned"
    assert rail.total_cents == 1_000
    refused(await node.operator().post(path, note), 409, "wrong_state")
    assert (await of_worker(worker))["reason"] == "reversed"
    assert await available(worker) == 1_000
    assert await postings(node) == {}
    await node.prove()


@pytest.mark.parametrize("end", ["reject", "fail", "return"])
async def test_money_that_comes_back_repays_a_debt_first(
    node: Node, rail: ScriptedRail, end: str
) -> None:
    await open_market(node)
    worker, buyer = await node.worker(), await node.buyer(2_000)
    await worker.ok("POST", "/api/worker/bind-payout", {"method": "paypal", "email": PAYPAL})
    tasks = await earn(node, worker, 2, buyer=buyer)
    payout = await withdraw(worker, 2_000)
    if end != "reject":
        await approve(node, payout)
        await work(node, 2 if end == "return" else 1)
    # The money is out or on its way, so the worker owes what the buyer gets back.
    await buyer.ok("POST", f"/api/task/{tasks[0]['id']}/credit", {})
    await node.prove()
    if end == "fail":
        rail.on_check.append(Failed("no"))
        await work(node)
    else:
        act = "reject" if end == "reject" else "mark-returned"
        await node.operator().ok("POST", f"/api/admin/payouts/{payout}/{act}", {"reason": "x"})
    assert await available(worker) == 1_000
    owed = await sql(node, "SELECT balance_cents FROM balances WHERE account = 'receivable:worker'")
    assert owed == [(0,)]
    await node.prove()
    await withdraw(worker, 1_000)
    await node.prove()


async def test_small_payouts_need_no_operator(node: Node, rail: ScriptedRail) -> None:
    worker = await rich_worker(node, auto_approve_under_cents=300)
    small, large = await withdraw(worker, 300), await withdraw(worker, 301)
    await work(node, 3)
    assert (await state(node, small), await state(node, large)) == ("paid", "pending")
    listed = await node.operator().ok("GET", "/api/admin/payouts?status=paid")
    assert [p["approved_by"] for p in listed["payouts"]] == ["rules"]
    assert rail.total_cents == 300
    # A suspended worker's payouts wait for a person, however small.
    suspected = await withdraw(worker, 1)
    await sql(node, "UPDATE workers SET standing = 'suspended', suspended_reason = 'x'")
    await work(node)
    assert await state(node, suspected) == "pending"
    await node.prove()


async def test_without_its_provider_nothing_leaves_pending(node: Node) -> None:
    worker = await rich_worker(node, auto_approve_under_cents=1_000)
    payout = await withdraw(worker, 500)
    await work(node)
    operator, path = node.operator(), f"/api/admin/payouts/{payout}/approve"
    problem = refused(await operator.post(path, {}), 503, "unavailable")
    assert "PAYPAL_CLIENT_ID" in problem["detail"]
    refused(await operator.post(path, {"provider": "solana"}), 422, "validation_failed")
    misfit(await operator.post(path, {"provider": "cash"}), "provider")
    assert await state(node, payout) == "pending"
    await node.prove()


async def test_an_approved_payout_waits_for_a_node_that_can_pay(
    node: Node, rail: ScriptedRail
) -> None:
    worker = await rich_worker(node)
    payout = await withdraw(worker, 500)
    await approve(node, payout)
    await make_due(node)
    await work_payouts(node.market, {})
    assert await state(node, payout) == "approved"
    # Before it is begun, it can still be paid by hand instead.
    moved = await approve(node, payout, provider="manual")
    assert (moved["payout_status"], moved["provider"]) == ("approved", "manual")
    await work(node)
    assert rail.calls == {}
    await node.prove()


async def test_what_is_in_hand_is_given_to_nobody_else(node: Node, rail: ScriptedRail) -> None:
    """Else it is paid twice: by the process that has it, and by the operator's hand."""
    worker = await rich_worker(node)
    payout = await withdraw(worker, 500)
    await approve(node, payout)
    await make_due(node)
    (taken,) = await take_due(node.market, {"paypal": rail})
    path = f"/api/admin/payouts/{payout}/approve"
    refused(await node.operator().post(path, {"provider": "manual"}), 409, "wrong_state")
    assert rail.calls == {}

    # Who has had it in hand for too long finds that it is another's now.
    await sql(node, "UPDATE payouts SET taken_until = now() - interval '1 second'")
    moved = await approve(node, payout, provider="manual")
    assert (moved["payout_status"], moved["provider"]) == ("approved", "manual")
    await work_payout(node.market, {"paypal": rail}, taken)
    assert rail.calls == {}
    assert await sql(node, "SELECT FROM payout_attempts") == []
    done = await node.operator().ok(
        "POST", f"/api/admin/payouts/{payout}/mark-paid", {"reference": "WIRE 18"}
    )
    assert done["payout_status"] == "paid"
    assert await postings(node) == {"bank": -500}
    await node.prove()
