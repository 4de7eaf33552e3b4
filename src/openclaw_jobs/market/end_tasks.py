"""What happens to the money and the buyer when a task ends without a result."""

from collections.abc import Sequence

from openclaw_jobs import ledger
from openclaw_jobs.buyers import TotalsChange, update_totals
from openclaw_jobs.events import EventType
from openclaw_jobs.ledger import RefundReason
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.tasks import QueuedTask

_EVENTS: dict[RefundReason, EventType] = {
    "cancelled": "task.cancelled",
    "failed": "task.failed",
    "expired": "task.expired",
}


async def refund_tasks(unit: Unit, tasks: Sequence[QueuedTask], reason: RefundReason) -> None:
    """Give the price of ended tasks back, from where it came, and tell their buyers."""
    if not tasks:
        return
    refunds = [
        ledger.refund(t.task_id, t.buyer_id, t.promo_cents, t.price_cents - t.promo_cents, reason)
        for t in tasks
    ]
    await ledger.post(unit.conn, [refund for refund in refunds if refund is not None])
    await update_totals(
        unit.conn, [TotalsChange(t.buyer_id, spent_cents=-t.price_cents) for t in tasks]
    )
    for task in tasks:
        unit.tell(
            task.buyer_id,
            _EVENTS[reason],
            task.task_id,
            status=reason,
            price_cents=task.price_cents,
        )
    for buyer_id in sorted({task.buyer_id for task in tasks}):
        balances = await ledger.balances(unit.conn, buyer_id)
        unit.tell(buyer_id, "balance", None, balance_cents=ledger.spendable_cents(balances))
