"""The real process is killed between any two steps; after a restart all is as if it had not been.

Each process is told where to die, and dies over a buyer or worker of its own. When all are dead
one is started that is told nothing. Whoever got no answer asks again, Stripe and PayPal go on as
they do, and in the end everybody has what the one has whom nobody died over.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import pytest

from openclaw_jobs.kit.failpoints import POINTS
from openclaw_jobs.market.bind_contact import bind_payout
from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.market.release_earnings import release_earnings
from openclaw_jobs.workers import Preferences
from tests.bad_days.programs import Back, background, behind, caller, together, until, web
from tests.conftest import Postgres
from tests.fakes.paypal import PayPalServer
from tests.fakes.stripe import SECRET_KEY, WEBHOOK_SECRET, StripeFake, sign
from tests.running import ADMIN_TOKEN, UNLIMITED

Json: TypeAlias = Any

# Points within requests, and points within periodic jobs. The latter in an order in which a
# process does not come by its point while it heals what the one before it left.
DEPOSIT_REQUESTS = ("deposit.begun", "deposit.session_made", "deposit.session_kept", "webhook.kept")
DEPOSIT_JOBS = ("webhook.worked", "deposit.fee_posted", "deposit.fee_known", "webhook.applied")
CREDIT_REQUESTS = ("credit.lots_taken", "credit.posted", "credit.committed")
PAYOUT_REQUESTS = (
    "withdrawal.held", "withdrawal.committed", "payout.decided", "payout.approved",
)  # fmt: skip
PAYOUT_JOBS = (
    "payout.taken", "payout.started", "payout.prepared", "payout.sent", "payout.written",
    "payout.recorded",
)  # fmt: skip
KILLED = -9


def test_every_point_is_died_at() -> None:
    tried = {*DEPOSIT_REQUESTS, *DEPOSIT_JOBS, *CREDIT_REQUESTS, *PAYOUT_REQUESTS, *PAYOUT_JOBS}
    # Those of all transactions are died at by the test of all money, those of checks by their own.
    others = ("transaction.", "check.")
    assert {point for point in POINTS if not point.startswith(others)} == tried


@dataclass
class Town:
    """A marketplace with one web process that lives, its Stripe and its PayPal."""

    dsn: str
    back: Back
    stripe: StripeFake
    paypal: PayPalServer
    environment: dict[str, str]
    living: str
    http: httpx.AsyncClient

    async def ask(
        self, address: str, token: str, path: str, body: Json, key: str = "", status: int = 200
    ) -> Json:
        """A request that is asked again as it is if no answer comes."""
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        answer = await self.http.post(address + path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def die_in_a_request(
        self, points: Sequence[str], flows: Sequence[Callable[[str], Awaitable[object]]]
    ) -> None:
        """Begin each flow at a process that dies over it."""
        dying = [web(self.dsn, **self.environment, OPENCLAW_FAILPOINT=point) for point in points]
        async with together(*dying) as programs:
            for program, flow in zip(programs, flows, strict=True):
                with pytest.raises(httpx.TransportError):
                    await flow(program.address)
                assert await program.ended() == KILLED, program.text()

    async def die_in_a_job(self, point: str) -> None:
        """Run the periodic jobs until they die."""
        environment = {**self.environment, "OPENCLAW_FAILPOINT": point}
        async with background(self.dsn, **environment) as program:
            assert await program.ended() == KILLED, program.text()

    def facts(self, party: str) -> list[Json]:
        """What the books say of somebody, without names that differ."""
        queries = (
            "SELECT account, balance_cents FROM balances WHERE owner = %s",
            (
                "SELECT t.kind, p.account, sum(p.amount_cents)::bigint, count(*) FROM transfers t"
                " JOIN postings p ON p.transfer_id = t.id WHERE p.owner = %s GROUP BY 1, 2"
            ),
            (
                "SELECT deposited_cents, bonus_cents, spent_cents, credited_cents FROM buyer_totals"
                " WHERE buyer_id = %s"
            ),
            (
                "SELECT pack, cents, status, fee_cents, refunded_cents FROM deposits"
                " WHERE buyer_id = %s"
            ),
            "SELECT status, credited_cents FROM tasks WHERE buyer_id = %s",
            "SELECT status, amount_cents FROM credits WHERE worker_id = %s",
            (
                "SELECT status, net_cents, available_cents, withdrawn_cents, clawed_cents"
                " FROM earnings WHERE worker_id = %s"
            ),
            (
                "SELECT status, amount_cents, fee_cents, provider, attempt FROM payouts"
                " WHERE worker_id = %s"
            ),
            (
                "SELECT a.attempt, a.status FROM payout_attempts a JOIN payouts p"
                " ON p.id = a.payout_id WHERE p.worker_id = %s"
            ),
        )
        return [sorted(self.back.rows(query, party)) for query in queries]


@contextlib.asynccontextmanager
async def open_town(postgres: Postgres) -> AsyncIterator[Town]:
    with postgres.database() as dsn:
        async with (
            StripeFake() as stripe,
            PayPalServer() as paypal,
            behind(dsn) as back,
        ):
            unlimited = dict.fromkeys(("deposit", "webhook", "withdraw"), UNLIMITED)
            await back.configure("rate_limits", **unlimited)
            await back.configure("commissions", require_verified_email=False)
            await back.configure(
                "pricing", base_cents={"default": 1_000, "general": 1_000}, per_1000_chars_cents=0
            )
            environment = {
                "ADMIN_TOKEN": ADMIN_TOKEN,
                # A session that is asked for again must be the same, through whichever process.
                "PUBLIC_URL": "https://jobs.example",
                "STRIPE_SECRET_KEY": SECRET_KEY,
                "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
                "STRIPE_API_BASE": stripe.url,
                "PAYPAL_CLIENT_ID": paypal.client_id,
                "PAYPAL_CLIENT_SECRET": paypal.client_secret,
                "PAYPAL_API_BASE": paypal.url,
            }
            async with web(dsn, **environment) as living:
                async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as http:  # noqa: S501
                    yield Town(dsn, back, stripe, paypal, environment, living.address, http)
                proof = await prove_ledger(back.market)
                assert proof.ok, proof.violations


_numbers: Iterator[int] = iter(range(1, 1_000))


@dataclass
class Buyer:
    """Somebody who buys a pack; each step can be done again."""

    town: Town
    buyer_id: str
    key: str

    @classmethod
    async def come(cls, town: Town) -> "Buyer":
        email = f"payer{next(_numbers)}@example.com"
        buyer_id, key = await create_funded_buyer(town.back.market, email, 0, "test")
        return cls(town, buyer_id, key.key)

    async def ask(self, address: str) -> str:
        body = {"pack": "pro"}
        answer = await self.town.ask(address, self.key, "/api/deposit", body, "this pack")
        session: str = answer["session_id"]
        return session

    async def pay(self, address: str) -> None:
        """Ask, pay if that isn't done, and have Stripe tell of it (twice, as it may)."""
        session = await self.ask(address)
        stripe = self.town.stripe
        if stripe.objects[session]["payment_status"] != "paid":
            stripe.pay(session)
        told = [event for event in stripe.events if event["data"]["object"].get("id") == session]
        for event in (*told, *told):
            payload = json.dumps(event).encode()
            answer = await self.town.http.post(
                f"{address}/api/deposit/webhook",
                content=payload,
                headers={"Stripe-Signature": sign(payload, WEBHOOK_SECRET)},
            )
            assert answer.status_code == 200, answer.text

    def outcome(self) -> Json:
        sessions = [
            session["payment_status"]
            for session in self.town.stripe.all_of("checkout.session")
            if session["client_reference_id"] == self.buyer_id
        ]
        return self.town.facts(self.buyer_id), sessions


