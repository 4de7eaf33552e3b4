"""The steps that the tests of withdrawals and payouts are made of, and a rail that does as told."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import cast

from openclaw_jobs.ledger import Account, Rail
from openclaw_jobs.market.work_payouts import work_payouts
from openclaw_jobs.payments.providers import (
    Failed,
    Outcome,
    Paid,
    PayoutOrder,
    PayoutProvider,
    Prepared,
    ProviderUnavailable,
    RailRecord,
    Sent,
    Unknown,
)
from openclaw_jobs.payments.providers.base import ProviderName
from tests.market.steps import sql
from tests.payments.test_credits import done, money, ripen
from tests.running import Json, Node, Party

PAYPAL = "worker@example.com"
SOLANA = "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"


class DiedError(BaseException):
    """The process ends here: nothing in it catches this."""


class ScriptedRail:
    """A rail that pays in its own books, and answers as a test says.

    It keeps the port's promise: the same key again has no further effect. What it answers is
    another matter: the outcomes in `script` are given one by one, in place of the truth; a callable
    among them is called (to raise, or to die). `after` says whether money moves before the answer.
    """

    def __init__(self, name: ProviderName = "paypal") -> None:
        self.name: ProviderName = name
        self.rail: Rail = Account.PAYPAL if name == "paypal" else Account.USDC_SOL
        self.paid: dict[str, int] = {}
        self.signed: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.on_prepare: deque[Callable[[], None]] = deque()
        self.on_send: deque[Outcome | Callable[[], None]] = deque()
        self.on_check: deque[Outcome | Callable[[], None]] = deque()
        self.lost: set[str] = set()
        """Keys whose order never arrives, however often it is sent."""
        self.fee_cents = 0
        self.delay_s = 0.0

    async def prepare(self, order: PayoutOrder) -> Prepared:
        self.calls["prepare"] += 1
        if self.on_prepare:
            self.on_prepare.popleft()()
        return Prepared(None, f"{order.key} #{self.calls['prepare']}".encode(), 7)

    async def send(self, order: PayoutOrder) -> Outcome:
        self.calls["send"] += 1
        await asyncio.sleep(self.delay_s)
        assert order.signed is not None, "only what was prepared and stored is sent"
        first = self.signed.setdefault(order.key, order.signed)
        assert first == order.signed, "an attempt is sent again as it was"
        if order.key not in self.lost:
            self.paid[order.key] = order.amount_cents
        return self._answer(self.on_send) or Sent(f"ref {order.key}")

    async def check(self, order: PayoutOrder) -> Outcome:
        self.calls["check"] += 1
        await asyncio.sleep(self.delay_s)
        told = self._answer(self.on_check)
        if told is not None:
            return told
        if order.key in self.paid:
            return Paid(f"ref {order.key}", self.fee_cents)
        return Unknown("never heard of it")

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        raise ProviderUnavailable(f"no records from {since} to {until}")

    @staticmethod
    def _answer(script: deque[Outcome | Callable[[], None]]) -> Outcome | None:
        if not script:
            return None
        told = script.popleft()
        if isinstance(told, Sent | Paid | Failed | Unknown) or not callable(told):
            return told
        told()
        return None

    @property
    def total_cents(self) -> int:
        return sum(self.paid.values())


def die() -> None:
    raise DiedError


def time_out() -> None:
    raise TimeoutError


def unavailable() -> None:
    raise ProviderUnavailable("no way there")


def attach(node: Node, *rails: ScriptedRail) -> None:
    """Have the node pay by these."""
    providers = cast("dict[ProviderName, PayoutProvider]", node.services.providers)
    providers.update({rail.name: rail for rail in rails})


async def open_market(node: Node, **commissions: Json) -> None:
    """Tasks of $10 that the worker earns whole, withdrawals from a cent on without mail."""
    rates = dict.fromkeys(("bronze", "silver", "gold", "platinum"), 0)
    await node.configure(
        "pricing", base_cents={"default": 1_000, "general": 1_000}, per_1000_chars_cents=0
    )
    await node.configure("rate_limits", withdraw={"limit": 100_000, "per_seconds": 60})
    await node.configure(
        "commissions",
        **{
            "rate_by_tier": rates,
            "min_withdrawal_cents": 1,
            "daily_withdrawal_limit_cents": 1_000_000,
            "require_verified_email": False,
            **commissions,
        },
    )


async def earn(node: Node, worker: Party, tasks: int = 1, *, buyer: Party | None = None) -> Json:
    """Earn $10 a task, available; returns the tasks."""
    buyer = buyer or await node.buyer(1_000 * tasks)
    earned = [await done(buyer, worker) for _ in range(tasks)]
    await ripen(node)
    return earned


async def rich_worker(node: Node, tasks: int = 1, **commissions: Json) -> Party:
    """A worker with $10 a task to withdraw to PayPal."""
    await open_market(node, **commissions)
    worker = await node.worker()
    await earn(node, worker, tasks)
    await worker.ok("POST", "/api/worker/bind-payout", {"method": "paypal", "email": PAYPAL})
    return worker


async def withdraw(worker: Party, cents: int) -> str:
    """Ask for money; the payout's id."""
    body = {"amount_cents": cents}
    payout_id: str = (await worker.ok("POST", "/api/worker/withdraw", body, 201))["payout_id"]
    return payout_id


async def approve(node: Node, payout_id: str, **body: Json) -> Json:
    """Approve as operator."""
    return await node.operator().ok("POST", f"/api/admin/payouts/{payout_id}/approve", body)


async def work(node: Node, times: int = 1) -> None:
    """Work what is due, making everything due first."""
    for _ in range(times):
        await make_due(node)
        await work_payouts(node.market, node.services.providers)


async def make_due(node: Node) -> None:
    """Let all waiting be over."""
    await sql(
        node,
        "UPDATE payouts SET next_check_at = now() WHERE id IN"
        " (SELECT id FROM payouts ORDER BY id FOR UPDATE SKIP LOCKED)",
    )


async def state(node: Node, payout_id: str) -> str:
    """A payout's status."""
    listed = await node.operator().ok("GET", "/api/admin/payouts?limit=100")
    found: str = next(p["payout_status"] for p in listed["payouts"] if p["payout_id"] == payout_id)
    return found


async def available(worker: Party) -> int:
    """What the worker may withdraw."""
    return (await money(worker))[0]
