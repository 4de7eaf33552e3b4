"""The door for Stripe's events: signatures, nonsense, and what is kept for somebody."""

import json
import time
from collections.abc import AsyncIterator

import pytest

from openclaw_jobs.economy.seed import PACKS
from openclaw_jobs.market.work_webhooks import WorkedEvents
from tests.fakes.stripe import Object, sign
from tests.market.steps import refused
from tests.payments.shop import Shop, open_shop

PRO, BONUS = PACKS.pro.cents, PACKS.pro.bonus_cents


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as opened:
        yield opened


# Who is believed.


async def test_a_signature_that_does_not_fit_is_refused(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    event = shop.stripe.pay(await shop.buy(buyer))
    answers = [
        await shop.sender.send(event, secret="whsec_other"),
        await shop.sender.send(event, at=time.time() - 301),
        await shop.sender.send(event, at=time.time() + 360),
        await shop.sender.send(event, tamper=lambda p: p.replace(b'"paid"', b'"paid" ')),
        await shop.sender.send(event, tamper=lambda p: p + b"\n"),
        await shop.sender.send(event, tamper=lambda _: b""),
    ]
    for answer in answers:
        refused(answer, 400, "invalid_signature")
    await shop.work()
    assert await shop.event_states() == {}
    assert await shop.money(buyer) == (0, 0, 0)
    # A little late is not too late.
    assert (await shop.sender.send(event, at=time.time() - 240)).status_code == 200


BODY = b'{"id": "evt_1", "type": "x"}'
MAC = "0" * 64


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=",
        "v1=abc",
        f"v1={MAC}",
        f"t=now,v1={MAC}",
        f"t=-5,v1={MAC}",
        f"t={'9' * 5000},v1={MAC}",
        "t=NOW",
        "t=NOW,v1=",
        "t=NOW,v0=GOOD",
        "t=NOW,v1=\xe4\xf6\xfc",
        ",,,=,=",
        "t=1,t=2,v1=x,v1",
    ],
)
async def test_hostile_signatures_are_refused(shop: Shop, header: str | None) -> None:
    # The present time is put in here: a parameter must be the same in every test process.
    good = sign(BODY, "whsec_fake").partition("v1=")[2]
    now = str(int(time.time()))
    sent = None if header is None else header.replace("NOW", now).replace("GOOD", good)
    headers = {} if sent is None else {b"Stripe-Signature": sent.encode("latin-1")}
    answer = await shop.node.anyone().http.post(
        "/api/deposit/webhook",
        content=BODY,
        headers=headers,
    )
    refused(answer, 400, "invalid_signature")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"id": 5, "type": "x"}',
        b'{"id": "evt_1"}',
        b'{"id": "", "type": "x"}',
        b'{"id": "evt 1", "type": "x"}',
        b'{"id": "evt:1", "type": "x"}',
        b'{"id": "evt_1\\u0000", "type": "x"}',
        b'{"id": "evt_1", "type": "\\u0000"}',
        b'{"id": "evt_1", "type": "x", "a": "\x00"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_signed_nonsense_is_no_event(shop: Shop, body: bytes) -> None:
    answer = await shop.sender.send(body)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"malformed_json", "invalid_signature"}


ODD: list[Object] = [
    {},
    {"object": None},
    {"object": []},
    {"object": {}},
    {"object": {"id": 1}},
    {"object": {"id": "cs_1", "payment_status": 5}},
    {"object": {"id": "cs_1", "amount_total": "5"}},
    {"object": {"id": 'cs_"{},'}},
]


@pytest.mark.parametrize("data", ODD)
async def test_an_event_that_is_not_understood_is_kept_for_somebody(
    shop: Shop, data: Object
) -> None:
    buyer = await shop.node.buyer(0)
    good = shop.stripe.pay(await shop.buy(buyer))
    odd = good | {"id": "evt_odd", "data": data}
    await shop.sender.deliver([odd])
    worked = await shop.bring(good)
    # It is in nobody's way.
    assert worked == WorkedEvents(done=1, failed=1)
    assert (await shop.event_states())["evt_odd"] == "failed"
    assert await shop.money(buyer) == (PRO, BONUS, 0)


async def test_kinds_that_nobody_handles_are_ignored(shop: Shop) -> None:
    for kind in ("customer.created", "v2.core.event", "checkout.session", "payout.created"):
        await shop.bring(shop.stripe.tell(kind, {"id": "x"}))
    assert set((await shop.event_states()).values()) == {"ignored"}


async def test_a_body_over_the_limit_is_refused(shop: Shop) -> None:
    await shop.node.configure("payload_limits", webhook=1024)
    answer = await shop.sender.send(b'{"id": "evt_1", "type": "x", "a": "' + b"a" * 1024 + b'"}')
    assert refused(answer, 413, "payload_too_large")["limit_bytes"] == 1024


async def test_the_rate_of_events_is_limited(shop: Shop) -> None:
    await shop.node.configure("rate_limits", webhook={"limit": 2, "per_seconds": 60})
    event = shop.stripe.tell("customer.created", {"id": "x"})
    codes = [(await shop.sender.send(event)).status_code for _ in range(3)]
    assert codes == [200, 200, 429]


async def test_an_idempotency_key_on_the_webhook_stores_nothing(shop: Shop) -> None:
    payload = json.dumps(shop.stripe.tell("customer.created", {"id": "x"})).encode()
    for _ in range(2):
        answer = await shop.node.anyone().send(
            "POST",
            "/api/deposit/webhook",
            payload,
            Stripe_Signature=sign(payload, "whsec_fake"),
            Idempotency_Key="k",
        )
        assert (answer.status_code, answer.json()) == (200, {"received": True})
        assert "idempotent-replayed" not in answer.headers