async def test_a_deposit_survives_a_death_at_any_step(postgres: Postgres) -> None:
    async with open_town(postgres) as town:
        usual = await Buyer.come(town)
        asking = [await Buyer.come(town) for _ in DEPOSIT_REQUESTS]
        flows: list[Callable[[str], Awaitable[object]]] = [buyer.ask for buyer in asking[:-1]]
        await asking[-1].ask(town.living)
        await town.die_in_a_request(DEPOSIT_REQUESTS, [*flows, asking[-1].pay])
        waiting = []
        for point in DEPOSIT_JOBS:
            buyer = await Buyer.come(town)
            await buyer.pay(town.living)
            await town.die_in_a_job(point)
            waiting.append(buyer)
        for buyer in (usual, *asking, *waiting):
            await buyer.pay(town.living)
        async with background(town.dsn, **town.environment) as running:
            await until(
                lambda: (
                    town.back.rows("SELECT FROM deposits WHERE fee_cents IS NULL") == []
                    and town.back.rows("SELECT FROM webhook_events WHERE status = 'pending'") == []
                )
            )
            await running.stop()
        facts, sessions = usual.outcome()
        assert sessions == ["paid"]
        assert facts[0] == [("buyer:paid", 5_000), ("buyer:promo", 500), ("receivable:buyer", 0)]
        for point, buyer in zip(
            (*DEPOSIT_REQUESTS, *DEPOSIT_JOBS), (*asking, *waiting), strict=True
        ):
            assert buyer.outcome() == (facts, sessions), point


