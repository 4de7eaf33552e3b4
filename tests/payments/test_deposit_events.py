"""Stripe's events are worked once each, whatever their order, and credit what was paid."""

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from openclaw_jobs.background import deposit_jobs, repeat
from openclaw_jobs.economy.seed import PACKS
from openclaw_jobs.market.open_deposit import end_unborn_deposits
from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.work_webhooks import WorkedEvents, retry_event, work_webhooks
from openclaw_jobs.payments.deposits import rules
from tests.fakes.stripe import fee_of
from tests.market.steps import refused, sql
from tests.payments.shop import Shop, open_shop

PRO, BONUS = PACKS.pro.cents, PACKS.pro.bonus_cents


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as opened:
        yield opened


async def test_a_deposit_start_to_end(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    event = shop.stripe.pay(session_id)

    answer = await shop.sender.send(event)

    # Answered at once, and worked afterwards.
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert await shop.money(buyer) == (0, 0, 0)
    worked = await shop.work()
    assert worked == WorkedEvents(done=1)
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    lifetime = (await buyer.ok("GET", "/api/balance"))["lifetime"]
    assert (lifetime["deposited_cents"], lifetime["bonus_cents"]) == (PRO, BONUS)
    (deposit,) = await shop.deposits(buyer)
    assert deposit["status"] == "paid"
    assert deposit["paid_at"].endswith("Z")
    # What Stripe kept is what its balance transaction says.
    assert await shop.account("expense:stripe_fee") == fee_of(PRO)
    assert await shop.account("stripe") == PRO - fee_of(PRO)
    rows = await sql(shop.node, "SELECT fee_cents, charge_id FROM deposits")
    assert rows == [(fee_of(PRO), shop.stripe.charge_of(session_id)["id"])]
    told = await sql(
        shop.node, "SELECT data FROM events WHERE buyer_id = %s AND type = 'balance'", buyer.id
    )
    assert [json.loads(str(data))["balance_cents"] for (data,) in told] == [PRO + BONUS]
    await shop.node.prove()


async def test_an_event_is_worked_as_soon_as_it_arrives(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    job = deposit_jobs(shop.node.market, shop.node.runtime.desk)[0]
    # Its own pause would last longer than the test.
    job = msgspec.structs.replace(job, every_seconds=3_600)
    stop = asyncio.Event()
    loop = asyncio.create_task(repeat(job, shop.node.market.rng, stop))
    with shop.node.market.bus.subscribe(buyer.id) as subscription:
        await shop.sender.deliver([shop.stripe.pay(session_id)])
        await subscription.wait(30)
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    stop.set()
    async with asyncio.timeout(10):
        await loop
    await shop.node.prove()


async def test_ids_may_have_hyphens(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    paid = shop.stripe.pay(session_id) | {"id": "evt_1f0c6c5e-0d6b-4d7e-9d6c-6f3a3c1e8a55"}
    lost = copy.deepcopy(shop.stripe.dispute(session_id))
    lost["id"] = "evt_7a6e-1"
    lost["data"]["object"]["id"] = "du_7a6e-2"
    await shop.bring(paid, lost)
    assert await shop.event_states() == {paid["id"]: "done", lost["id"]: "done"}
    assert await shop.account("stripe") < 0, "the payment is back with the buyer, and a fee besides"
    await shop.node.prove()


async def test_fifty_deliveries_at_once_are_one_deposit(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    event = shop.stripe.pay(await shop.buy(buyer))
    desk = shop.node.runtime.desk
    await asyncio.gather(
        shop.sender.deliver([event], times=50),
        *(work_webhooks(shop.node.market, desk) for _ in range(8)),
    )
    await shop.work()
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    assert await shop.event_states() == {event["id"]: "done"}
    # Long afterwards it comes once more.
    await shop.bring(event)
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    await shop.node.prove()


async def test_several_events_of_one_payment_worked_at_once_are_one_deposit(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    shop.stripe.pay(session_id, later=True)
    shop.stripe.pay_at_last(session_id)
    session = shop.stripe.objects[session_id]
    for _ in range(10):
        shop.stripe.tell("checkout.session.completed", session)
        shop.stripe.tell("checkout.session.async_payment_succeeded", session)
    await shop.sender.deliver(shop.stripe.events, times=2, shuffle=random.Random(3))  # noqa: S311 - an order
    desk = shop.node.runtime.desk
    await asyncio.gather(*(work_webhooks(shop.node.market, desk) for _ in range(8)))
    await asyncio.gather(*(post_fees(shop.node.market, desk) for _ in range(8)))
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    assert await shop.account("expense:stripe_fee") == fee_of(PRO)
    await shop.node.prove()


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_ends_in_the_same(shop: Shop, seed: int) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    shop.stripe.pay(session_id, later=True)
    shop.stripe.pay_at_last(session_id)
    shop.stripe.refund(session_id, 1_000)
    shop.stripe.refund(session_id, 500)
    dispute = shop.stripe.dispute(session_id)["data"]["object"]["id"]
    shop.stripe.close(dispute, "won")
    events = list(reversed(shop.stripe.events))
    if seed:
        random.Random(seed).shuffle(events)  # noqa: S311 - an order
    for event in events:
        await shop.bring(event)
    for _ in range(3):
        await shop.hurry()
    assert set((await shop.event_states()).values()) <= {"done", "ignored"}
    assert await shop.money(buyer) == (PRO - 1_500, BONUS - BONUS * 1_500 // PRO, 0)
    assert await shop.account("stripe") == PRO - fee_of(PRO) - 1_500
    await shop.node.prove()


async def test_only_a_payment_that_was_paid_credits(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    await shop.bring(shop.stripe.pay(session_id, later=True))
    assert await shop.money(buyer) == (0, 0, 0)
    assert (await shop.deposits(buyer))[0]["status"] == "open"
    await shop.bring(shop.stripe.pay_at_last(session_id))
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    # Told too late to matter.
    await shop.bring(shop.stripe.fail(session_id), shop.stripe.expire(session_id))
    assert (await shop.deposits(buyer))[0]["status"] == "paid"
    await shop.node.prove()


@pytest.mark.parametrize("payment_status", ["unpaid", "no_payment_required", "", "PAID"])
async def test_other_payment_states_credit_nobody(shop: Shop, payment_status: str) -> None:
    buyer = await shop.node.buyer(0)
    session = shop.stripe.objects[await shop.buy(buyer)]
    session["payment_status"] = payment_status
    await shop.bring(shop.stripe.tell("checkout.session.completed", session))
    assert await shop.money(buyer) == (0, 0, 0)
    await shop.node.prove()


async def test_a_payment_that_fails_and_a_session_that_expires(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    failing, expiring = await shop.buy(buyer), await shop.buy(buyer)
    await shop.bring(
        shop.stripe.pay(failing, later=True),
        shop.stripe.fail(failing),
        shop.stripe.expire(expiring),
    )
    found = {d["session_id"]: d["status"] for d in await shop.deposits(buyer)}
    assert found == {failing: "failed", expiring: "expired"}
    assert await shop.money(buyer) == (0, 0, 0)
    # The bank changes its mind: what is paid is paid.
    await shop.bring(shop.stripe.pay_at_last(failing))
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    await shop.node.prove()


async def test_a_session_that_is_not_ours_credits_nobody(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session = dict(shop.stripe.objects[await shop.buy(buyer)])
    (deposit,) = await shop.deposits(buyer)
    foreign = [
        session | {"id": "cs_test_foreign", "payment_status": "paid", "metadata": {}},
        session | {"id": "cs_live_other", "payment_status": "paid", "metadata": None},
        # Even one that names a deposit of ours: that has its own session.
        session | {"id": "cs_test_claim", "payment_status": "paid", "payment_intent": "pi_x"},
        session
        | {"id": "cs_x", "payment_status": "paid", "client_reference_id": buyer.id, "metadata": {}},
    ]
    assert foreign[2]["metadata"]["deposit_id"] == deposit["id"]
    for found in foreign:
        await shop.bring(shop.stripe.tell("checkout.session.completed", found))
    assert set((await shop.event_states()).values()) == {"ignored"}
    assert await shop.money(buyer) == (0, 0, 0)
    await shop.node.prove()


async def test_an_amount_that_differs_is_left_to_somebody(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    shop.stripe.pay(session_id)
    session = shop.stripe.objects[session_id]
    cheap = shop.stripe.tell("checkout.session.completed", session | {"amount_total": 1})
    euros = shop.stripe.tell("checkout.session.completed", session | {"currency": "eur"})
    assert (await shop.bring(cheap, euros)).failed == 2
    assert await shop.money(buyer) == (0, 0, 0)
    rows = await sql(shop.node, "SELECT error FROM webhook_events WHERE event_id = %s", cheap["id"])
    assert "1 cents were paid" in str(rows[0][0])
    await shop.node.prove()


async def test_what_arrives_before_its_session_is_written_down_is_worked_later(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    shop.stripe.faults = ["drop_after"] * 3
    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k")
    refused(answer, 503, "unavailable")
    (session,) = shop.stripe.all_of("checkout.session")
    assert (await shop.bring(shop.stripe.pay(session["id"]))).postponed == 1
    assert (await shop.hurry()).postponed == 1
    assert await shop.money(buyer) == (0, 0, 0)
    # The buyer's second try writes the session down.
    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k")
    assert answer.json()["session_id"] == session["id"]
    assert (await shop.hurry()).done == 1
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    await shop.node.prove()


async def test_what_waits_for_a_deposit_is_tried_as_soon_as_it_is_paid(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    paid, refund = shop.stripe.pay(session_id), shop.stripe.refund(session_id, PRO)
    assert (await shop.bring(refund)).postponed == 1
    await shop.work()
    # Nothing but the payment's arrival makes the refund due again.
    worked = await shop.bring(paid)
    assert worked.done == 2
    assert await shop.money(buyer) == (0, 0, 0)
    await shop.node.prove()


async def test_what_never_becomes_known_is_let_go(shop: Shop) -> None:
    event = shop.stripe.tell(
        "charge.refunded", {"id": "ch_x", "payment_intent": "pi_x", "amount_refunded": 5}
    )
    await shop.bring(event)
    for _ in range(rules.MAX_ATTEMPTS - 2):
        assert (await shop.hurry()).postponed == 1
    assert (await shop.hurry()).ignored == 1
    assert await shop.event_states() == {event["id"]: "ignored"}
    await shop.node.prove()


async def test_a_crash_between_storing_and_working_loses_nothing(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        buyer = await shop.node.buyer(0)
        session_id = await shop.buy(buyer)
        await shop.sender.deliver([shop.stripe.pay(session_id)])
        token, stripe = buyer.token, shop.stripe
        objects = dict(stripe.objects)
    async with open_shop(dsn) as shop:
        shop.stripe.objects |= objects
        buyer = shop.node.party(buyer.id, token)
        assert await shop.money(buyer) == (0, 0, 0)
        await shop.work()
        assert await shop.money(buyer) == (PRO, BONUS, 0)
        assert await shop.account("expense:stripe_fee") == fee_of(PRO)
        await shop.node.prove()


async def test_a_fee_that_is_not_known_yet_is_asked_for_again(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session_id = await shop.buy(buyer)
    event = shop.stripe.pay(session_id)
    shop.stripe.faults = ["no_charge_yet", 404]
    await shop.bring(event)
    # The credit does not wait for the fee.
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    assert await shop.account("expense:stripe_fee") == 0
    await shop.node.prove()
    await shop.hurry()
    assert await shop.account("expense:stripe_fee") == 0
    await shop.hurry()
    assert await shop.account("expense:stripe_fee") == fee_of(PRO)
    await shop.hurry()
    assert await shop.account("expense:stripe_fee") == fee_of(PRO)
    await shop.node.prove()


async def test_what_an_operator_has_worked_again_changes_nothing(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    event = shop.stripe.pay(await shop.buy(buyer))
    await shop.bring(event)
    desk = shop.node.runtime.desk
    assert await retry_event(shop.node.market, desk, "stripe", event["id"])
    assert not await retry_event(shop.node.market, desk, "stripe", "evt_unknown")
    assert (await shop.work()).done == 1
    assert await shop.money(buyer) == (PRO, BONUS, 0)
    await shop.node.prove()


async def test_a_deposit_that_was_never_finished_ends(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    shop.stripe.faults = ["drop_before"] * 3
    await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k")
    assert await end_unborn_deposits(shop.node.market) == 0
    await sql(shop.node, "UPDATE deposits SET created_at = now() - interval '25 hours'")
    assert await end_unborn_deposits(shop.node.market) == 1
    assert [d["status"] for d in await shop.deposits(buyer)] == ["failed"]
    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k")
    assert answer.status_code == 200
    assert len(await shop.deposits(buyer)) == 2


@pytest.mark.parametrize("attempts", range(1, 40))
def test_the_delays_grow_to_an_hour(attempts: int) -> None:
    delay = rules.retry_delay_seconds(attempts)
    assert 1 <= delay <= 3600
    assert delay >= rules.retry_delay_seconds(max(1, attempts - 1))
