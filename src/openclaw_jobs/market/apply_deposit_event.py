"""What Stripe's events about payments, refunds and its own payouts change here.

Each is keyed on the object that it is about and on how far that has come, so any order and any
number of repetitions end in the same.
"""

from typing import Literal

from openclaw_jobs import ledger
from openclaw_jobs.buyers import TotalsChange, update_totals
from openclaw_jobs.ledger import Account, DuplicateTransfer, Transfer
from openclaw_jobs.market.take_webhook import STRIPE
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.payments.deposits import Deposit, rules, store, store_events
from openclaw_jobs.payments.deposits.models import (
    CURRENCY,
    ChargeObject,
    PayoutObject,
    SessionObject,
)

Handled = Literal["done", "ignored"]


class NotYet(Exception):  # noqa: N818 - a state, not a mistake
    """What an event is about is not known here yet; `reason` is what is missing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unusable(Exception):  # noqa: N818 - a state, not a mistake
    """An event can't be applied, now or later; somebody has to look at it."""


def waits_for(stripe_id: str) -> str:
    """What an event says that comes before the deposit it is about."""
    return f"waits for {stripe_id}"


def check_currency(currency: str | None, what: str) -> None:
    """Refuse amounts that are not in our cents.

    Raises:
        Unusable: It is another currency.
    """
    if currency is not None and currency != CURRENCY:
        raise Unusable(f"{what} is in {currency}, and only {CURRENCY} is taken")


async def tell_balance(unit: Unit, buyer_id: str) -> None:
    """Have the buyer told what it has now."""
    balances = await ledger.balances(unit.conn, buyer_id)
    unit.tell(buyer_id, "balance", None, balance_cents=ledger.spendable_cents(balances))


async def session_ended(unit: Unit, session: SessionObject) -> Handled:
    """A Checkout session is completed, or its payment has succeeded: `paid` credits, once."""
    deposit = await store.lock_by_session(unit.conn, session.id)
    if deposit is None:
        # A session's id is written down a moment after Stripe has made it.
        ours = (session.metadata or {}).get("deposit_id")
        if ours is not None and await store.is_unborn(unit.conn, ours):
            raise NotYet(waits_for(session.id))
        return "ignored"
    await store.set_payment_intent(unit.conn, deposit.deposit_id, session.payment_intent)
    if session.payment_status != "paid":
        return "done"
    if deposit.status == "paid":
        return "done"
    check_currency(session.currency, session.id)
    if session.amount_total is not None and session.amount_total != deposit.cents:
        raise Unusable(f"{session.amount_total} cents were paid for {deposit.deposit_id}")
    await _credit(unit, deposit, session.id)
    await store_events.hasten(
        unit.conn, STRIPE, [waits_for(session.payment_intent)] if session.payment_intent else []
    )
    return "done"


async def _credit(unit: Unit, deposit: Deposit, session_id: str) -> None:
    buyer = deposit.buyer_id
    held = (await ledger.lock_balances(unit.conn, [buyer]))[buyer]
    facts = [
        ledger.deposit(session_id, buyer, deposit.cents, held[Account.RECEIVABLE_BUYER]),
        ledger.pack_bonus(session_id, buyer, deposit.bonus_cents),
    ]
    await store.set_paid(unit.conn, deposit.deposit_id)
    await ledger.post(unit.conn, [fact for fact in facts if fact is not None])
    change = TotalsChange(buyer, deposited_cents=deposit.cents, bonus_cents=deposit.bonus_cents)
    await update_totals(unit.conn, [change])
    await tell_balance(unit, buyer)


async def session_unpaid(
    unit: Unit, session: SessionObject, status: Literal["failed", "expired"]
) -> Handled:
    """A session's payment has failed, or it was left until it expired."""
    deposit = await store.lock_by_session(unit.conn, session.id)
    if deposit is None:
        return "ignored"
    if deposit.status == "open":
        await store.set_unpaid(unit.conn, deposit.deposit_id, status)
    return "done"


async def lock_paid(unit: Unit, charge_id: str | None, payment_intent_id: str | None) -> Deposit:
    """The paid deposit of a charge, held still; its charge is written down.

    Raises:
        NotYet: There is none, or it is not known to be paid.
    """
    deposit = await store.lock_by_charge(unit.conn, charge_id, payment_intent_id)
    if deposit is None or deposit.status != "paid":
        raise NotYet(waits_for(payment_intent_id or charge_id or "a charge"))
    await store.set_charge(unit.conn, deposit.deposit_id, charge_id)
    return deposit


async def charge_refunded(unit: Unit, charge: ChargeObject) -> Handled:
    """Money went back to the card: what is new of it, and its share of the bonus."""
    deposit = await lock_paid(unit, charge.id, charge.payment_intent)
    check_currency(charge.currency, charge.id)
    total = charge.amount_refunded
    if total > deposit.cents:
        raise Unusable(f"{total} cents of {deposit.deposit_id} were refunded, more than was paid")
    cents = total - deposit.refunded_cents
    if cents <= 0:
        return "done"
    buyer = deposit.buyer_id
    held = (await ledger.lock_balances(unit.conn, [buyer]))[buyer]
    claw = rules.bonus_to_claw(
        deposit.bonus_cents,
        deposit.cents,
        total,
        deposit.clawed_bonus_cents,
        held[Account.BUYER_PROMO],
    )
    facts = [
        ledger.card_refund(charge.id, total, buyer, cents, held[Account.BUYER_PAID]),
        ledger.bonus_clawback(charge.id, total, buyer, claw),
    ]
    await store.set_refunded(
        unit.conn, deposit.deposit_id, total, deposit.clawed_bonus_cents + claw
    )
    await ledger.post(unit.conn, [fact for fact in facts if fact is not None])
    change = TotalsChange(buyer, deposited_cents=-cents, bonus_cents=-claw)
    await update_totals(unit.conn, [change])
    await tell_balance(unit, buyer)
    return "done"


async def payout_ended(unit: Unit, payout: PayoutObject, *, failed: bool) -> Handled:
    """Stripe paid its balance to the bank; one that failed has come back.

    A payout can fail after it was paid, and be told of in any order. So a failed one is posted
    there and back, whichever of the two is missing.
    """
    check_currency(payout.currency, payout.id)
    await _post_once(unit, ledger.stripe_payout(payout.id, payout.amount))
    if failed:
        await _post_once(unit, ledger.stripe_payout(payout.id, -payout.amount))
    return "done"


async def _post_once(unit: Unit, fact: Transfer | None) -> None:
    """Post what may be in the ledger already."""
    if fact is None:
        return
    try:
        async with unit.conn.transaction():
            await ledger.post(unit.conn, [fact])
    except DuplicateTransfer:
        return
