"""What happens to the money and the buyer when a task ends without a result."""

from collections.abc import Sequence

from openclaw_jobs import ledger
from openclaw_jobs.buyers import TotalsChange, update_totals
from openclaw_jobs.events import EventType
from openclaw_jobs.ledger import RefundReason, Transfer
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import store_checks
from openclaw_jobs.quality.checks import Ended
from openclaw_jobs.tasks import QueuedTask

_EVENTS: dict[RefundReason, EventType] = {
    "cancelled": "task.cancelled",
    "failed": "task.failed",
    "expired": "task.expired",
}


async def refund_tasks(unit: Unit, tasks: Sequence[QueuedTask], reason: RefundReason) -> None:
    """Give the price of ended tasks back, from where it came, and tell their buyers.

    A check that one of them was of ends with it.
    """
    if not tasks:
        return
    refunds = [_refund(task, reason) for task in tasks]
    await ledger.post(unit.conn, [refund for refund in refunds if refund is not None])
    spent = [TotalsChange(t.buyer_id, spent_cents=-t.price_cents) for t in tasks if t.buyer_id]
    await update_totals(unit.conn, spent)
    ended = [
        Ended(t.check_id, t.task_id, t.price_cents if t.buyer_id is None else 0, f"a task {reason}")
        for t in tasks
        if t.check_id is not None
    ]
    if ended:
        await store_checks.end_parts(unit.conn, ended)
    for task in tasks:
        unit.tell(
            task.buyer_id,
            _EVENTS[reason],
            task.task_id,
            status=reason,
            price_cents=task.price_cents,
        )
    for buyer_id in sorted({task.buyer_id for task in tasks if task.buyer_id is not None}):
        balances = await ledger.balances(unit.conn, buyer_id)
        unit.tell(buyer_id, "balance", None, balance_cents=ledger.spendable_cents(balances))


def _refund(task: QueuedTask, reason: RefundReason) -> Transfer | None:
    if task.buyer_id is None:
        return ledger.check_refund(task.task_id, task.price_cents)
    paid_cents = task.price_cents - task.promo_cents
    return ledger.refund(task.task_id, task.buyer_id, task.promo_cents, paid_cents, reason)
