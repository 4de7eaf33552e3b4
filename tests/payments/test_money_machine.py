"""Random lives of all money at once: in, held, out, back; with deaths between any two steps.

Whatever happens in whatever order, an auditor that shares nothing with the program finds that it
adds up after every step; and when a life has come to rest, that it agrees with Stripe and the
rails. `OPENCLAW_SOAK_STEPS` says how many steps are taken (`make soak-money` takes more).
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, NamedTuple

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from openclaw_jobs.dispatch.models import Claim
from openclaw_jobs.kit import failpoints
from openclaw_jobs.kit.failpoints import POINTS
from openclaw_jobs.market.apply_deposit_event import Handled
from openclaw_jobs.market.bind_contact import bind_payout
from openclaw_jobs.market.cancel_task import cancel_task
from openclaw_jobs.market.credit_task import credit_task
from openclaw_jobs.market.decide_credit import decide_credit
from openclaw_jobs.market.decide_payout import (
    approve_payout,
    mark_failed,
    mark_paid,
    mark_returned,
    reject_payout,
    retry_payout,
)
from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.market.open_deposit import open_deposit
from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.post_task import TaskOrder, post_task
from openclaw_jobs.market.recover_leases import recover
from openclaw_jobs.market.reinstate_buyer import reinstate_buyer
from openclaw_jobs.market.release_earnings import release_earnings
from openclaw_jobs.market.submit_work import Submission, submit_work
from openclaw_jobs.market.withdraw import withdraw
from openclaw_jobs.market.work_payouts import take_due, work_payout, work_payouts
from openclaw_jobs.market.work_webhooks import work_webhooks
from openclaw_jobs.payments.deposits import PACKS, PackName
from openclaw_jobs.payments.payouts import DuePayout
from openclaw_jobs.workers import Preferences
from tests.conftest import Postgres
from tests.fakes.stripe import Fault as StripeFault
from tests.fakes.stripe import Object
from tests.payments.money_rail import FAULTS, Fault
from tests.payments.money_world import CATEGORIES, Request, World, once
from tests.payments.payout_steps import PAYPAL, SOLANA

STEPS = int(os.environ.get("OPENCLAW_SOAK_STEPS", "2000"))
STEPS_OF_A_LIFE = 100
STEPS_OF_A_WORLD = 3_000
"""After so many the next life begins in a new database, so that no audit reads too much."""

USUAL = {
    "task_charge", "settle", "refund_expired", "unfreeze", "deposit", "deposit_fee", "card_refund",
    "credit", "withdrawal", "payout_paid", "payout_failed",
}  # fmt: skip
"""What so many steps can't miss, or the lives are too poor to tell anything."""
REFUSALS = (
    "already_credited", "idempotency_conflict", "insufficient_balance", "lease_lost",
    "limit_exceeded", "not_cancellable", "not_creditable", "suspended", "unavailable",
    "wrong_state",
)  # fmt: skip
LATE: tuple[StripeFault | None, ...] = (None, None, None, "drop_before", "drop_after", 500)


Draw = Callable[[Random], Any]
_HEAD_STARTS = 0.7
"""So many lives begin with work done and paid for, and so come to withdrawals."""
SEED = st.integers(0, 2**32 - 1)
"""A step is one number, so that lives that go another way by a hair can still be compared."""


def one_of(choices: Sequence[object]) -> Draw:
    return lambda chance: chance.choice(choices)


def between(least: int, most: int) -> Draw:
    return lambda chance: chance.randint(least, most)


CHANCE: Draw = lambda chance: chance  # noqa: E731 - the identity, with a name
FEW_FAULTS: Draw = lambda chance: chance.choices(FAULTS, k=chance.randint(0, 3))  # noqa: E731


class Act(NamedTuple):
    """Something that happens.

    Attributes:
        when: Whether it can happen now.
        draws: What is drawn for it; `CHANCE` lets it draw for itself.
    """

    name: str
    do: Callable[..., None]
    when: Callable[[Any], object]
    draws: dict[str, Draw]

    def __repr__(self) -> str:
        return self.name