@dataclass
class Pair:
    """A worker that has earned $14 of two tasks, and their buyer; each step can be done again."""

    town: Town
    buyer: tuple[str, str]
    worker: tuple[str, str]
    task_id: str
    email: str
    payout_id: str = ""

    @classmethod
    async def come(cls, town: Town) -> "Pair":
        number = next(_numbers)
        market = town.back.market
        buyer_id, key = await create_funded_buyer(market, f"b{number}@example.com", 2_000, "test")
        profile, token = await connect_worker(
            market, name=None, model=None, capabilities=[], preferences=Preferences(), replay=None
        )
        email = f"worker{number}@example.com"
        await bind_payout(market, profile.worker_id, "paypal", email, None)
        town.paypal.registered.add(email)
        pair = cls(town, (buyer_id, key.key), (profile.worker_id, token), "", email)
        for _ in range(2):
            await pair.work()
        return pair

    async def work(self) -> None:
        """Post a task and do it."""
        posted = await self.town.ask(
            self.town.living, self.buyer[1], "/api/task", {"prompt": "hello"}, status=201
        )
        async with caller(self.town.living, self.worker[1]) as http:
            claimed = (await http.get("/api/work/next?wait=10")).json()
            assert claimed["task_id"] == posted["id"]
            self.task_id = posted["id"]
            done = {name: claimed[name] for name in ("task_id", "lease_token")}
            answer = await http.post(
                "/api/work/submit", json={**done, "status": "completed", "result": "done"}
            )
            assert answer.status_code == 200, answer.text

    async def credit(self, address: str) -> None:
        """The buyer wants its money back for the last task."""
        path = f"/api/task/{self.task_id}/credit"
        answer = await self.town.ask(address, self.buyer[1], path, {"reason": "bad"}, "bad work")
        assert (answer["status"], answer["balance_cents"]) == ("credited", 1_000)

    async def withdraw(self, address: str) -> None:
        """The worker wants most of what it has."""
        body = {"amount_cents": 1_200}
        answer = await self.town.ask(
            address, self.worker[1], "/api/worker/withdraw", body, "once", 201
        )
        assert self.payout_id in {"", answer["payout_id"]}
        self.payout_id = answer["payout_id"]

    async def approve(self, address: str) -> None:
        """An operator lets it be paid."""
        path = f"/api/admin/payouts/{self.payout_id}/approve"
        await self.town.ask(address, ADMIN_TOKEN, path, {}, f"approve {self.payout_id}")

    def outcome(self) -> Json:
        paypal = self.town.paypal
        batches = [b for b in paypal.batches.values() if b.item["receiver"] == self.email]
        facts = [self.town.facts(party) for party in (self.buyer[0], self.worker[0])]
        return facts, paypal.received[self.email], len(batches)


async def ripen(town: Town) -> None:
    """All that was earned can be withdrawn."""
    town.back.rows("UPDATE earnings SET release_at = now() RETURNING 1")
    await release_earnings(town.back.market)


@pytest.mark.parametrize("ripe", [False, True], ids=["before_unfreeze", "after_withdrawal"])
async def test_a_credit_survives_a_death_at_any_step(postgres: Postgres, *, ripe: bool) -> None:
    async with open_town(postgres) as town:
        usual, *pairs = [await Pair.come(town) for _ in (None, *CREDIT_REQUESTS)]
        if ripe:
            await ripen(town)
            for pair in (usual, *pairs):
                await pair.withdraw(town.living)
        await town.die_in_a_request(CREDIT_REQUESTS, [pair.credit for pair in pairs])
        for pair in (usual, *pairs):
            await pair.credit(town.living)
        buyer, worker = usual.outcome()[0]
        assert buyer[0] == [("buyer:paid", 0), ("buyer:promo", 1_000), ("receivable:buyer", 0)]
        owed = {account: cents for account, cents in worker[0] if cents}
        # Of two lots of $7 it has $2 after the withdrawal, and gives $7.
        assert owed == ({"receivable:worker": 500} if ripe else {"worker:frozen": 700})
        for point, pair in zip(CREDIT_REQUESTS, pairs, strict=True):
            assert pair.outcome() == usual.outcome(), point


async def test_a_payout_survives_a_death_at_any_step(postgres: Postgres) -> None:
    async with open_town(postgres) as town:
        points = (*PAYOUT_REQUESTS, *PAYOUT_JOBS)
        usual, *pairs = [await Pair.come(town) for _ in (None, *points)]
        await ripen(town)
        asking, waiting = pairs[: len(PAYOUT_REQUESTS)], pairs[len(PAYOUT_REQUESTS) :]
        for pair in asking[2:]:
            await pair.withdraw(town.living)
        flows = [*(p.withdraw for p in asking[:2]), *(p.approve for p in asking[2:])]
        await town.die_in_a_request(PAYOUT_REQUESTS, flows)
        # Nobody works on those that died first before the others have died as well.
        town.back.rows("UPDATE payouts SET next_check_at = now() + interval '1 hour' RETURNING 1")
        for point, pair in zip(PAYOUT_JOBS, waiting, strict=True):
            await pair.withdraw(town.living)
            await pair.approve(town.living)
            await town.die_in_a_job(point)
        for pair in (usual, *pairs):
            await pair.withdraw(town.living)
            await pair.approve(town.living)
        async with background(town.dsn, **town.environment) as running:
            await until(lambda: _all_paid(town))
            await running.stop()
        facts, received, batches = usual.outcome()
        assert (received, batches) == (1_200, 1)
        assert ("worker:available", 200) in facts[1][0]
        for point, pair in zip(points, pairs, strict=True):
            assert pair.outcome() == (facts, received, batches), point


def _all_paid(town: Town) -> bool:
    """Let PayPal do its part and all waiting be over, and look."""
    town.paypal.process()
    town.back.rows(
        "UPDATE payouts SET next_check_at = now() WHERE id IN (SELECT id FROM payouts"
        " WHERE status <> 'paid' ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING 1"
    )
    return town.back.rows("SELECT FROM payouts WHERE status <> 'paid'") == []
