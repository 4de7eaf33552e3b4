"""What goes back: refunds, disputes, and Stripe's own payouts."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from openclaw_jobs.economy.seed import PACKS
from openclaw_jobs.market.work_webhooks import work_webhooks
from tests.fakes.stripe import DISPUTE_FEE_CENTS, Object, fee_of
from tests.market.steps import claim, complete, post, refused, sql
from tests.payments.shop import Shop, open_shop
from tests.running import Party

PRO, BONUS = PACKS.pro.cents, PACKS.pro.bonus_cents
FEE = fee_of(PRO)


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as opened:
        yield opened


async def spend(shop: Shop, buyer: Party, cents: int) -> None:
    """Have tasks of a given price done for all of `cents`."""
    worker = await shop.node.worker()
    await shop.node.configure(
        "pricing", base_cents={"default": cents}, per_1000_chars_cents=0, max_cents=100_000
    )
    await post(buyer)
    await complete(worker, await claim(worker))


# Refunds.


async def test_a_partial_refund_takes_its_share_of_the_bonus(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    event = shop.stripe.refund(session_id, PRO // 2)
    await shop.bring(event, times=3)
    assert await shop.money(buyer) == (PRO // 2, BONUS // 2, 0)
    assert await shop.account("stripe") == PRO // 2 - FEE
    lifetime = (await buyer.ok("GET", "/api/balance"))["lifetime"]
    assert (lifetime["deposited_cents"], lifetime["bonus_cents"]) == (PRO // 2, BONUS // 2)
    (deposit,) = await shop.deposits(buyer)
    assert (deposit["status"], deposit["refunded_cents"]) == ("paid", PRO // 2)
    await shop.node.prove()
    # The rest of it, to the last cent of the bonus.
    await shop.bring(shop.stripe.refund(session_id, PRO // 2))
    assert await shop.money(buyer) == (0, 0, 0)
    await shop.node.prove()


async def test_refunds_are_cumulative_in_any_order(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    events = [shop.stripe.refund(session_id, cents) for cents in (333, 333, 334)]
    await shop.bring(events[1], events[0], events[2], events[0])
    assert await shop.money(buyer) == (PRO - 1000, BONUS - BONUS * 1000 // PRO, 0)
    assert await shop.account("stripe") == PRO - FEE - 1000
    await shop.node.prove()


async def test_a_refund_after_spending_is_owed_and_the_next_deposit_repays_it(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    await spend(shop, buyer, PRO + BONUS - 300)
    assert await shop.money(buyer) == (300, 0, 0)
    await shop.bring(shop.stripe.refund(session_id, PRO))
    # No bonus is left to take.
    assert await shop.money(buyer) == (0, 0, PRO - 300)
    await shop.node.prove()
    await shop.deposit(buyer, "starter")
    assert await shop.money(buyer) == (0, 0, PRO - 300 - PACKS.starter.cents)
    await shop.deposit(buyer)
    assert await shop.money(buyer) == (300 + PACKS.starter.cents, BONUS, 0)
    await shop.node.prove()


async def test_a_refund_meets_a_task_that_is_charged_at_once(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    await shop.sender.deliver([shop.stripe.refund(session_id, PRO)])
    desk = shop.node.runtime.desk
    await asyncio.gather(
        *(buyer.post("/api/task", {"prompt": "hello"}) for _ in range(40)),
        *(work_webhooks(shop.node.market, desk) for _ in range(4)),
    )
    await shop.node.prove()
    paid, promo, owed = await shop.money(buyer)
    assert paid == 0 or owed == 0
    assert promo <= BONUS


@pytest.mark.parametrize("total", [PRO + 1, -1, 10**30, None, "5"])
async def test_a_refund_that_cannot_be_is_left_to_somebody(shop: Shop, total: object) -> None:
    buyer = await shop.node.buyer(0)
    charge = shop.stripe.charge_of(await shop.deposit(buyer))
    odd = shop.stripe.tell("charge.refunded", charge | {"amount_refunded": total})
    assert (await shop.bring(odd)).failed == 1
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    await shop.node.prove()


# Disputes.


def dispute_of(event: Object) -> str:
    found: str = event["data"]["object"]["id"]
    return found


async def test_a_dispute_sets_the_money_aside_and_suspends_the_buyer(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    queued = await post(buyer)
    await buyer.ok("POST", f"/api/task/{queued['id']}/cancel")

    await shop.bring(shop.stripe.dispute(session_id), times=3)

    assert await shop.money(buyer) == (0, BONUS, 0)
    assert await shop.account("stripe") == -FEE - DISPUTE_FEE_CENTS
    assert await shop.account("dispute_receivable") == PRO
    assert await shop.account("dispute_hold") == -PRO
    assert await shop.account("expense:dispute") == DISPUTE_FEE_CENTS
    problem = refused(await buyer.post("/api/task", {"prompt": "hello"}), 403, "suspended")
    assert problem["suspended_until"] is None
    answer = await buyer.post("/api/task", {"prompt": "a", "dry_run": True})
    refused(answer, 403, "suspended")
    # It still sees what it has, and may pay.
    await buyer.ok("GET", f"/api/task/{queued['id']}")
    await shop.buy(buyer)
    await shop.node.prove()


async def test_a_dispute_that_is_won_is_reversed(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    event = shop.stripe.dispute(session_id)
    await shop.bring(event)
    await shop.bring(shop.stripe.close(dispute_of(event), "won"), times=3)
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    assert await shop.account("stripe") == PRO - FEE
    for account in ("dispute_receivable", "dispute_hold", "expense:dispute"):
        assert await shop.account(account) == 0
    await post(buyer)
    await shop.node.prove()


async def test_a_dispute_that_is_lost_leaves_the_buyer_suspended(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    event = shop.stripe.dispute(session_id)
    await shop.bring(event)
    await shop.bring(shop.stripe.close(dispute_of(event), "lost"), times=3)
    assert await shop.money(buyer) == (0, BONUS, 0)
    assert await shop.account("stripe") == -FEE - DISPUTE_FEE_CENTS
    for account in ("dispute_receivable", "dispute_hold"):
        assert await shop.account(account) == 0
    refused(await buyer.post("/api/task", {"prompt": "hello"}), 403, "suspended")
    await shop.node.prove()
    # Until an operator says otherwise.
    path = f"/api/admin/buyers/{buyer.id}/reinstate"
    refused(await buyer.post(path), 403, "forbidden")
    for _ in range(2):
        assert await shop.node.operator().ok("POST", path) == {
            "buyer_id": buyer.id,
            "status": "active",
        }
    await post(buyer)
    refused(await shop.node.operator().post("/api/admin/buyers/byr_x/reinstate"), 404, "not_found")
    rows = await sql(shop.node, "SELECT count(*) FROM audit_log WHERE action = 'buyer.reinstate'")
    assert rows == [(1,)]
    await shop.node.prove()


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_a_dispute_after_spending_is_owed(shop: Shop, end: str) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    await spend(shop, buyer, PRO + BONUS - 200)
    event = shop.stripe.dispute(session_id)
    await shop.bring(event)
    assert await shop.money(buyer) == (0, 0, PRO - 200)
    await shop.node.prove()

    await shop.bring(shop.stripe.close(dispute_of(event), end))

    # Won, the split is as it was; lost, the next deposits repay what is owed.
    if end == "won":
        assert await shop.money(buyer) == (200, 0, 0)
        return
    assert await shop.money(buyer) == (0, 0, PRO - 200)
    await shop.deposit(buyer)
    assert await shop.money(buyer) == (200, BONUS, 0)
    await shop.node.prove()


async def test_what_was_repaid_before_a_dispute_is_won_is_the_buyers_again(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    await spend(shop, buyer, PRO + BONUS)
    event = shop.stripe.dispute(session_id)
    await shop.bring(event)
    await shop.deposit(buyer, "starter")
    cents = PACKS.starter.cents
    assert await shop.money(buyer) == (0, 0, PRO - cents)
    await shop.bring(shop.stripe.close(dispute_of(event), "won"))
    assert await shop.money(buyer) == (cents, 0, 0)
    await shop.node.prove()


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_a_dispute_whose_end_is_told_first(shop: Shop, end: str) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    opened = shop.stripe.dispute(session_id)
    closed = shop.stripe.close(dispute_of(opened), end)
    await shop.bring(closed, opened)
    assert await shop.money(buyer) == ((PRO, BONUS, 0) if end == "won" else (0, BONUS, 0))
    answer = await buyer.post("/api/task", {"prompt": "hello"})
    assert answer.status_code == (201 if end == "won" else 403)
    await shop.node.prove()


async def test_an_inquiry_moves_nothing_until_it_is_a_dispute(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    event = shop.stripe.dispute(session_id, inquiry=True)
    await shop.bring(event)
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    await post(buyer)
    await shop.bring(shop.stripe.close(dispute_of(event), "warning_closed"))
    assert await shop.account("dispute_hold") == 0
    await shop.node.prove()


async def test_one_won_dispute_does_not_lift_the_suspension_of_another(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    first, second = await shop.deposit(buyer), await shop.deposit(buyer)
    one, two = shop.stripe.dispute(first), shop.stripe.dispute(second)
    await shop.bring(one, two)
    await shop.bring(shop.stripe.close(dispute_of(one), "won"))
    refused(await buyer.post("/api/task", {"prompt": "hello"}), 403, "suspended")
    await shop.bring(shop.stripe.close(dispute_of(two), "won"))
    await post(buyer)
    await shop.node.prove()


async def test_a_dispute_that_lacks_its_money_is_asked_for(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    event = shop.stripe.dispute(session_id)
    # The event was made a moment before the money moved; later it is there to be read.
    event["data"]["object"]["balance_transactions"] = []
    expanded = shop.stripe.objects[dispute_of(event)]
    assert expanded["balance_transactions"]
    shop.stripe.faults = [500, 500, 500]
    assert (await shop.bring(event)).postponed == 1
    assert (await shop.hurry()).done == 1
    assert await shop.account("expense:dispute") == DISPUTE_FEE_CENTS
    await shop.node.prove()


async def test_a_dispute_does_not_wait_for_a_stripe_that_is_gone(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    event = shop.stripe.dispute(await shop.deposit(buyer))
    event["data"]["object"]["balance_transactions"] = []
    await shop.sender.deliver([event])
    await shop.stripe.stop()
    for _ in range(3):
        await shop.hurry()
    refused(await buyer.post("/api/task", {"prompt": "hello"}), 403, "suspended")
    assert await shop.money(buyer) == (0, BONUS, 0)
    await shop.node.prove()


async def test_a_dispute_worked_many_times_at_once_is_one(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    opened = shop.stripe.dispute(session_id)
    dispute = shop.stripe.objects[dispute_of(opened)]
    events = [opened] + [
        shop.stripe.tell("charge.dispute.funds_withdrawn", dispute) for _ in range(10)
    ]
    await shop.sender.deliver(events, times=3)
    desk = shop.node.runtime.desk
    await asyncio.gather(*(work_webhooks(shop.node.market, desk) for _ in range(8)))
    await shop.hurry()
    assert set((await shop.event_states()).values()) == {"done"}
    assert await shop.account("dispute_hold") == -PRO
    await shop.node.prove()


async def test_the_buyer_is_told_of_each_change(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.deposit(buyer)
    event = shop.stripe.dispute(session_id)
    await shop.bring(event)
    await shop.bring(shop.stripe.close(dispute_of(event), "won"))
    await shop.bring(shop.stripe.refund(session_id, PRO))
    rows = await sql(
        shop.node,
        "SELECT data FROM events WHERE buyer_id = %s AND type = 'balance' ORDER BY seq",
        buyer.id,
    )
    told = [json.loads(str(data))["balance_cents"] for (data,) in rows]
    assert told == [PRO + BONUS, BONUS, PRO + BONUS, 0]


# Stripe's payouts.


async def test_stripe_pays_out_to_the_bank(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    await shop.deposit(buyer)
    event = shop.stripe.payout(3_000)
    await shop.bring(event, times=3)
    again = shop.stripe.tell("payout.paid", event["data"]["object"])
    await shop.bring(again)
    assert (await shop.account("bank"), await shop.account("stripe")) == (3_000, PRO - FEE - 3_000)
    await shop.node.prove()


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,), (0, 1, 0, 1), (1, 1, 0)])
async def test_a_payout_that_comes_back_is_as_if_it_had_not_been(
    shop: Shop, order: tuple[int, ...]
) -> None:
    paid = shop.stripe.payout(3_000)
    failed = shop.stripe.fail_payout(paid["data"]["object"]["id"])
    await shop.bring(*[(paid, failed)[number] for number in order])
    assert (await shop.account("bank"), await shop.account("stripe")) == (0, 0)
    assert set((await shop.event_states()).values()) == {"done"}
    await shop.node.prove()
