"""Payouts by PayPal over real HTTP, against a server that answers and fails as PayPal does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from openclaw_jobs.payments.providers import (
    Failed,
    Outcome,
    Paid,
    ProviderUnavailable,
    Returned,
    Sent,
    Unknown,
)
from tests.fakes.paypal import FEE_CENTS, Json, duplicate, error
from tests.payments.paypal_desk import EMAIL, Desk, acknowledged, open_desk, with_

CREATE = "POST /v1/payments/payouts"
TOKEN = "POST /v1/oauth2/token"


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as opened:
        yield opened


async def test_a_payout_is_paid_with_its_fee(desk: Desk) -> None:
    order = await desk.prepared()
    order = acknowledged(order, await desk.rail.send(order))
    assert await desk.rail.check(order) == Sent(order.reference)
    desk.server.process()
    assert await desk.rail.check(order) == Paid(order.reference, fee_cents=FEE_CENTS)
    assert desk.received == 12_34
    (_, _, body) = next(one for one in desk.server.requests if one[2])
    assert body["items"] == [
        {
            "recipient_type": "EMAIL",
            "receiver": EMAIL,
            "amount": {"value": "12.34", "currency": "USD"},
            "sender_item_id": "pay_1-1",
            "note": "Payout pay_1",
        }
    ]


@pytest.mark.parametrize(("cents", "value"), [(5, "0.05"), (100, "1.00"), (50_010, "500.10")])
async def test_amounts_are_told_to_the_cent(desk: Desk, cents: int, value: str) -> None:
    order = await desk.prepared(cents)
    order = acknowledged(order, await desk.rail.send(order))
    desk.server.process()
    assert isinstance(await desk.rail.check(order), Paid)
    assert desk.received == cents
    assert (
        next(one[2] for one in desk.server.requests if one[2])["items"][0]["amount"]["value"]
        == value
    )


async def test_sending_twice_pays_once(desk: Desk) -> None:
    order = await desk.prepared()
    outcomes = await asyncio.gather(*(desk.rail.send(order) for _ in range(20)))
    (outcome,) = set(outcomes)
    assert isinstance(outcome, Sent)
    desk.server.process()
    assert await desk.rail.send(order) == Paid(outcome.reference, fee_cents=FEE_CENTS)
    assert len(desk.server.batches) == 1
    assert desk.received == 12_34


async def test_an_answer_that_is_lost_is_found_by_asking_again(desk: Desk) -> None:
    order = await desk.prepared()
    desk.server.drop_after.add(CREATE)
    assert isinstance(await desk.rail.send(order), Unknown)
    desk.server.drop_after.clear()
    desk.server.process()
    assert isinstance(await desk.restarted().check(order), Paid)
    assert desk.received == 12_34


async def test_half_an_answer_and_a_late_one_are_unknown(desk: Desk) -> None:
    order = await desk.prepared()
    desk.server.garble.add(CREATE)
    assert isinstance(await desk.rail.send(order), Unknown)
    desk.server.garble.clear()
    desk.server.delay_s = 1.0
    assert isinstance(await desk.restarted(timeout_s=0.1).send(order), Unknown)
    desk.server.delay_s = 0.0
    desk.server.process()
    assert isinstance(await desk.restarted().check(order), Paid)
    assert desk.received == 12_34


async def test_a_crash_before_sending_is_healed_by_checking(desk: Desk) -> None:
    order = await desk.prepared()
    assert desk.server.calls(CREATE) == 0
    order = acknowledged(order, await desk.restarted().check(order))
    desk.server.process()
    assert isinstance(await desk.rail.check(order), Paid)
    assert desk.received == 12_34


@pytest.mark.parametrize("status", [500, 503])
async def test_a_fault_of_paypal_is_never_a_failure(desk: Desk, status: int) -> None:
    order = await desk.prepared()
    desk.server.replies[CREATE] = [
        (status, error("INTERNAL_ERROR", "An internal service error has occurred.")),
        (status, "<html>busy</html>"),
    ]
    for _ in range(2):
        assert isinstance(await desk.rail.send(order), Unknown)
    order = acknowledged(order, await desk.rail.check(order))
    desk.server.process()
    show = f"GET /v1/payments/payouts/{order.reference}"
    desk.server.replies[show] = [(status, ""), (404, error("RESOURCE_NOT_FOUND", "Not there."))]
    for _ in range(2):
        assert isinstance(await desk.rail.check(order), Unknown)
    assert isinstance(await desk.rail.check(order), Paid)
    assert desk.received == 12_34


async def test_too_little_money_waits_and_is_paid_once_after_a_top_up(desk: Desk) -> None:
    order = await desk.prepared(1_000_00)  # and the fee
    for outcome in (await desk.rail.send(order), await desk.rail.check(order)):
        assert isinstance(outcome, Unknown)
        assert "INSUFFICIENT_FUNDS" in outcome.reason
    desk.server.balance_cents += FEE_CENTS
    order = acknowledged(order, await desk.rail.check(order))
    desk.server.process()
    assert isinstance(await desk.rail.check(order), Paid)
    assert (desk.received, desk.server.balance_cents) == (1_000_00, 0)


async def test_money_that_is_gone_by_the_time_of_processing_fails(desk: Desk) -> None:
    order = await desk.prepared(900_00)
    order = acknowledged(order, await desk.rail.send(order))
    desk.server.balance_cents = 1_00
    desk.server.process()
    outcome = await desk.rail.check(order)
    assert isinstance(outcome, Failed)
    assert "INSUFFICIENT_FUNDS" in outcome.reason
    # A new attempt has a new name, and pays once.
    desk.server.balance_cents = 1_000_00
    second = await desk.prepared(900_00, attempt=2)
    second = acknowledged(second, await desk.rail.send(second))
    desk.server.process()
    assert isinstance(await desk.rail.check(second), Paid)
    assert isinstance(await desk.rail.check(order), Failed)
    assert desk.received == 900_00


async def test_an_address_that_paypal_refuses_fails(desk: Desk) -> None:
    order = await desk.prepared(address="nobody at all")
    outcome = await desk.rail.send(order)
    assert isinstance(outcome, Failed)
    assert "VALIDATION_ERROR" in outcome.reason
    assert "items[0].receiver" in outcome.reason


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, error("SENDER_RESTRICTED", "The sender's account is restricted.")),
        (403, error("AUTHORIZATION_ERROR", "Authorization error occurred.")),
        (400, error("USER_BUSINESS_ERROR", "User business error.")),
        (422, error("SOMETHING_NEW", "Nobody has heard of it yet.")),
        (429, error("RATE_LIMIT_REACHED", "Too many requests.")),
        (404, error("RESOURCE_NOT_FOUND", "Not there.")),
        (400, "not even JSON"),
        (302, ""),
    ],
)
async def test_what_does_not_say_that_nothing_was_paid_is_unknown(
    desk: Desk, status: int, body: Json
) -> None:
    order = await desk.prepared()
    desk.server.replies[CREATE] = [(status, body)]
    assert isinstance(await desk.rail.send(order), Unknown)
    assert isinstance(await desk.rail.send(order), Sent)


async def test_a_duplicate_is_found_by_its_link_and_never_taken_for_a_refusal(desk: Desk) -> None:
    order = await desk.prepared()
    other = await desk.prepared(attempt=2)
    other = acknowledged(other, await desk.rail.send(other))
    no_link = duplicate(desk.server.url, "x")
    no_link["details"][0]["link"] = []
    spelled = error(
        "USER_BUSINESS_ERROR",
        "User business error.",
        [{"field": "sender_batch_id", "issue": "Duplicate batch request"}],
    )
    foreign = duplicate("https://elsewhere.example", str(other.reference))
    named = error("DUPLICATE_REQUEST_ID", "The value of PayPal-Request-Id was used already.")
    answers = [no_link, spelled, foreign, named]
    desk.server.replies[CREATE] = [(400, body) for body in answers]
    for body in answers:
        outcome = await desk.rail.send(order)
        assert isinstance(outcome, Unknown), body
    # The link's host is never asked; its batch is, and it is another's.
    assert desk.server.calls(f"GET /v1/payments/payouts/{other.reference}") == 1


async def test_a_batch_of_another_amount_is_not_taken_for_ours(desk: Desk) -> None:
    order = await desk.prepared()
    order = acknowledged(order, await desk.rail.send(order))
    desk.server.process()
    assert isinstance(await desk.rail.check(with_(order, amount_cents=12_35)), Unknown)
    assert isinstance(await desk.rail.check(order), Paid)


async def test_an_unclaimed_payout_waits_and_comes_back(desk: Desk) -> None:
    order = await desk.prepared(address="new@example.com")
    order = acknowledged(order, await desk.rail.send(order))
    desk.server.process()
    assert await desk.rail.check(order) == Sent(order.reference)
    desk.clock.advance(timedelta(days=31))
    assert await desk.rail.check(order) == Sent(order.reference)
    desk.server.give_back("new@example.com")
    outcome = await desk.rail.check(order)
    assert isinstance(outcome, Returned)
    assert "RETURNED" in outcome.reason
    assert desk.server.balance_cents == 1_000_00 - FEE_CENTS


@pytest.mark.parametrize(
    ("batch_status", "item_status", "kind"),
    [
        ("SUCCESS", "SUCCESS", Paid),
        ("SUCCESS", "PENDING", Sent),
        ("PROCESSING", "PENDING", Sent),
        ("SUCCESS", "UNCLAIMED", Sent),
        ("SUCCESS", "ONHOLD", Sent),
        ("SUCCESS", "FAILED", Failed),
        ("SUCCESS", "DENIED", Failed),
        ("DENIED", "PENDING", Failed),
        ("CANCELED", "PENDING", Failed),
        ("SUCCESS", "RETURNED", Returned),
        ("SUCCESS", "REFUNDED", Returned),
        ("SUCCESS", "REVERSED", Returned),
        ("SUCCESS", "BLOCKED", Unknown),
        ("SUCCESS", "SOMETHING_NEW", Unknown),
        ("DENIED", "SUCCESS", Paid),
    ],
)
async def test_each_state_of_an_item(
    desk: Desk, batch_status: str, item_status: str, kind: type[Outcome]
) -> None:
    order = await desk.prepared()
    order = acknowledged(order, await desk.rail.send(order))
    (batch,) = desk.server.batches.values()
    batch.batch_status, batch.item_status = batch_status, item_status
    assert isinstance(await desk.rail.check(order), kind)


async def test_after_29_days_nothing_is_asked_for_again(desk: Desk) -> None:
    order = await desk.prepared()
    desk.server.drop_after.add(CREATE)
    await desk.rail.send(order)
    desk.server.drop_after.clear()
    desk.server.process()
    desk.clock.advance(timedelta(days=29))
    sent = desk.server.calls(CREATE)
    for outcome in (await desk.rail.check(order), await desk.rail.send(order)):
        assert isinstance(outcome, Unknown)
        assert "activity" in outcome.reason
    assert desk.server.calls(CREATE) == sent
    assert desk.received == 12_34


async def test_a_token_is_asked_for_once_and_renewed_before_it_ends(desk: Desk) -> None:
    await asyncio.gather(*(desk.prepared(attempt=number) for number in range(1, 30)))
    assert desk.server.calls(TOKEN) == 1
    desk.clock.advance(timedelta(seconds=desk.server.expires_in - 61))
    await desk.prepared()
    assert desk.server.calls(TOKEN) == 1
    desk.clock.advance(timedelta(seconds=2))
    await desk.prepared()
    assert desk.server.calls(TOKEN) == 2


async def test_a_token_that_paypal_forgets_is_renewed(desk: Desk) -> None:
    order = await desk.prepared()
    desk.server.revoke_tokens()
    order = acknowledged(order, await desk.rail.send(order))
    assert (desk.server.calls(TOKEN), desk.server.calls(CREATE)) == (2, 2)
    # Many at once renew it once.
    desk.server.revoke_tokens()
    await asyncio.gather(*(desk.rail.check(order) for _ in range(20)))
    assert desk.server.calls(TOKEN) == 3


async def test_without_access_nothing_begins(desk: Desk) -> None:
    order = await desk.prepared()
    stranger = desk.restarted("wrong")
    with pytest.raises(ProviderUnavailable, match="invalid_client"):
        await stranger.prepare(order)
    assert isinstance(await stranger.check(order), Unknown)
    await desk.server.stop()
    with pytest.raises(ProviderUnavailable):
        await desk.restarted().prepare(order)
    assert isinstance(await desk.rail.send(order), Unknown)
    assert desk.server.calls(CREATE) == 0
