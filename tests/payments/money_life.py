"""A life of all money: its parties, and what acts ask about it."""

import itertools
from collections.abc import Iterator
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from openclaw_jobs.dispatch.models import Claim
from openclaw_jobs.market.bind_contact import bind_payout
from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.payments.payouts import DuePayout
from openclaw_jobs.workers import Preferences
from tests.conftest import Postgres
from tests.fakes.stripe import Object
from tests.payments.money_acts import REFUSALS, act, one_of
from tests.payments.money_world import Request, World
from tests.payments.payout_steps import PAYPAL, SOLANA

STEPS_OF_A_WORLD = 3_000
"""After so many the next life begins in a new database, so that no audit reads too much."""


class Life(RuleBasedStateMachine):
    """One life: who lives in it, what is under way, and a look at what there is to act upon."""

    postgres: ClassVar[Postgres]
    world: ClassVar[World | None] = None
    steps: ClassVar[int] = 0
    deaths: ClassVar[int] = 0
    met: ClassVar[set[str]] = set()
    numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        old = Life.world
        if old is not None and (not old.whole or old.steps > STEPS_OF_A_WORLD):
            Life.met |= old.kinds()
            old.close()
            Life.world = None
        if Life.world is None:
            Life.world = World(self.postgres)
        self.w = Life.world
        self.first_event = len(self.w.stripe.events)
        self.stripe_before = self.w.auditor.balance("stripe")
        self.buyers: list[str] = []
        self.workers: list[str] = []
        self.tasks: list[tuple[str, str]] = []
        self.claims: list[Claim] = []
        self.requests: list[Request] = []
        self.failed_sessions: set[str] = set()
        self.stripe_payouts: list[str] = []
        self.slow: list[DuePayout] = []
        self.off: set[int] = set()
        self.there: dict[str, int] = {}

    # Helpers

    def do(self, act: Request, *, again: bool = False) -> object:
        """Do what may be refused, or die; with `again` it may be asked once more later."""
        if again:
            self.requests.append(act)
        answer = self.w.do(act())
        self.w.refused(answer, *REFUSALS)
        return answer

    @staticmethod
    def key() -> str:
        """An idempotency key."""
        return f"key {next(Life.numbers)}"

    def sessions(self, *, paid: bool) -> list[str]:
        """Checkout sessions that were answered to their buyers."""
        rows = self.w.sql(
            "SELECT session_id FROM deposits WHERE buyer_id = ANY(%s) AND session_id IS NOT NULL"
            " ORDER BY created_at, id",
            self.buyers,
        )
        objects = self.w.stripe.objects
        return [s for (s,) in rows if (objects[s]["payment_status"] == "paid") == paid]

    def payouts(self, *states: str) -> list[tuple[str, str | None, int]]:
        """Payouts in these states: id, provider and attempt."""
        rows = self.w.sql(
            "SELECT id, provider, attempt FROM payouts WHERE worker_id = ANY(%s)"
            " AND status = ANY(%s) ORDER BY created_at, id",
            self.workers,
            list(states),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def disputes(self) -> list[Object]:
        """Disputes of this life's payments that Stripe has not closed."""
        mine = {self.w.stripe.charge_of(s)["id"] for s in self.sessions(paid=True)}
        return [
            found
            for found in self.w.stripe.all_of("dispute")
            if found["charge"] in mine and found["status"] not in {"won", "lost", "warning_closed"}
        ]

    def look(self) -> None:
        """Count what there is to act upon."""
        names = (
            "queued",
            "claimed",
            "completed",
            "review",
            "frozen",
            "available",
            "events",
            "fees",
        )
        row = self.w.sql(
            "SELECT (SELECT count(*) FROM tasks WHERE status = 'queued' AND buyer_id = ANY(%(b)s)),"
            " (SELECT count(*) FROM leases WHERE worker_id = ANY(%(w)s)),"
            " (SELECT count(*) FROM tasks WHERE status = 'completed' AND buyer_id = ANY(%(b)s)),"
            " (SELECT count(*) FROM credits WHERE status = 'review' AND buyer_id = ANY(%(b)s)),"
            " (SELECT count(*) FROM earnings WHERE status = 'frozen' AND worker_id = ANY(%(w)s)),"
            " (SELECT count(*) FROM earnings WHERE available_cents > 0 AND worker_id = ANY(%(w)s)),"
            " (SELECT count(*) FROM webhook_events WHERE status = 'pending'),"
            " (SELECT count(*) FROM deposits WHERE fee_due_at IS NOT NULL)",
            b=self.buyers,
            w=self.workers,
        )[0]
        self.there = dict(zip(names, row, strict=True))

    def rail_state(self, payout: str, attempt: int) -> str | None:
        key = f"{payout}-{attempt}"
        return next((r.states[key] for r in self.w.rails if key in r.states), None)

    def time_passes(self) -> None:
        """Everything that waits for a time is due."""
        self.w.sql("UPDATE webhook_events SET next_try_at = now() WHERE status = 'pending'")
        self.w.sql("UPDATE deposits SET fee_due_at = now() WHERE fee_due_at IS NOT NULL")
        self.w.sql(
            "UPDATE payouts SET next_check_at = now() WHERE worker_id = ANY(%s)", self.workers
        )

    # Parties

    @act(when=lambda self: len(self.buyers) < 4, cents=one_of([0, 300, 2_000]))
    def buyer_comes(self, cents: int) -> None:
        email = f"buyer{next(Life.numbers)}@example.com"
        made = self.w.do(create_funded_buyer(self.w.market, email, cents, "test"))
        if isinstance(made, tuple):
            self.buyers.append(made[0])

    @act(when=lambda self: len(self.workers) < 4, by_paypal=one_of([True, False]))
    def worker_comes(self, *, by_paypal: bool) -> None:
        market = self.w.market
        made = self.w.do(
            connect_worker(
                market,
                name=None,
                model=None,
                capabilities=[],
                preferences=Preferences(max_concurrent=1000),
                replay=None,
            )
        )
        if not isinstance(made, tuple):
            return
        worker = made[0].worker_id
        self.workers.append(worker)
        where = ("paypal", PAYPAL) if by_paypal else ("solana", SOLANA)
        self.w.do(bind_payout(market, worker, where[0], where[1], None))  # type: ignore[arg-type]
