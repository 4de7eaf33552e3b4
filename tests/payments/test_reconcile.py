"""Each rail's own records against the ledger: what agrees is silent, what does not is told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from openclaw_jobs import ledger
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import Account
from openclaw_jobs.market import reconcile as reconciling
from openclaw_jobs.market.reconcile import list_reconciliations, reconcile, reconcile_daily
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments.providers import PayoutProvider, ProviderUnavailable, RailRecord
from openclaw_jobs.payments.providers.manual import ManualProvider
from openclaw_jobs.payments.reconciliation import Reconciliation
from openclaw_jobs.payments.reconciliation.setup import reconciled_rails
from tests.fakes.paypal import PayPalServer
from tests.fakes.solana_rpc import SolanaNode
from tests.fakes.stripe_balance import StripeBooks
from tests.market.steps import misfit, post, sql
from tests.payments import shop as shops
from tests.payments import test_rails_market as rails_market
from tests.payments.payout_steps import PAYPAL, approve, rich_worker, state, withdraw, work
from tests.payments.shop import Shop, open_shop
from tests.running import Json, Node


@pytest.fixture
async def shop(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(shops, "StripeCheckout", StripeBooks)
    async with open_shop(dsn) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has just done is judged at once; Stripe's times are whole seconds."""
    monkeypatch.setattr(reconciling, "SETTLING", timedelta(seconds=-60))


class ToldRail:
    """A rail whose records a test writes."""

    def __init__(self, rail: Account, records: Sequence[RailRecord] | Exception) -> None:
        self.rail = rail
        self.told = records

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        if isinstance(self.told, Exception):
            raise self.told
        return [record for record in self.told if since <= record.at < until]


def record(reference: str, cents: int, *, key: str | None = None, fee: int = 0) -> RailRecord:
    return RailRecord(
        reference=reference, key=key, amount_cents=cents, fee_cents=fee, at=datetime.now(UTC)
    )


def kinds(report: Reconciliation | Json) -> Counter[str]:
    if isinstance(report, Reconciliation):
        return Counter(finding.kind for finding in report.findings)
    return Counter(finding["kind"] for finding in report["findings"])


async def reports(node: Node) -> Json:
    found = await node.operator().ok("GET", "/api/admin/reconciliations")
    return {report["rail"]: report for report in found["reconciliations"]}


async def run(node: Node) -> Json:
    return await node.operator().ok("POST", "/api/cron/reconcile")


async def test_all_that_stripe_did_is_found_in_the_ledger(shop: Shop) -> None:
    buyer, stripe = await shop.node.buyer(0), shop.stripe
    first, second, third = [await shop.deposit(buyer, pack) for pack in ("pro", "pro", "starter")]
    await shop.bring(stripe.refund(first, 100))
    # Two refunds of one charge, told of once: the ledger has them as one.
    stripe.refund(first, 50)
    await shop.bring(stripe.refund(first, 25))
    opened = stripe.dispute(second)
    await shop.bring(opened)
    await shop.bring(stripe.close(opened["data"]["object"]["id"], "won"))
    lost = stripe.dispute(third)
    await shop.bring(lost)
    await shop.bring(stripe.close(lost["data"]["object"]["id"], "lost"))
    paid = stripe.payout(500)
    await shop.bring(paid)
    await shop.bring(stripe.fail_payout(paid["data"]["object"]["id"]))
    await shop.hurry()

    counts = await run(shop.node)

    report = (await reports(shop.node))["stripe"]
    assert report["findings"] == []
    # 3 payments, the refunds of one charge, 2 disputes, one of them won, a payout and its return.
    assert counts == {"rails": 1, "matched": 9, "findings": 0, "errors": 0}
    assert report["matched"] == 9
    assert report["error"] is None
    await shop.node.prove()


