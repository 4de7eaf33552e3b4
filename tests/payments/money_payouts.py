"""Acts of withdrawals and payouts."""

from random import Random

from openclaw_jobs.market.decide_payout import (
    approve_payout,
    mark_failed,
    mark_paid,
    mark_returned,
    reject_payout,
    retry_payout,
)
from openclaw_jobs.market.withdraw import withdraw
from openclaw_jobs.market.work_payouts import take_due, work_payout, work_payouts
from tests.payments.money_acts import CHANCE, FEW_FAULTS, act, between, one_of
from tests.payments.money_life import Life
from tests.payments.money_rail import Fault
from tests.payments.money_world import Request, once


class PayoutActs(Life):
    """What happens to money that goes out."""

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
        # Asked again later, after a death, it would tell what a rail's pages said long ago.
        self.operator_marks(payout, paid=paid, again=provider == "manual")

    def operator_marks(self, payout: str, *, paid: bool, again: bool = True) -> None:
        market = self.w.market
        replay = once("operator", f"mark {payout}", self.key(), paid)
        if paid:
            self.do(lambda: mark_paid(market, payout, "r", actor="op", replay=replay), again=again)
        else:
            self.do(
                lambda: mark_failed(market, payout, "r", actor="op", replay=replay), again=again
            )

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
