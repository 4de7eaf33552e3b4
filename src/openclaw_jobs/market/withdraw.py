"""A worker asks for its available earnings."""

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.timefmt import rfc3339_or_none
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.move_payout import hold
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.payments.payouts import Payout, PayoutPage, rules, store
from openclaw_jobs.workers import Contact
from openclaw_jobs.workers.rules import effective_standing, suspension_detail
from openclaw_jobs.workers.store_contact import select_contact


class Withdrawal(msgspec.Struct, frozen=True):
    """A payout that waits for approval, and what the worker has left."""

    payout: Payout
    available_cents: int


async def withdraw(
    market: Market, worker_id: str, amount_cents: int, replay: Replay[Withdrawal] | None
) -> Withdrawal:
    """Set earnings aside for a payout, oldest first.

    The worker's balances are locked first, so of any number of withdrawals at once each sees what
    the one before left.

    Raises:
        Problem: In this order `suspended`, `payout_not_bound`, `email_not_verified`,
            `payout_change_pending`, `limit_exceeded`.
    """
    limits = market.config.commissions

    async def effect(unit: Unit) -> Withdrawal:
        held = (await ledger.lock_balances(unit.conn, [worker_id])).get(worker_id)
        contact = await select_contact(unit.conn, worker_id, "share")
        if held is None or contact is None:
            raise not_found("worker")
        _check_standing(contact)
        rules.check_contact(contact, limits, contact.now)
        available = held[Account.WORKER_AVAILABLE]
        today = rules.day_start(contact.now)
        rules.check_amount(
            amount_cents,
            limits,
            withdrawn_today=await store.withdrawn_since(unit.conn, worker_id, today),
            available_cents=available,
        )
        payout = await store.insert_payout(
            unit.conn,
            new_id("pay"),
            worker_id,
            amount_cents,
            contact.payout_method or "paypal",
            contact.payout_address or "",
        )
        await hold(unit, payout, attempt=1)
        failpoint("withdrawal.held")
        return Withdrawal(payout, available - amount_cents)

    withdrawal = await run(market, effect, replay)
    failpoint("withdrawal.committed")
    return withdrawal


def _check_standing(contact: Contact) -> None:
    standing = effective_standing(contact.standing, contact.suspended_until, contact.now)
    if standing != "active":
        until = rfc3339_or_none(contact.suspended_until)
        raise Problem("suspended", suspension_detail(until), suspended_until=until)


async def list_payouts(
    market: Market, worker_id: str, before: str | None, limit: int
) -> PayoutPage:
    """A page of a worker's payouts, newest first."""
    async with market.db.read() as conn:
        found = await store.select_page(conn, worker_id, before, limit + 1)
    page = found[:limit]
    return PayoutPage(page, page[-1].payout_id if len(found) > limit else None)