async def test_what_only_stripe_knows_is_told(shop: Shop) -> None:
    buyer, stripe = await shop.node.buyer(0), shop.stripe
    assert isinstance(stripe, StripeBooks)
    paid = await shop.deposit(buyer)
    unheard = await shop.buy(buyer, "starter")
    stripe.pay(unheard)
    stripe.refund(paid, 10)
    stripe.take(77)

    await run(shop.node)

    report = (await reports(shop.node))["stripe"]
    assert kinds(report) == {"deposit_unpaid": 1, "missing_in_ledger": 2}
    assert report["found"] == 3
    (deposit,) = [d for d in await shop.deposits(buyer) if d["status"] == "open"]
    (finding,) = [f for f in report["findings"] if f["kind"] == "deposit_unpaid"]
    assert finding["detail"] == deposit["id"]
    assert finding["rail_cents"] == deposit["cents"]
    assert {f["rail_cents"] for f in report["findings"]} == {deposit["cents"], -10, -77}
    # Once the events are here, only what is about nothing of ours is left.
    await shop.bring(*stripe.events)
    await shop.hurry()
    await run(shop.node)
    report = (await reports(shop.node))["stripe"]
    assert [f["rail_cents"] for f in report["findings"]] == [-77]
    await shop.node.prove()


async def test_what_only_the_ledger_knows_is_told(shop: Shop) -> None:
    buyer = await shop.node.buyer(0)
    session = await shop.deposit(buyer)
    charge = shop.stripe.charge_of(session)
    entry = shop.stripe.objects[charge["balance_transaction"]]

    entry["fee"] += 1
    await run(shop.node)
    report = (await reports(shop.node))["stripe"]
    assert kinds(report) == {"fee_differs": 1}
    assert report["findings"][0]["rail_cents"] == report["findings"][0]["ledger_cents"] + 1

    entry["amount"] -= 5
    await run(shop.node)
    report = (await reports(shop.node))["stripe"]
    assert kinds(report) == {"amount_differs": 1}
    assert report["findings"][0]["key"] == f"deposit:{session}"

    del shop.stripe.objects[entry["id"]]
    await run(shop.node)
    assert kinds((await reports(shop.node))["stripe"]) == {"missing_on_rail": 1}
    history = await shop.node.operator().ok("GET", "/api/admin/reconciliations?rail=stripe")
    assert [r["found"] for r in history["reconciliations"]] == [1, 1, 1]


async def test_a_stripe_that_does_not_answer_is_an_error_in_its_report(shop: Shop) -> None:
    await shop.deposit(await shop.node.buyer(0))
    shop.stripe.faults = [500] * 3
    counts = await run(shop.node)
    assert (counts["rails"], counts["errors"]) == (0, 1)
    report = (await reports(shop.node))["stripe"]
    assert report["error"]
    assert report["findings"] == []


async def test_each_rail_is_on_its_own(node: Node) -> None:
    rails = [
        ToldRail(Account.PAYPAL, ProviderUnavailable("closed today")),
        ToldRail(Account.USDC_SOL, [record("sig1", -500, key="pay_x:1")]),
        ToldRail(Account.STRIPE, ZeroDivisionError()),
    ]
    counts = await reconcile(node.market, rails)
    assert (counts.rails, counts.errors, counts.findings) == (1, 2, 1)
    found = {report.rail: report for report in await list_reconciliations(node.market, None, 9)}
    assert found["paypal"].error == "closed today"
    assert found["stripe"].error == "ZeroDivisionError"
    assert kinds(found["usdc_sol"]) == {"missing_in_ledger": 1}
    assert found["marketplace"].error is None


async def test_a_rail_that_never_answers_is_given_up(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "_RAIL_TIMEOUT_S", 0.05)

    class Silent(ToldRail):
        async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
            await asyncio.Event().wait()
            return await super().records(since, until)

    counts = await reconcile(node.market, [Silent(Account.PAYPAL, [])])
    assert counts.errors == 1


async def payout(node: Node, status: str, approved_at: datetime | None = None) -> str:
    """A payout as it may stand."""
    worker, payout_id = await node.worker(), new_id("pay")
    ended = status in {"paid", "failed", "returned"}
    await sql(
        node,
        """
        INSERT INTO payouts (id, worker_id, amount_cents, method, address, provider, status,
            attempt, approved_by, approved_at, ended_at)
        VALUES (%s, %s, 700, 'paypal', 'a@example.com', 'paypal', %s, 1, 'x', %s, %s)
        """,
        payout_id,
        worker.id,
        status,
        approved_at or datetime.now(UTC),
        datetime.now(UTC) if ended else None,
    )
    await sql(
        node,
        "INSERT INTO payout_attempts (payout_id, attempt, provider, key, reference, prepared_at)"
        " VALUES (%s, 1, 'paypal', %s, %s, now())",
        payout_id,
        f"{payout_id}-1",
        f"item of {payout_id}",
    )
    return payout_id


