"""A buyer's bank takes a payment back: set aside when it is opened, decided when it is closed."""

from collections.abc import Sequence

from openclaw_jobs import ledger
from openclaw_jobs.buyers import reinstate, suspend
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.apply_deposit_event import (
    Handled,
    Unusable,
    check_currency,
    lock_paid,
    tell_balance,
)
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.payments.deposits import rules, store
from openclaw_jobs.payments.deposits.models import BalanceChange, Dispute, DisputeObject


def reason_of(dispute_id: str) -> str:
    """Why a buyer is suspended; only the dispute that it names can lift it."""
    return f"dispute {dispute_id}"


async def apply_dispute(
    unit: Unit, told: DisputeObject, changes: Sequence[BalanceChange]
) -> Handled:
    """Bring our record of a dispute as far as Stripe's has come, step by step.

    Args:
        unit: The transaction.
        told: The dispute as an event shows it.
        changes: What it did to the balance at Stripe.
    """
    state = rules.dispute_state(told.status)
    if state is None:
        raise Unusable(f"{told.id} has the unknown status {told.status}")
    deposit = await lock_paid(unit, told.charge, told.payment_intent)
    dispute = await store.lock_dispute(unit.conn, told.id)
    changed = dispute is None
    if dispute is None:
        withdrawn = any(change.amount < 0 for change in changes)
        if state == "none" and not withdrawn:
            return "done"
        check_currency(told.currency, told.id)
        dispute = await _open(unit, told, deposit.deposit_id, deposit.buyer_id, changes)
    if dispute.status == "open" and state in {"won", "lost"}:
        await _close(unit, dispute, changes, won=state == "won")
        changed = True
    if changed:
        await tell_balance(unit, deposit.buyer_id)
    return "done"


async def _open(
    unit: Unit,
    told: DisputeObject,
    deposit_id: str,
    buyer_id: str,
    changes: Sequence[BalanceChange],
) -> Dispute:
    """Set the amount aside, from the buyer's paid credit first, and suspend the buyer."""
    held = (await ledger.lock_balances(unit.conn, [buyer_id]))[buyer_id]
    fee = rules.dispute_fee(changes)
    fact, taken = ledger.dispute_opened(
        told.id, buyer_id, told.amount, fee, held[Account.BUYER_PAID]
    )
    dispute = Dispute(
        dispute_id=told.id,
        deposit_id=deposit_id,
        buyer_id=buyer_id,
        cents=told.amount,
        fee_cents=fee,
        paid_cents=taken,
        status="open",
    )
    await store.insert_dispute(unit.conn, dispute)
    await ledger.post(unit.conn, [fact] if fact else [])
    await suspend(unit.conn, buyer_id, reason_of(told.id))
    return dispute


async def _close(
    unit: Unit, dispute: Dispute, changes: Sequence[BalanceChange], *, won: bool
) -> None:
    """Reverse what opening did, or let it stand."""
    buyer_id = dispute.buyer_id
    await store.close_dispute(unit.conn, dispute.dispute_id, "won" if won else "lost")
    if not won:
        fact = ledger.dispute_lost(dispute.dispute_id, dispute.cents)
        await ledger.post(unit.conn, [fact] if fact else [])
        return
    held = (await ledger.lock_balances(unit.conn, [buyer_id]))[buyer_id]
    fact = ledger.dispute_won(
        dispute.dispute_id,
        buyer_id,
        dispute.cents,
        rules.returned_fee(changes, dispute.fee_cents),
        # What comes back repays first what the buyer owes, as a deposit does: with nothing else
        # owed that is the kept split, less what was repaid of it meanwhile.
        min(dispute.cents, held[Account.RECEIVABLE_BUYER]),
    )
    await ledger.post(unit.conn, [fact] if fact else [])
    if not await reinstate(unit.conn, buyer_id, reason_of(dispute.dispute_id)):
        return
    other = await store.other_open_dispute(unit.conn, buyer_id, dispute.dispute_id)
    if other is not None:
        await suspend(unit.conn, buyer_id, reason_of(other))