ACTS: list[Act] = []
WEIGHTS = {
    "buyer_asks_for_a_pack": 4, "buyer_goes_to_checkout": 6, "stripe_tells": 5,
    "events_are_worked": 6, "a_card_is_refunded": 2, "a_payment_is_disputed": 2,
    "a_dispute_ends": 3, "fees_are_posted": 2, "buyer_posts_tasks": 5, "worker_claims": 8,
    "workers_submit": 12, "buyer_asks_for_credit": 3, "an_operator_decides_on_a_credit": 4,
    "earnings_ripen": 8, "worker_withdraws": 10, "an_operator_decides_on_a_payout": 10,
    "payouts_are_worked": 10, "a_rail_decides": 5, "a_request_comes_again": 4,
    "the_slow_process_goes_on": 4, "a_payout_comes_back": 6,
    "an_operator_knows_how_a_payout_ended": 4, "much_happens_at_once": 2,
}  # fmt: skip
DEATHS = {
    "buyer_asks_for_a_pack": "deposit.", "stripe_tells": "webhook.",
    "events_are_worked": "webhook.",
    "fees_are_posted": "deposit.fee", "buyer_asks_for_credit": "credit.",
    "an_operator_decides_on_a_credit": "credit.", "worker_withdraws": "withdrawal.",
    "an_operator_decides_on_a_payout": "payout.", "payouts_are_worked": "payout.",
    "the_slow_process_goes_on": "payout.",
}  # fmt: skip


