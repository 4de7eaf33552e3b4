"""Acts of deposits: checkout, events, fees, refunds, disputes, Stripe's payouts."""

from random import Random

from openclaw_jobs.market.open_deposit import open_deposit
from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.reinstate_buyer import reinstate_buyer
from openclaw_jobs.market.work_webhooks import work_webhooks
from openclaw_jobs.payments.deposits import PACKS, PackName
from tests.fakes.stripe import Fault as StripeFault
from tests.payments.money_acts import CHANCE, LATE, act, between, one_of
from tests.payments.money_life import Life
from tests.payments.money_world import once


class DepositActs(Life):
    """What happens to money that comes in."""

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
