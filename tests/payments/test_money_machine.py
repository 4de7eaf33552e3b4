"""Random lives of all money at once: in, held, out, back; with deaths between any two steps.

Whatever happens in whatever order, an auditor that shares nothing with the program finds that it
adds up after every step; and when a life has come to rest, that it agrees with Stripe and the
rails. `OPENCLAW_SOAK_STEPS` says how many steps are taken (`make soak-money` takes more).
"""

import os
from random import Random

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from openclaw_jobs.kit import failpoints
from openclaw_jobs.market.apply_deposit_event import Handled
from openclaw_jobs.market.decide_credit import decide_credit
from openclaw_jobs.market.decide_payout import approve_payout
from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.recover_leases import recover
from openclaw_jobs.market.release_earnings import release_earnings
from openclaw_jobs.market.work_payouts import work_payout, work_payouts
from openclaw_jobs.market.work_webhooks import work_webhooks
from tests.conftest import Postgres
from tests.payments.money_acts import ACTS, CHANCE, REFUSALS, WEIGHTS, act, deaths
from tests.payments.money_deposits import DepositActs
from tests.payments.money_life import Life
from tests.payments.money_payouts import PayoutActs
from tests.payments.money_tasks import TaskActs
from tests.payments.money_world import Request

STEPS = int(os.environ.get("OPENCLAW_SOAK_STEPS", "2000"))
STEPS_OF_A_LIFE = 100

USUAL = {
    "task_charge", "settle", "refund_expired", "unfreeze", "deposit", "deposit_fee", "card_refund",
    "credit", "withdrawal", "payout_paid", "payout_failed",
}  # fmt: skip
"""What so many steps can't miss, or the lives are too poor to tell anything."""
_HEAD_STARTS = 0.7
"""So many lives begin with work done and paid for, and so come to withdrawals."""
SEED = st.integers(0, 2**32 - 1)
"""A step is one number, so that lives that go another way by a hair can still be compared."""


class Money(DepositActs, TaskActs, PayoutActs):
    """The facts of all money in any order."""

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

    # What always holds

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
        Life.steps += 1

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
        Life.deaths += self.w.deaths
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
    Life.postgres, Life.steps, Life.deaths, Life.met = postgres, 0, 0, set()
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
        if Life.world is not None:
            Life.met |= Life.world.kinds()
            Life.world.close()
            Life.world = None
    assert Life.steps >= STEPS, f"{Life.steps} steps in {lives} lives"
    assert Life.deaths >= STEPS // 100, f"only {Life.deaths} processes died"
    if STEPS >= 2_000:
        assert Life.met >= USUAL, f"never met: {USUAL - Life.met}"
