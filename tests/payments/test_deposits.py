"""POST /api/deposit: what is asked of Stripe, and what happens when Stripe does not answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from openclaw_jobs.economy.seed import PACKS
from tests.fakes.stripe import SECRET_KEY, Fault
from tests.market.steps import misfit, refused, sql, until
from tests.payments.shop import SITE, Shop, open_shop
from tests.running import Json, Node, running_node


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as opened:
        yield opened


@pytest.mark.parametrize("pack", ["starter", "standard", "pro", "business"])
async def test_a_pack_is_a_session_at_its_configured_price(shop: Shop, pack: str) -> None:
    buyer = await shop.node.buyer(0)

    answer = await buyer.ok("POST", "/api/deposit", {"pack": pack})

    session = shop.stripe.objects[answer["session_id"]]
    assert answer == {"checkout_url": session["url"], "session_id": session["id"]}
    assert session["amount_total"] == getattr(PACKS, pack).cents
    assert session["success_url"] == f"{SITE}/deposit/success?session_id={{CHECKOUT_SESSION_ID}}"
    assert session["cancel_url"] == f"{SITE}/deposit/cancel"
    ((_, _, asked, key),) = shop.stripe.requests
    product = asked["line_items"]["0"]["price_data"]["product_data"]
    assert product == {"name": "OpenClaw Credits"}
    (deposit,) = await shop.deposits(buyer)
    assert (deposit["id"], deposit["status"], deposit["pack"]) == (key, "open", pack)
    assert session["metadata"]["deposit_id"] == deposit["id"]
    assert asked["payment_intent_data"]["metadata"] == session["metadata"]
    # Nobody has paid yet.
    assert await shop.money(buyer) == (0, 0, 0)
    await shop.node.prove()


async def test_the_configuration_in_force_decides(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    await shop.node.configure("packs", pro={"cents": 777, "bonus_cents": 7})
    session_id = await shop.deposit(buyer, "pro")
    assert shop.stripe.objects[session_id]["amount_total"] == 777
    assert await shop.money(buyer) == (777, 7, 0)
    await shop.node.prove()


async def test_a_price_that_was_made_before_is_used(dsn: str) -> None:
    async with open_shop(dsn, stripe_prices={"pro": "price_pro"}) as shop:
        shop.stripe.prices["price_pro"] = PACKS.pro.cents
        buyer = await shop.node.buyer(0)
        await shop.buy(buyer, "pro")
        await shop.buy(buyer, "starter")
        first, second = [asked["line_items"]["0"] for _, _, asked, _ in shop.stripe.requests]
        assert first == {"price": "price_pro", "quantity": "1"}
        assert "price_data" in second
        await shop.node.prove()


async def test_a_price_that_differs_from_the_pack_takes_no_money(dsn: str) -> None:
    async with open_shop(dsn, stripe_prices={"pro": "price_pro"}) as shop:
        shop.stripe.prices["price_pro"] = PACKS.pro.cents + 1
        buyer = await shop.node.buyer(0)
        problem = refused(await buyer.post("/api/deposit", {"pack": "pro"}), 503, "unavailable")
        assert "STRIPE_PRICE_PRO" in problem["detail"]
        assert [d["status"] for d in await shop.deposits(buyer)] == ["failed"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"]),
        ({"stripe_secret_key": SECRET_KEY}, ["STRIPE_WEBHOOK_SECRET"]),
        ({"stripe_webhook_secret": "whsec_x"}, ["STRIPE_SECRET_KEY"]),
    ],
)
async def test_without_keys_the_answer_says_what_to_set(
    dsn: str, given: Json, named: list[str]
) -> None:
    async with running_node(dsn, background=False, **given) as node:
        buyer = await node.buyer(0)
        answer = await buyer.post("/api/deposit", {"pack": "pro"})
        detail = refused(answer, 503, "unavailable")["detail"]
        assert "Retry-After" in answer.headers
        assert [
            name for name in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET") if name in detail
        ] == named
        assert (await buyer.ok("GET", "/api/deposits"))["deposits"] == []
        if "stripe_webhook_secret" not in given:
            answer = await node.anyone().send("POST", "/api/deposit/webhook", b"{}")
            assert "STRIPE_WEBHOOK_SECRET" in refused(answer, 503, "unavailable")["detail"]


@pytest.mark.parametrize(
    "body",
    [{}, {"pack": "huge"}, {"pack": None}, {"pack": 1}, {"pack": "pro", "cents": 1}],
)
async def test_other_bodies_are_refused(shop: Shop, body: Json) -> None:
    buyer = await shop.node.buyer(0)
    misfit(await buyer.post("/api/deposit", body), "cents" if "cents" in body else "pack")
    assert shop.stripe.requests == []


async def test_it_takes_a_buyer(shop: Shop) -> None:
    refused(await shop.node.anyone().post("/api/deposit", {"pack": "pro"}), 401, "unauthenticated")
    worker = await shop.node.worker()
    refused(await worker.post("/api/deposit", {"pack": "pro"}), 403, "forbidden")


async def test_the_rate_is_limited(shop: Shop) -> None:
    await shop.node.configure("rate_limits", deposit={"limit": 2, "per_seconds": 60})
    buyer = await shop.node.buyer(0)
    codes = [(await buyer.post("/api/deposit", {"pack": "pro"})).status_code for _ in range(3)]
    assert codes == [200, 200, 429]


async def test_a_repeated_request_gets_the_same_session(shop: Shop) -> None:
    buyer, other = await shop.node.buyer(0), await shop.node.buyer(0)
    key = {"Idempotency_Key": "k1"}
    first = await buyer.post("/api/deposit", {"pack": "pro"}, **key)
    again = await buyer.post("/api/deposit", {"pack": "pro"}, **key)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    refused(
        await buyer.post("/api/deposit", {"pack": "starter"}, **key), 409, "idempotency_conflict"
    )
    theirs = await other.post("/api/deposit", {"pack": "pro"}, **key)
    assert theirs.json()["session_id"] != first.json()["session_id"]
    assert len(shop.stripe.all_of("checkout.session")) == 2
    await shop.node.prove()


async def test_the_same_request_many_times_at_once_is_one_session(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    answers = await asyncio.gather(
        *(buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1") for _ in range(20))
    )
    given = [answer.json() for answer in answers if answer.status_code == 200]
    assert given
    assert all(found == given[0] for found in given)
    others = {answer.json()["code"] for answer in answers if answer.status_code != 200}
    assert others <= {"idempotency_in_progress"}
    assert len(shop.stripe.all_of("checkout.session")) == 1
    assert len(await shop.deposits(buyer)) == 1
    await shop.node.prove()


async def test_without_a_key_each_request_is_a_deposit(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    sessions = [await shop.buy(buyer) for _ in range(3)]
    assert len(set(sessions)) == 3
    found = await shop.deposits(buyer)
    assert [d["session_id"] for d in found] == sessions[::-1]
    page = await buyer.ok("GET", "/api/deposits?limit=2")
    rest = await buyer.ok("GET", f"/api/deposits?limit=2&cursor={page['next_cursor']}")
    assert page["deposits"] + rest["deposits"] == found
    assert rest["next_cursor"] is None
    misfit(await buyer.get("/api/deposits", cursor="x"), "cursor")
    assert await shop.deposits(await shop.node.buyer(0)) == []


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", 500, 503, 429])
async def test_one_bad_moment_of_stripe_is_not_noticed(shop: Shop, fault: Fault) -> None:
    buyer = await shop.node.buyer(0)
    shop.stripe.faults = [fault]
    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1")
    if fault == 429:
        # Stripe asks us to call less; it is the buyer who decides to try again.
        refused(answer, 503, "unavailable")
        answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1")
    assert answer.status_code == 200
    assert len(shop.stripe.all_of("checkout.session")) == 1
    assert len(await shop.deposits(buyer)) == 1


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", 500])
async def test_a_request_that_found_stripe_down_goes_on_later(shop: Shop, fault: Fault) -> None:
    buyer = await shop.node.buyer(0)
    shop.stripe.faults = [fault, fault, fault]
    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1")
    refused(answer, 503, "unavailable")
    assert "Retry-After" in answer.headers
    refused(
        await buyer.post("/api/deposit", {"pack": "starter"}, Idempotency_Key="k1"),
        409,
        "idempotency_conflict",
    )
    # The price changes meanwhile; what was begun keeps its own.
    await shop.node.configure("packs", pro={"cents": 999, "bonus_cents": 0})

    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1")

    (session,) = shop.stripe.all_of("checkout.session")
    assert answer.json()["session_id"] == session["id"]
    assert session["amount_total"] == PACKS.pro.cents
    (deposit,) = await shop.deposits(buyer)
    assert deposit["status"] == "open"
    await shop.bring(shop.stripe.pay(session["id"]))
    assert await shop.money(buyer) == (PACKS.pro.cents, PACKS.pro.bonus_cents, 0)
    await shop.node.prove()


async def test_stripe_gone_altogether(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    await shop.stripe.stop()
    refused(
        await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1"), 503, "unavailable"
    )
    await shop.stripe.start()
    answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1")
    assert answer.status_code == 200
    assert len(await shop.deposits(buyer)) == 1


async def test_a_refusal_of_stripe_ends_the_deposit(dsn: str) -> None:
    async with open_shop(dsn, stripe_prices={"pro": "price_gone"}) as shop:
        buyer = await shop.node.buyer(0)
        for _ in range(2):
            answer = await buyer.post("/api/deposit", {"pack": "pro"}, Idempotency_Key="k1")
            refused(answer, 503, "unavailable")
        # Stripe keeps a refusal under its key, so each try is a deposit of its own.
        keys = [key for *_, key in shop.stripe.requests]
        assert len(set(keys)) == 2
        assert [d["status"] for d in await shop.deposits(buyer)] == ["failed", "failed"]
        await shop.node.prove()


async def test_no_transaction_is_open_while_stripe_is_asked(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    shop.stripe.gate.clear()
    asking = asyncio.create_task(buyer.post("/api/deposit", {"pack": "pro"}))
    await until(lambda: len(shop.stripe.requests) == 1)
    idle = await sql(
        shop.node,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL",
    )
    assert idle == [(0,)]
    # What was asked for is committed before Stripe knows of it.
    assert [d["status"] for d in await shop.deposits(buyer)] == ["creating"]
    shop.stripe.gate.set()
    assert (await asking).status_code == 200


async def test_the_pages_that_checkout_leads_back_to(node: Node) -> None:
    for path in ("/deposit/success?session_id=%3Cscript%3E", "/deposit/cancel"):
        page = await node.anyone().get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert '<html lang="en">' in page.text
        assert "<h1>" in page.text
        assert "<script>" not in page.text
        assert "session_id" not in page.text


async def test_without_a_public_url_buyers_come_back_to_where_they_called(dsn: str) -> None:
    async with open_shop(dsn, public_url=None) as shop:
        buyer = await shop.node.buyer(0)
        await buyer.post("/api/deposit", {"pack": "pro"}, Host="evil.example")
        (session,) = shop.stripe.all_of("checkout.session")
        assert session["cancel_url"] == f"{shop.node.address}/deposit/cancel"