async def test_payouts_are_found_by_key_reference_or_id(node: Node) -> None:
    by_key, by_reference, lost, short = [await payout(node, "paid") for _ in range(4)]
    async with begin(node.market) as unit:
        facts = [
            ledger.payout_paid(p, Account.PAYPAL, 700) for p in (by_key, by_reference, lost, short)
        ]
        facts.append(ledger.payout_fee(by_key, Account.PAYPAL, 25))
        facts.append(ledger.rail_top_up("wire-7", Account.PAYPAL, 9_000, actor="x"))
        worker = await node.worker()
        facts.append(ledger.payout_returned(by_reference, Account.PAYPAL, worker.id, 700))
        await ledger.post(unit.conn, [fact for fact in facts if fact is not None])
    rail = ToldRail(
        Account.PAYPAL,
        [
            record("T1", -700, key=f"{by_key}-1", fee=25),
            record(f"item of {by_reference}", -700),
            record(f"item of {by_reference}", 700, key="back"),
            record("T3", -650, key=f"{short}-1"),
            record("wire-7", 9_000),
        ],
    )
    counts = await reconcile(node.market, [rail])
    (report,) = await list_reconciliations(node.market, "paypal", 1)
    assert report.matched == 4
    told = {(f.kind, f.key, f.rail_cents, f.ledger_cents) for f in report.findings}
    assert told == {
        ("missing_on_rail", f"payout_paid:{lost}", None, -700),
        ("amount_differs", f"payout_paid:{short}", -650, -700),
    }
    # These payouts were made by hand: their accounts say so too.
    assert counts.findings >= 2


async def test_money_that_is_stuck_here_is_told(node: Node) -> None:
    buyer = await node.buyer()
    posted = await post(buyer)
    await post(buyer)
    day_ago = datetime.now(UTC) - timedelta(hours=25)
    aged = [await payout(node, s, approved_at=day_ago) for s in ("submitted", "unknown")]
    await payout(node, "submitted")
    await payout(node, "paid", approved_at=day_ago)
    ended = await payout(node, "failed", approved_at=day_ago)
    async with begin(node.market) as unit:
        fact = ledger.payout_paid(ended, Account.PAYPAL, 700)
        await ledger.post(unit.conn, [fact] if fact else [])
    await sql(
        node,
        "UPDATE tasks SET status = 'expired', completed_at = now() WHERE id = %s",
        posted["id"],
    )
    await sql(
        node,
        "INSERT INTO webhook_events (source, event_id, type, payload, status, received_at, error)"
        " VALUES ('stripe', 'evt_1', 'a', '{}', 'failed', now(), 'what'),"
        " ('stripe', 'evt_2', 'a', '{}', 'pending', now() - interval '5 hours', NULL),"
        " ('stripe', 'evt_3', 'a', '{}', 'pending', now() + interval '2 hours', NULL)",
    )

    await run(node)

    report = (await reports(node))["marketplace"]
    assert kinds(report) == {
        "payout_aged": 2, "payout_stuck": 1, "escrow_stuck": 1,
        "webhook_failed": 1, "webhook_aged": 1,
    }  # fmt: skip
    found = {f["kind"]: f for f in report["findings"]}
    assert {f["reference"] for f in report["findings"] if f["kind"] == "payout_aged"} == set(aged)
    assert found["escrow_stuck"]["reference"] == posted["id"]
    assert found["escrow_stuck"]["ledger_cents"] == posted["price_cents"]
    assert found["webhook_failed"]["reference"] == "stripe/evt_1"
    assert found["webhook_failed"]["detail"] == "a: what"


