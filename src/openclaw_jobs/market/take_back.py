"""A bad result's price goes back: to its buyer, or to the platform that had paid for a hidden one.

For the worker the two are one thing.
"""

from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.buyers import TotalsChange, update_totals
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.ledger import Account, Split
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.payments import rules, store_lots
from openclaw_jobs.tasks import store_credits as store
from openclaw_jobs.tasks.models import CreditableTask
from openclaw_jobs.workers import service as workers

_MISSING: Final = "{} is completed and has no earning"


class _Taken(msgspec.Struct, frozen=True):
    """What was taken from a worker, and what of the price is the platform's commission."""

    worker_id: str
    net_cents: int
    commission_cents: int
    by_account: dict[Account, int]


async def apply_credit(unit: Unit, task: CreditableTask) -> int:
    """Give a locked task's price to its buyer, who is told; returns the buyer's balance."""
    if task.buyer_id is None:
        raise ValueError(f"{task.task_id} has no buyer to credit")
    taken = await _take(unit, task)
    credit = ledger.credit(
        task.task_id,
        task.buyer_id,
        Split(task.promo_cents, task.price_cents - task.promo_cents),
        taken.worker_id,
        taken.commission_cents,
        taken.by_account,
    )
    await ledger.post(unit.conn, [credit] if credit else [])
    failpoint("credit.posted")
    await update_totals(unit.conn, [TotalsChange(task.buyer_id, credited_cents=task.price_cents)])
    await _note(unit, task, taken)
    balance = ledger.spendable_cents(await ledger.balances(unit.conn, task.buyer_id))
    unit.tell(
        task.buyer_id,
        "task.credited",
        task.task_id,
        status="credited",
        price_cents=task.price_cents,
    )
    unit.tell(task.buyer_id, "balance", None, balance_cents=balance)
    return balance


async def claw_back(unit: Unit, task: CreditableTask) -> None:
    """Give a locked hidden task's price back to the platform."""
    taken = await _take(unit, task)
    back = ledger.check_clawback(
        task.task_id, taken.worker_id, taken.commission_cents, taken.by_account
    )
    await ledger.post(unit.conn, [back] if back else [])
    await _note(unit, task, taken)


async def give_again(unit: Unit, task: CreditableTask) -> bool:
    """Pay a worker what was taken from it for a result that is not bad after all, once a task.

    The task stays credited: its buyer keeps what it got. The platform bears it.
    """
    worker_id = task.worker_id or ""
    if task.status != "credited":
        return False
    held = (await ledger.lock_balances(unit.conn, [worker_id]))[worker_id]
    lot = await store_lots.lock_lot(unit.conn, task.task_id)
    if lot is None:
        raise LookupError(_MISSING.format(task.task_id))
    if await ledger.is_posted(unit.conn, ledger.restore_key(task.task_id)):
        return False
    repaid = min(held[Account.RECEIVABLE_WORKER], lot.net_cents)
    available = lot.net_cents - repaid
    others = await store_lots.lock_clawed_lots(unit.conn, worker_id, lot.net_cents)
    await store_lots.update_lots(unit.conn, rules.restore(lot, others, available))
    given = ledger.check_restore(task.task_id, worker_id, lot.net_cents, repaid)
    await ledger.post(unit.conn, [given] if given else [])
    await workers.take_credit_back(unit.conn, worker_id, lot.net_cents)
    return True


async def _take(unit: Unit, task: CreditableTask) -> _Taken:
    """Take a locked task's net out of its worker's lots.

    The worker's balances are locked before its lots, as everybody does who touches lots.
    """
    worker_id = task.worker_id or ""
    held = (await ledger.lock_balances(unit.conn, [worker_id]))[worker_id]
    lot = await store_lots.lock_lot(unit.conn, task.task_id)
    if lot is None:
        raise LookupError(_MISSING.format(task.task_id))
    others = (
        []
        if lot.status == "frozen"
        else await store_lots.lock_open_lots(
            unit.conn, worker_id, min(lot.net_cents, held[Account.WORKER_AVAILABLE])
        )
    )
    taken = rules.claw_back(lot, others)
    await store_lots.update_lots(unit.conn, taken.changes)
    failpoint("credit.lots_taken")
    by_account = {
        Account.WORKER_FROZEN: taken.frozen_cents,
        Account.WORKER_AVAILABLE: taken.available_cents,
        Account.RECEIVABLE_WORKER: taken.owed_cents,
    }
    return _Taken(worker_id, lot.net_cents, lot.commission_cents, by_account)


async def _note(unit: Unit, task: CreditableTask, taken: _Taken) -> None:
    await workers.add_credit(unit.conn, taken.worker_id, taken.net_cents)
    await store.set_status(unit.conn, task.task_id, "credited", task.price_cents)
