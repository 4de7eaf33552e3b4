"""What PayPal's own report says, for reconciliation."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from openclaw_jobs.payments.providers import ProviderUnavailable
from tests.fakes.paypal import FEE_CENTS
from tests.payments.paypal_desk import EMAIL, START, Desk, open_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as opened:
        yield opened


async def test_records_are_the_account_s_movements(desk: Desk) -> None:
    orders = [
        await desk.prepared(100_00 * number, attempt=number, address=address)
        for number, address in ((1, EMAIL), (2, "new@example.com"))
    ]
    for order in orders:
        await desk.rail.send(order)
    desk.server.process()
    desk.clock.advance(timedelta(days=31))
    desk.server.give_back("new@example.com")
    desk.clock.advance(timedelta(days=1))
    found = await desk.rail.records(START, desk.clock.now())
    assert [(one.key, one.amount_cents, one.fee_cents) for one in found] == [
        ("pay_1-1", -100_00, FEE_CENTS),
        ("pay_1-2", -200_00, FEE_CENTS),
        ("pay_1-2", 200_00, 0),
    ]
    assert found[0].at == START
    assert desk.server.calls("GET /v1/reporting") == 2  # two windows of at most 30 days
    assert await desk.rail.records(found[2].at, desk.clock.now()) == found[2:]
    assert await desk.rail.records(START, START) == []


async def test_a_movement_on_the_border_of_two_windows_counts_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_jobs.payments.providers.paypal._REPORT_PAGE", 2)
    begin = START - timedelta(days=30)
    for number in range(1, 6):
        await desk.rail.send(await desk.prepared(1_00, attempt=number))
    desk.server.process()
    found = await desk.rail.records(begin, START + timedelta(days=30))
    assert sorted(str(one.key) for one in found) == [f"pay_1-{number}" for number in range(1, 6)]


async def test_other_currencies_and_denied_movements_are_left_out(desk: Desk) -> None:
    for number in range(1, 4):
        await desk.rail.send(await desk.prepared(1_00, attempt=number))
    desk.server.process()
    infos = [row["transaction_info"] for row in desk.server.report]
    infos[0]["transaction_amount"]["currency_code"] = "EUR"
    infos[1]["transaction_status"] = "D"
    found = await desk.rail.records(START, START + timedelta(days=1))
    assert [one.key for one in found] == ["pay_1-3"]
    infos[2]["transaction_amount"]["value"] = "one dollar"
    with pytest.raises(ProviderUnavailable):
        await desk.rail.records(START, START + timedelta(days=1))


async def test_a_report_that_is_not_allowed_is_said(desk: Desk) -> None:
    desk.server.report_allowed = False
    with pytest.raises(ProviderUnavailable, match="NOT_AUTHORIZED"):
        await desk.rail.records(START, START + timedelta(days=1))
