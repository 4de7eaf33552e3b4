"""What moves a payout's money: set aside, given back, or gone; each within a transaction.

Whoever calls holds the payout's row (or has just made it); then come the worker's balances, its
lots, and the ledger.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from openclaw_jobs import ledger
from openclaw_jobs.ledger import Account, Rail, Transfer
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.payments import rules as lot_rules
from openclaw_jobs.payments import store_lots
from openclaw_jobs.payments.payouts import Payout, rules, store
from openclaw_jobs.payments.payouts.models import STARTED, PayoutStatus
from openclaw_jobs.payments.providers import Failed, Outcome, Paid, Returned, Sent, Unknown
from openclaw_jobs.payments.providers.base import ProviderName

_log = structlog.get_logger(__name__)

RAILS: Final[Mapping[ProviderName, Rail]] = {
    "paypal": Account.PAYPAL,
    "solana": Account.USDC_SOL,
    "manual": Account.BANK,
}
"""The account that each provider pays out of."""


async def hold(unit: Unit, payout: Payout, *, attempt: int) -> None:
    """Set a payout's money aside for an attempt; the worker's balances are locked and suffice."""
    lots = await store_lots.lock_open_lots(unit.conn, payout.worker_id, payout.amount_cents)
    changes = lot_rules.consume(lots, payout.amount_cents)
    await store_lots.update_lots(unit.conn, changes)
    await store.replace_lots(
        unit.conn,
        payout.payout_id,
        [change.task_id for change in changes],
        [change.withdrawn_cents for change in changes],
    )
    await _post(
        unit,
        ledger.withdrawal(payout.payout_id, payout.worker_id, payout.amount_cents, attempt),
    )


async def end(
    unit: Unit, payout: Payout, status: PayoutStatus, error: str | None, *, fee_cents: int = 0
) -> Payout:
    """Write that a payout has come to its end; returns it so."""
    ended = msgspec.structs.replace(
        payout, status=status, error=error, fee_cents=fee_cents, ended_at=unit.now
    )
    await store.save_payout(unit.conn, ended)
    return ended


async def give_back(unit: Unit, payout: Payout, *, rejected: bool) -> None:
    """What was set aside is the worker's again, less what it owes."""
    repaid = await _restore_lots(unit, payout)
    await _post(
        unit,
        ledger.payout_back(
            payout.payout_id,
            payout.worker_id,
            payout.amount_cents,
            rejected=rejected,
            repaid_cents=repaid,
            attempt=max(payout.attempt, 1),
        ),
    )


async def _restore_lots(unit: Unit, payout: Payout) -> int:
    """Put a payout's money back into its lots; returns how much of it repays a debt."""
    held = await ledger.lock_balances(unit.conn, [payout.worker_id])
    found = await store.lock_lots(unit.conn, payout.payout_id)
    restored = rules.restore(
        [lot for lot, _ in found],
        {lot.task_id: cents for lot, cents in found},
        held[payout.worker_id][Account.RECEIVABLE_WORKER],
    )
    await store_lots.update_lots(unit.conn, restored.changes)
    return restored.repaid_cents


async def record(
    unit: Unit, payout: Payout, attempt: int, outcome: Outcome, age_s: float
) -> Payout:
    """Write what a provider said of an attempt; the payout's row is locked.

    What comes late, twice or of an earlier attempt changes nothing. What contradicts the books (a
    failed payout that was paid after all) is logged as an error for an operator, who finds it in
    the reconciliation as well.
    """
    if attempt != payout.attempt or payout.status not in STARTED:
        if isinstance(outcome, Returned) and (attempt, "paid") == (payout.attempt, payout.status):
            return await _came_back(unit, payout, outcome.reason)
        if _contradicts(payout, attempt, outcome):
            _log.error(
                "payout_contradicted",
                payout=payout.payout_id,
                attempt=attempt,
                status=payout.status,
                outcome=type(outcome).__name__,
            )
        return payout
    match outcome:
        case Paid():
            return await _was_paid(unit, payout, outcome)
        case Returned():
            # It was out and came back before we saw it: both movements are on the rail's record.
            paid = await _was_paid(unit, payout, Paid(None, 0))
            return await _came_back(unit, paid, outcome.reason)
        case Failed():
            return await _has_failed(unit, payout, outcome.reason)
        case Sent() | Unknown():
            return await _goes_on(unit, payout, outcome, rules.check_delay_s(age_s))


async def _goes_on(unit: Unit, payout: Payout, outcome: Sent | Unknown, delay_s: float) -> Payout:
    if isinstance(outcome, Sent):
        await store.end_attempt(
            unit.conn, payout.payout_id, payout.attempt, "sent", reference=outcome.reference
        )
        waiting = msgspec.structs.replace(payout, status="submitted", error=None)
    else:
        # What a provider has acknowledged stays so, even if it can't be asked just now.
        status: PayoutStatus = "submitted" if payout.status == "submitted" else "unknown"
        waiting = msgspec.structs.replace(payout, status=status, error=outcome.reason)
    await store.save_payout(unit.conn, waiting, delay_s)
    return waiting


async def _has_failed(unit: Unit, payout: Payout, reason: str) -> Payout:
    await store.end_attempt(unit.conn, payout.payout_id, payout.attempt, "failed", error=reason)
    await give_back(unit, payout, rejected=False)
    return await end(unit, payout, "failed", reason)


def _contradicts(payout: Payout, attempt: int, outcome: Outcome) -> bool:
    if attempt != payout.attempt:
        # Only a failed attempt is followed by another.
        return isinstance(outcome, Paid | Sent | Returned)
    if payout.status == "paid":
        return isinstance(outcome, Failed)
    return payout.status == "failed" and isinstance(outcome, Paid | Sent)


async def _was_paid(unit: Unit, payout: Payout, outcome: Paid) -> Payout:
    rail = _rail(payout)
    await _post(
        unit,
        ledger.payout_paid(payout.payout_id, rail, payout.amount_cents),
        ledger.payout_fee(payout.payout_id, rail, outcome.fee_cents),
    )
    await store.end_attempt(
        unit.conn, payout.payout_id, payout.attempt, "paid", reference=outcome.reference
    )
    return await end(unit, payout, "paid", None, fee_cents=outcome.fee_cents)


async def _came_back(unit: Unit, payout: Payout, reason: str) -> Payout:
    repaid = await _restore_lots(unit, payout)
    await _post(
        unit,
        ledger.payout_returned(
            payout.payout_id, _rail(payout), payout.worker_id, payout.amount_cents, repaid
        ),
    )
    return await end(unit, payout, "returned", reason, fee_cents=payout.fee_cents)


def _rail(payout: Payout) -> Rail:
    if payout.provider is None:
        raise LookupError(f"{payout.payout_id} is {payout.status} without a provider")
    return RAILS[payout.provider]


async def _post(unit: Unit, *transfers: Transfer | None) -> None:
    await ledger.post(unit.conn, [transfer for transfer in transfers if transfer is not None])