async def test_a_top_up_is_booked_once_and_then_agrees(node: Node) -> None:
    operator = node.operator()
    rail = ToldRail(Account.PAYPAL, [record("8JH", 9_000)])
    assert (await reconcile(node.market, [rail])).findings == 1
    body = {"rail": "paypal", "amount_cents": 9_000, "reference": "8JH"}
    assert await operator.ok("POST", "/api/admin/top-ups", body, 201) == body
    misfit(await operator.post("/api/admin/top-ups", body), "reference")
    for field, value in (("reference", "a:b"), ("reference", ""), ("reference", "x,y"),
                         ("amount_cents", 0), ("rail", "bank")):  # fmt: skip
        misfit(await operator.post("/api/admin/top-ups", body | {field: value}), field)
    counts = await reconcile(node.market, [rail])
    assert (counts.matched, counts.findings) == (1, 0)
    await node.prove()


@pytest.mark.parametrize("name", ["paypal", "solana"])
async def test_the_real_rails_records_agree_with_their_payouts(node: Node, name: str) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        settle: Callable[[], object]
        if name == "paypal":
            server = await stack.enter_async_context(PayPalServer(registered={PAYPAL}))
            rail: PayoutProvider = rails_market.attach_paypal(node, server, http)
            worker, settle = await rich_worker(node), server.process
        else:
            chain = await stack.enter_async_context(SolanaNode())
            rail, _ = rails_market.attach_solana(node, chain, http)
            (worker, _), settle = await rails_market.solana_worker(node), chain.chain.finalize
        payout_id = await withdraw(worker, 1_000)
        await approve(node, payout_id)
        await work(node)
        settle()
        await work(node, 2)
        assert await state(node, payout_id) == "paid"
        # The chain of the tests has a clock of its own.
        found = await rail.records(datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC))
        now = datetime.now(UTC)
        told = ToldRail(rail.rail, [msgspec.structs.replace(one, at=now) for one in found])

        counts = await reconcile(node.market, [told])

        (report,) = await list_reconciliations(node.market, rail.rail, 1)
        assert report.error is None
        # The wallet was filled by nobody that the ledger knows; all else agrees.
        assert [f.rail_cents for f in report.findings] == ([] if name == "paypal" else [1_000_00])
        assert counts.matched == 1
        await node.prove()


async def test_events_are_listed_and_replayed(shop: Shop) -> None:
    buyer, operator = await shop.node.buyer(0), shop.node.operator()
    await shop.deposit(buyer)
    before = await shop.money(buyer)
    listed = await operator.ok("GET", "/api/admin/webhook-events?status=done&limit=1")
    (event,) = listed["events"]
    path = f"/api/admin/webhook-events/{event['source']}/{event['event_id']}/replay"
    assert (await operator.ok("POST", path))["status"] == "pending"
    await shop.work()
    assert await shop.money(buyer) == before
    (again,) = (await operator.ok("GET", "/api/admin/webhook-events?status=done&limit=1"))["events"]
    assert again["event_id"] == event["event_id"]
    missing = await operator.post("/api/admin/webhook-events/stripe/evt_none/replay")
    assert missing.status_code == 404
    deposits = (await operator.ok("GET", "/api/admin/deposits?status=paid"))["deposits"]
    assert [d["buyer_id"] for d in deposits] == [buyer.id]
    (first, *_) = (await operator.ok("GET", "/api/admin/audit"))["entries"]
    assert (first["action"], first["subject"]) == (
        "webhook.replay",
        f"stripe/{event['event_id']}",
    )
    await shop.node.prove()


async def test_the_daily_job_runs_once_a_day_on_any_number_of_nodes(node: Node) -> None:
    rails = [ToldRail(Account.PAYPAL, [])]
    await asyncio.gather(*(reconcile_daily(node.market, rails) for _ in range(8)))
    await reconcile_daily(node.market, rails)
    count = "SELECT rail, count(*)::int FROM reconciliations GROUP BY rail ORDER BY rail"
    assert await sql(node, count) == [("marketplace", 1), ("paypal", 1)]
    await sql(node, "UPDATE reconciliations SET created_at = now() - interval '25 hours'")
    assert (await reconcile_daily(node.market, rails)).rails == 1
    assert await sql(node, count) == [("marketplace", 2), ("paypal", 2)]


def test_the_bank_is_nobodys_to_ask() -> None:
    assert reconciled_rails(None, {"manual": ManualProvider()}) == []