def act(
    *, when: Callable[[Any], object] = lambda _: True, **draws: Draw
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let this happen in a life."""

    def note(do: Callable[..., None]) -> Callable[..., None]:
        ACTS.append(Act(do.__name__, do, when, draws))
        return do

    return note


def deaths(name: str) -> list[str]:
    """Where a process may die over an act."""
    prefix = DEATHS.get(name)
    own = [] if prefix is None else [p for p in sorted(POINTS) if p.startswith(prefix)]
    return ["transaction.written", "transaction.committed", *own]


class Money(RuleBasedStateMachine):
    """The facts of all money in any order."""

    postgres: ClassVar[Postgres]
    world: ClassVar[World | None] = None
    steps: ClassVar[int] = 0
    deaths: ClassVar[int] = 0
    met: ClassVar[set[str]] = set()
    numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        old = Money.world
        if old is not None and (not old.whole or old.steps > STEPS_OF_A_WORLD):
            Money.met |= old.kinds()
            old.close()
            Money.world = None
        if Money.world is None:
            Money.world = World(self.postgres)
        self.w = Money.world
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
        return f"key {next(Money.numbers)}"

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

    # Parties

    @initialize(seed=SEED)
    def begin(self, seed: int) -> None:
        """In each life other things never happen, so that none is always in another's way."""
        chance = Random(seed)  # noqa: S311 - choices, not secrets
        self.off = set(chance.sample(range(len(ACTS)), chance.choice([0, 0, 3, 6])))
        for cents in (5_000, 300):
            self.buyer_comes(cents)
        for by_paypal in (True, False):
            self.worker_comes(by_paypal=by_paypal)
        if chance.random() < _HEAD_STARTS:
            for _ in range(2):
                self.buyer_posts_tasks(chance, "coding", 3)
                self.worker_claims(chance, 4)
                self.workers_submit(chance, 4, good=True)
            self.earnings_ripen(3)

    @act(when=lambda self: len(self.buyers) < 4, cents=one_of([0, 300, 2_000]))
    def buyer_comes(self, cents: int) -> None:
        email = f"buyer{next(Money.numbers)}@example.com"
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

    # One act after the other

    @rule(seed=SEED)
    def something_happens(self, seed: int) -> None:
        """What can happen now, the usual more often; and perhaps the process dies over it."""
        chance = Random(seed)  # noqa: S311 - choices, not secrets
        self.look()
        possible = [
            act
            for number, act in enumerate(ACTS)
            if number not in self.off and act.when(self)
            for _ in range(WEIGHTS.get(act.name, 1))
        ]
        act = chance.choice(possible or ACTS[:1])
        arguments = {name: draw(chance) for name, draw in act.draws.items()}
        death = chance.choice([None, None, None, *deaths(act.name)])
        told = {name: drawn for name, drawn in arguments.items() if drawn is not chance}
        note(f"{act.name} {told}{f', to die at {death}' if death else ''}")
        if death is not None:
            self.w.die_at(death, chance.choice([0, 0, 1, 2]))
        act.do(self, **arguments)

    @act(when=lambda self: self.requests, chance=CHANCE)
    def a_request_comes_again(self, chance: Random) -> None:
        self.do(chance.choice(self.requests))

    @act(chance=CHANCE)
    def much_happens_at_once(self, chance: Random) -> None:
        market, desk, providers = self.w.market, self.w.desk, self.w.providers
        again = [chance.choice(self.requests) for _ in range(3) if self.requests]
        self.time_passes()

        async def quietly(act: Request) -> None:
            answer = await self.w.attempt(act())
            self.w.refused(answer, *REFUSALS, "idempotency_in_progress")

        jobs: list[Request] = [
            lambda: release_earnings(market),
            lambda: work_webhooks(market, desk),
            lambda: work_payouts(market, providers),
            lambda: recover(market),
        ]
        self.w.do(self.w.together([quietly(act) for act in (*again, *jobs, *jobs)]))

    # Deposits

    @act(chance=CHANCE, pack=one_of(PACKS), fault=one_of(LATE))
    def buyer_asks_for_a_pack(
        self, chance: Random, pack: PackName, fault: StripeFault | None
    ) -> None:
        buyer = chance.choice(self.buyers)
        replay = once(buyer, "POST /api/deposit", self.key(), pack)
        self.w.stripe.faults[:] = [fault]
        self.do(
            lambda: open_deposit(
                self.w.market, self.w.desk, buyer_id=buyer, pack=pack, site="", replay=replay
            ),
            again=True,
        )
        self.w.stripe.faults.clear()

    @act(
        when=lambda self: self.sessions(paid=False),
        chance=CHANCE,
        way=one_of(["pay", "pay", "pay", "later", "expire"]),
    )
    def buyer_goes_to_checkout(self, chance: Random, way: str) -> None:
        session = chance.choice(self.sessions(paid=False))
        status = self.w.stripe.objects[session]["status"]
        if status == "open":
            if way == "expire":
                self.w.stripe.expire(session)
            else:
                self.w.stripe.pay(session, later=way == "later")
        elif status == "complete" and session not in self.failed_sessions:
            if way == "expire":
                self.failed_sessions.add(session)
                self.w.stripe.fail(session)
            else:
                self.w.stripe.pay_at_last(session)

    @act(
        when=lambda self: len(self.w.stripe.events) > self.first_event,
        chance=CHANCE,
        count=between(1, 4),
        times=one_of([1, 1, 2]),
    )
    def stripe_tells(self, chance: Random, count: int, times: int) -> None:
        """Any events, old or new, in any order, at once."""
        events = self.w.stripe.events[self.first_event :]
        told = [chance.choice(events) for _ in range(count)] * times
        self.w.do(self.w.together([self.w.tell(event) for event in told]))

    @act(when=lambda self: self.there["events"], fault=one_of(LATE), soon=one_of([True, False]))
    def events_are_worked(self, fault: StripeFault | None, *, soon: bool) -> None:
        if soon:
            self.time_passes()
        self.w.stripe.faults[:] = [fault]
        self.w.do(work_webhooks(self.w.market, self.w.desk))
        self.w.stripe.faults.clear()

    @act(when=lambda self: self.there["fees"], fault=one_of([*LATE, "no_charge_yet"]))
    def fees_are_posted(self, fault: StripeFault | None) -> None:
        self.time_passes()
        self.w.stripe.faults[:] = [fault]
        self.w.do(post_fees(self.w.market, self.w.desk))
        self.w.stripe.faults.clear()

    @act(when=lambda self: self.sessions(paid=True), chance=CHANCE, percent=one_of([1, 33, 100]))
    def a_card_is_refunded(self, chance: Random, percent: int) -> None:
        session = chance.choice(self.sessions(paid=True))
        charge = self.w.stripe.charge_of(session)
        left = charge["amount"] - charge["amount_refunded"]
        if left:
            self.w.stripe.refund(session, max(1, left * percent // 100))

    @act(when=lambda self: self.sessions(paid=True), chance=CHANCE, inquiry=one_of([True, False]))
    def a_payment_is_disputed(self, chance: Random, *, inquiry: bool) -> None:
        self.w.stripe.dispute(chance.choice(self.sessions(paid=True)), inquiry=inquiry)

    @act(when=lambda self: self.disputes(), chance=CHANCE, end=one_of(["won", "lost"]))
    def a_dispute_ends(self, chance: Random, end: str) -> None:
        dispute = chance.choice(self.disputes())
        inquiry = dispute["status"] == "warning_needs_response"
        self.w.stripe.close(dispute["id"], "warning_closed" if inquiry else end)

    @act(cents=between(1, 2_000), fails=one_of([True, False]))
    def stripe_pays_out(self, cents: int, *, fails: bool) -> None:
        payout = self.w.stripe.payout(cents)["data"]["object"]["id"]
        self.stripe_payouts.append(payout)
        if fails:
            self.w.stripe.fail_payout(payout)

    @act(chance=CHANCE)
    def an_operator_reinstates(self, chance: Random) -> None:
        buyer = chance.choice(self.buyers)
        self.do(lambda: reinstate_buyer(self.w.market, buyer, actor="op", replay=None))

    # Tasks

    @act(chance=CHANCE, category=one_of(sorted(CATEGORIES)), count=between(1, 3))
    def buyer_posts_tasks(self, chance: Random, category: str, count: int) -> None:
        buyer = chance.choice(self.buyers)
        order = TaskOrder(
            buyer_id=buyer,
            prompt="hello",
            messages=None,
            category=category,
            min_tier="bronze",
            max_price_cents=None,
            conversation_id=None,
            metadata=None,
        )
        for _ in range(count):
            replay = once(buyer, "POST /api/task", self.key(), category)
            self.do(lambda replay=replay: post_task(self.w.market, order, replay), again=True)  # type: ignore[misc]
        rows = self.w.sql(
            "SELECT buyer_id, id FROM tasks WHERE buyer_id = ANY(%s) ORDER BY created_at, id",
            self.buyers,
        )
        self.tasks = [(row[0], row[1]) for row in rows]

    @act(when=lambda self: self.there["queued"], chance=CHANCE, want=between(1, 4))
    def worker_claims(self, chance: Random, want: int) -> None:
        got = self.w.do(self.w.claim(chance.choice(self.workers), want))
        self.claims += got if isinstance(got, list) else []

    @act(
        when=lambda self: self.claims and self.there["claimed"],
        chance=CHANCE,
        count=between(1, 4),
        good=one_of([True, True, True, False]),
    )
    def workers_submit(self, chance: Random, count: int, *, good: bool) -> None:
        """Results of claims that may be over; the newest first, as workers do."""
        newest = self.claims[-6:]
        chosen = [chance.choice(newest) for _ in range(count)]
        work = [
            Submission(
                worker_id=claim.worker_id,
                task_id=claim.task_id,
                lease_token=claim.lease_token,
                status="completed" if good else "failed",
                result="done" if good else None,
                error=None if good else "no",
                usage=None,
            )
            for claim in chosen
        ]
        self.do(lambda: submit_work(self.w.market, work), again=True)

    @act(when=lambda self: self.tasks, chance=CHANCE)
    def buyer_cancels(self, chance: Random) -> None:
        waiting = self.w.sql(
            "SELECT buyer_id, id FROM tasks WHERE buyer_id = ANY(%s) AND status = 'queued'"
            " ORDER BY created_at, id",
            self.buyers,
        )
        buyer, task = chance.choice([*waiting, *waiting, chance.choice(self.tasks)])
        replay = once(buyer, f"POST /api/task/{task}/cancel", self.key(), None)
        self.do(lambda: cancel_task(self.w.market, buyer, task, replay), again=True)

    @act(
        when=lambda self: self.there["queued"] + self.there["claimed"],
        leases=one_of([True, False]),
        tasks=one_of([True, False]),
    )
    def what_is_overdue_is_recovered(self, *, leases: bool, tasks: bool) -> None:
        if leases:
            self.w.sql(
                "UPDATE leases SET expires_at = now() - interval '1 second'"
                " WHERE worker_id = ANY(%s)",
                self.workers,
            )
        if tasks:
            self.w.sql(
                "UPDATE tasks SET expires_at = now() - interval '1 second'"
                " WHERE status = 'queued' AND buyer_id = ANY(%s)",
                self.buyers,
            )
        self.w.do(recover(self.w.market))

    # Credits and lots

    @act(when=lambda self: self.tasks, chance=CHANCE)
    def buyer_asks_for_credit(self, chance: Random) -> None:
        done = self.w.sql(
            "SELECT buyer_id, id FROM tasks WHERE buyer_id = ANY(%s) AND status = 'completed'"
            " ORDER BY created_at, id",
            self.buyers,
        )
        buyer, task = chance.choice([*done, *done, chance.choice(self.tasks)])
        replay = once(buyer, f"POST /api/task/{task}/credit", self.key(), None)
        self.do(lambda: credit_task(self.w.market, buyer, task, "bad", replay), again=True)

    @act(when=lambda self: self.there["review"], chance=CHANCE, approve=one_of([True, False]))
    def an_operator_decides_on_a_credit(self, chance: Random, *, approve: bool) -> None:
        waiting = self.waiting_credits()
        if not waiting:
            return
        task = chance.choice(waiting)
        replay = once("operator", f"credit {task}", self.key(), approve)
        self.do(
            lambda: decide_credit(self.w.market, task, approve=approve, actor="op", replay=replay),
            again=True,
        )

    def waiting_credits(self) -> list[str]:
        return [
            row[0]
            for row in self.w.sql(
                "SELECT task_id FROM credits WHERE status = 'review' AND buyer_id = ANY(%s)"
                " ORDER BY requested_at, task_id",
                self.buyers,
            )
        ]

    @act(when=lambda self: self.there["frozen"], count=between(0, 5))
    def earnings_ripen(self, count: int) -> None:
        self.w.sql(
            "UPDATE earnings SET release_at = now() WHERE task_id IN ("
            " SELECT task_id FROM earnings WHERE status = 'frozen' AND worker_id = ANY(%s)"
            " ORDER BY created_at, task_id LIMIT %s)",
            self.workers,
            count,
        )
        self.w.do(release_earnings(self.w.market))

    # Payouts

    @act(
        when=lambda self: self.there["available"],
        chance=CHANCE,
        percent=one_of([5, 10, 25, 50, 100, 101]),
    )
    def worker_withdraws(self, chance: Random, percent: int) -> None:
        worker = chance.choice(self.workers)
        held = -self.w.auditor.balance("worker:available", worker)
        cents = held * percent // 100
        if not cents:
            return
        replay = once(worker, "POST /api/worker/withdraw", self.key(), cents)
        self.do(lambda: withdraw(self.w.market, worker, cents, replay), again=True)

    @act(
        when=lambda self: self.payouts("pending", "failed"),
        chance=CHANCE,
        way=one_of(["approve", "approve", "by hand", "reject", "retry", "retry"]),
    )
    def an_operator_decides_on_a_payout(self, chance: Random, way: str) -> None:
        payout, _, _ = chance.choice(self.payouts("pending", "failed"))
        market, providers = self.w.market, self.w.providers
        replay = once("operator", f"{way} {payout}", self.key(), None)
        acts: dict[str, Request] = {
            "approve": lambda: approve_payout(
                market, providers, payout, None, actor="op", replay=replay
            ),
            "by hand": lambda: approve_payout(
                market, providers, payout, "manual", actor="op", replay=replay
            ),
            "reject": lambda: reject_payout(market, payout, "no", actor="op", replay=replay),
            "retry": lambda: retry_payout(
                market, providers, payout, None, actor="op", replay=replay
            ),
        }
        self.do(acts[way], again=True)

    @act(
        when=lambda self: self.payouts("approved", "submitting", "submitted", "unknown"),
        faults=FEW_FAULTS,
    )
    def payouts_are_worked(self, faults: list[Fault]) -> None:
        """Both rails have the same troubles."""
        self.time_passes()
        for each in self.w.rails:
            each.faults.extend(faults)
        self.w.do(work_payouts(self.w.market, self.w.providers))
        for each in self.w.rails:
            each.faults.clear()

    @act(
        when=lambda self: any("arrived" in rail.states.values() for rail in self.w.rails),
        rail=between(0, 1),
        paid=one_of([True, True, False]),
    )
    def a_rail_decides(self, rail: int, *, paid: bool) -> None:
        self.w.rails[rail].decide("paid" if paid else "failed")

    @act(
        when=lambda self: self.payouts("approved", "submitting", "unknown"),
    )
    def a_process_takes_payouts_and_is_slow(self) -> None:
        self.time_passes()
        taken = self.w.do(take_due(self.w.market, self.w.providers))
        self.slow += taken if isinstance(taken, list) else []

    @act(when=lambda self: self.slow, chance=CHANCE, faults=FEW_FAULTS)
    def the_slow_process_goes_on(self, chance: Random, faults: list[Fault]) -> None:
        due = self.slow.pop(chance.randrange(len(self.slow)))
        for rail in self.w.rails:
            rail.faults.extend(faults)
        self.w.do(work_payout(self.w.market, self.w.providers, due))
        for rail in self.w.rails:
            rail.faults.clear()

    @act(
        when=lambda self: self.payouts("approved", "submitted", "unknown"),
        chance=CHANCE,
        paid=one_of([True, False]),
    )
    def an_operator_knows_how_a_payout_ended(self, chance: Random, *, paid: bool) -> None:
        chosen = chance.choice(self.payouts("approved", "submitted", "unknown"))
        payout, provider, attempt = chosen
        if provider != "manual":
            # By the rail's own pages; and nobody is about to send it once more.
            told = self.rail_state(payout, attempt)
            if told == "arrived" or any(due.payout.payout_id == payout for due in self.slow):
                return
            paid = told == "paid"
            if told == "returned":
                return
        self.operator_marks(payout, paid=paid)

    def operator_marks(self, payout: str, *, paid: bool) -> None:
        market = self.w.market
        replay = once("operator", f"mark {payout}", self.key(), paid)
        if paid:
            self.do(lambda: mark_paid(market, payout, "r", actor="op", replay=replay), again=True)
        else:
            self.do(lambda: mark_failed(market, payout, "r", actor="op", replay=replay), again=True)

    @act(
        when=lambda self: self.payouts("submitted", "unknown", "paid"),
        chance=CHANCE,
        noticed=one_of([True, False]),
    )
    def a_payout_comes_back(self, chance: Random, *, noticed: bool) -> None:
        payout, _, attempt = chance.choice(self.payouts("submitted", "unknown", "paid"))
        for rail in self.w.rails:
            if rail.states.get(f"{payout}-{attempt}") == "paid":
                rail.give_back(f"{payout}-{attempt}")
        if noticed:
            self.operator_finds_it_returned(payout)

    def operator_finds_it_returned(self, payout: str) -> None:
        replay = once("operator", f"return {payout}", self.key(), None)
        self.do(
            lambda: mark_returned(self.w.market, payout, "r", actor="op", replay=replay),
            again=True,
        )

    # What always holds

    def time_passes(self) -> None:
        """Everything that waits for a time is due."""
        self.w.sql("UPDATE webhook_events SET next_try_at = now() WHERE status = 'pending'")
        self.w.sql("UPDATE deposits SET fee_due_at = now() WHERE fee_due_at IS NOT NULL")
        self.w.sql(
            "UPDATE payouts SET next_check_at = now() WHERE worker_id = ANY(%s)", self.workers
        )

    @invariant()
    def the_auditor_finds_nothing(self) -> None:
        self.w.auditor.watch(*self.buyers, *self.workers)
        self.w.auditor.audit()
        for payout, provider, _ in self.payouts("paid", "failed", "rejected", "returned"):
            if provider in {"paypal", "solana"}:
                amount = self.w.sql("SELECT amount_cents FROM payouts WHERE id = %s", payout)[0][0]
                for rail in self.w.rails:
                    assert rail.paid_cents(payout) in {0, amount}, f"{payout} was paid twice"
        self.w.steps += 1
        self.w.whole = True
        Money.steps += 1

    def teardown(self) -> None:
        """A life comes to rest, and agrees with the world outside."""
        if not self.w.whole or not self.buyers:
            return
        self.w.whole = False
        self.come_to_rest()
        self.w.auditor.audit()
        self.w.prove()
        self.nothing_is_left()
        self.the_world_outside_agrees()
        self.the_auditor_finds_nothing()
        Money.deaths += self.w.deaths
        self.w.deaths = 0

    def come_to_rest(self) -> None:
        market, desk, providers = self.w.market, self.w.desk, self.w.providers
        failpoints.arm(None)
        do = self.w.loop.run
        for event in self.w.stripe.events[self.first_event :]:
            do(self.w.tell(event))
        for due in self.slow:
            do(work_payout(market, providers, due))
        for payout, _, _ in self.payouts("pending"):
            do(approve_payout(market, providers, payout, None, actor="op", replay=None))
        for task in self.waiting_credits():
            do(decide_credit(market, task, approve=True, actor="op", replay=None))
        for _ in range(5):
            self.what_is_overdue_is_recovered(leases=True, tasks=True)
            for rail in self.w.rails:
                rail.decide("paid")
            self.time_passes()
            do(work_webhooks(market, desk))
            do(post_fees(market, desk))
            do(work_payouts(market, providers))
        for payout, provider, _ in self.payouts("submitted"):
            assert provider == "manual"
            self.operator_marks(payout, paid=True)
        for payout, provider, attempt in self.payouts("paid"):
            if provider != "manual" and self.rail_state(payout, attempt) == "returned":
                self.operator_finds_it_returned(payout)
        self.earnings_ripen(10_000)

    def nothing_is_left(self) -> None:
        assert not self.payouts("pending", "approved", "submitting", "submitted", "unknown")
        parties = [*self.buyers, *self.workers]
        for query in (
            "SELECT id FROM tasks WHERE status IN ('queued', 'claimed') AND buyer_id = ANY(%s)",
            "SELECT task_id FROM earnings WHERE status = 'frozen' AND worker_id = ANY(%s)",
            "SELECT id FROM deposits WHERE fee_due_at IS NOT NULL AND buyer_id = ANY(%s)",
        ):
            assert self.w.sql(query, parties) == []
        told = [event["id"] for event in self.w.stripe.events[self.first_event :]]
        states: dict[str, Handled] = dict(
            self.w.sql("SELECT event_id, status FROM webhook_events WHERE event_id = ANY(%s)", told)
        )
        assert set(states) == set(told)
        assert set(states.values()) <= {"done", "ignored"}, states

    def the_world_outside_agrees(self) -> None:
        stripe = self.w.stripe
        there = 0
        for session in self.sessions(paid=True):
            charge = stripe.charge_of(session)
            entry = stripe.objects[charge["balance_transaction"]]
            there += entry["net"] - charge["amount_refunded"]
            for dispute in stripe.all_of("dispute"):
                if dispute["charge"] == charge["id"]:
                    there += sum(change["net"] for change in dispute["balance_transactions"])
        for payout in self.stripe_payouts:
            failed = stripe.objects[payout]["status"] == "failed"
            there -= 0 if failed else stripe.objects[payout]["amount"]
        here = self.w.auditor.balance("stripe") - self.stripe_before
        assert here == there, f"Stripe holds {there} cents of this life, the books say {here}"
        for payout, provider, _ in self.payouts("paid", "failed", "rejected", "returned"):
            row = self.w.sql("SELECT status, amount_cents FROM payouts WHERE id = %s", payout)[0]
            paid = row[1] if row[0] == "paid" and provider != "manual" else 0
            sent = sum(rail.paid_cents(payout) for rail in self.w.rails)
            assert sent == paid, f"{payout} is {row[0]}, and {sent} of {row[1]} arrived"


def test_any_life_of_all_money_adds_up(postgres: Postgres) -> None:
    Money.postgres, Money.steps, Money.deaths, Money.met = postgres, 0, 0, set()
    # A few lives are short: the simplest that there is, and those that only start.
    lives = -(-STEPS // (STEPS_OF_A_LIFE - 5)) + 1
    try:
        run_state_machine_as_test(
            Money,
            settings=settings(
                max_examples=lives,
                stateful_step_count=STEPS_OF_A_LIFE,
                deadline=None,
                # A whole life says what went wrong; to shorten it takes minutes, in a soak only.
                phases=[Phase.reuse, Phase.generate, *([Phase.shrink] if STEPS > 2_000 else [])],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        if Money.world is not None:
            Money.met |= Money.world.kinds()
            Money.world.close()
            Money.world = None
    assert Money.steps >= STEPS, f"{Money.steps} steps in {lives} lives"
    assert Money.deaths >= STEPS // 100, f"only {Money.deaths} processes died"
    if STEPS >= 2_000:
        assert Money.met >= USUAL, f"never met: {USUAL - Money.met}"
