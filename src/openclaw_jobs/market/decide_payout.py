"""An operator, or the automatic rule, decides on payouts."""

from collections.abc import Mapping
from typing import Final

import msgspec

from openclaw_jobs import audit, ledger
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.move_payout import end, give_back, hold, record
from openclaw_jobs.market.unit import Replay, Unit, begin, run
from openclaw_jobs.payments.payouts import LIVE, Payout, PayoutPage, PayoutStatus, rules, store
from openclaw_jobs.payments.payouts.models import STARTED
from openclaw_jobs.payments.providers import Failed, Paid, PayoutProvider, Prepared, Returned
from openclaw_jobs.payments.providers.base import ProviderName

Providers = Mapping[ProviderName, PayoutProvider]

RULES: Final = "rules"
"""Who approved a payout that no operator was asked about."""

_BATCH: Final = 100
_EXPORT_PAGE: Final = 500
_MAX_EXPORT: Final = 10_000
_SETTINGS: Final[Mapping[ProviderName, str]] = {
    "paypal": "PAYPAL_CLIENT_ID and PAYPAL_CLIENT_SECRET",
    "solana": "SOLANA_RPC_URL and SOLANA_KEYPAIR",
}
_RETRY_AFTER: Final = {"Retry-After": "3600"}


async def list_all_payouts(
    market: Market,
    *,
    status: PayoutStatus | None,
    provider: ProviderName | None,
    before: str | None,
    limit: int,
) -> PayoutPage:
    """A page of all workers' payouts, newest first."""
    statuses = None if status is None else {status}
    async with market.db.read() as conn:
        found = await store.select_all(conn, statuses, provider, before, limit + 1)
    page = found[:limit]
    return PayoutPage(page, page[-1].payout_id if len(found) > limit else None)


async def export_payouts(
    market: Market, *, status: PayoutStatus | None, provider: ProviderName | None
) -> list[Payout]:
    """Payouts for a file, oldest first; without a status those that were approved and not ended.

    At most 10,000, so that a file is bounded: the newest of them, and the rest once these ended.
    """
    statuses = LIVE - {"pending"} if status is None else {status}
    found: list[Payout] = []
    before: str | None = None
    while len(found) < _MAX_EXPORT:
        async with market.db.read() as conn:
            page = await store.select_all(conn, statuses, provider, before, _EXPORT_PAGE)
        found += page
        if len(page) < _EXPORT_PAGE:
            break
        before = page[-1].payout_id
    return found[::-1]


async def approve_payout(
    market: Market,
    providers: Providers,
    payout_id: str,
    provider: ProviderName | None,
    *,
    actor: str,
    replay: Replay[Payout] | None,
) -> Payout:
    """Let a pending payout be paid, by the provider of its method unless another is named.

    One that was approved and not begun can be given to another provider, unless a process has it
    in hand at this moment.

    Raises:
        Problem: `not_found`, `wrong_state`, or `unavailable` without such a provider.
    """

    async def effect(unit: Unit) -> Payout:
        payout = await _locked(unit, payout_id)
        chosen = _choose(providers, payout, provider)
        moved = payout.status == "approved" and payout.provider != chosen
        if payout.status != "pending" and not moved:
            raise rules.wrong_state(payout.status, "pending")
        if moved:
            await _refuse_taken(unit, payout)
        approved = await _approve(unit, payout, chosen, actor, "payout.approve")
        failpoint("payout.decided")
        return approved

    approved = await run(market, effect, replay)
    failpoint("payout.approved")
    return approved


async def _approve(
    unit: Unit, payout: Payout, provider: ProviderName, actor: str, action: str
) -> Payout:
    approved = msgspec.structs.replace(
        payout,
        status="approved",
        provider=provider,
        approved_by=actor,
        approved_at=unit.now,
        error=None,
        ended_at=None,
    )
    await store.save_payout(unit.conn, approved)
    if actor != RULES:
        await _audit(unit, actor, action, approved, provider=provider)
    return approved


def _choose(providers: Providers, payout: Payout, asked: ProviderName | None) -> ProviderName:
    chosen = asked or payout.method
    if chosen not in {payout.method, "manual"}:
        raise Problem("validation_failed", f"A payout by {payout.method} is not paid by {chosen}.")
    if chosen not in providers:
        raise Problem(
            "unavailable",
            f"This server cannot pay by {chosen}: set {_SETTINGS.get(chosen, 'it up')}, or approve"
            ' with {"provider": "manual"} and pay by hand.',
            headers=_RETRY_AFTER,
        )
    return chosen


async def approve_small(market: Market, providers: Providers) -> int:
    """Approve what is small enough to need no operator; returns how many. Zero switches it off."""
    up_to = market.config.commissions.auto_approve_under_cents
    methods = [name for name in providers if name != "manual"]
    if up_to == 0 or not methods:
        return 0
    async with begin(market) as unit:
        small = await store.lock_small(unit.conn, up_to, methods, _BATCH)
        for payout in small:
            await _approve(unit, payout, payout.method, RULES, "")
    return len(small)


async def reject_payout(
    market: Market, payout_id: str, reason: str | None, *, actor: str, replay: Replay[Payout] | None
) -> Payout:
    """Refuse a pending payout; the money is its worker's again, less what it owes.

    Raises:
        Problem: `not_found` or `wrong_state`.
    """

    async def effect(unit: Unit) -> Payout:
        payout = await _locked(unit, payout_id)
        if payout.status != "pending":
            raise rules.wrong_state(payout.status, "pending")
        await give_back(unit, payout, rejected=True)
        rejected = await end(unit, payout, "rejected", reason)
        await _audit(unit, actor, "payout.reject", rejected, reason=reason)
        return rejected

    return await run(market, effect, replay)


async def retry_payout(
    market: Market,
    providers: Providers,
    payout_id: str,
    provider: ProviderName | None,
    *,
    actor: str,
    replay: Replay[Payout] | None,
) -> Payout:
    """Approve a failed payout again; its money went back, so it is set aside anew.

    Raises:
        Problem: `not_found`, `wrong_state`, `unavailable`, or `limit_exceeded` if the worker no
            longer has the money.
    """

    async def effect(unit: Unit) -> Payout:
        payout = await _locked(unit, payout_id)
        if payout.status != "failed":
            raise rules.wrong_state(payout.status, "failed")
        chosen = _choose(providers, payout, provider)
        held = await ledger.lock_balances(unit.conn, [payout.worker_id])
        available = held[payout.worker_id][Account.WORKER_AVAILABLE]
        if available < payout.amount_cents:
            raise Problem(
                "limit_exceeded",
                f"The money went back, and the worker has only {format_cents(available)} left.",
                available_cents=available,
            )
        await hold(unit, payout, attempt=payout.attempt + 1)
        return await _approve(unit, payout, chosen, actor, "payout.retry")

    return await run(market, effect, replay)


async def mark_paid(
    market: Market, payout_id: str, reference: str, *, actor: str, replay: Replay[Payout] | None
) -> Payout:
    """An operator paid by hand, or knows that a payout of unknown outcome was paid.

    Raises:
        Problem: `not_found` or `wrong_state`.
    """
    outcome = Paid(reference, 0)
    return await _mark(
        market, payout_id, outcome, "payout.mark_paid", reference, actor=actor, replay=replay
    )


async def mark_failed(
    market: Market, payout_id: str, reason: str, *, actor: str, replay: Replay[Payout] | None
) -> Payout:
    """An operator could not pay by hand, or knows that a payout of unknown outcome was not paid.

    Raises:
        Problem: `not_found` or `wrong_state`.
    """
    outcome = Failed(reason)
    return await _mark(
        market, payout_id, outcome, "payout.mark_failed", reason, actor=actor, replay=replay
    )


async def mark_returned(
    market: Market, payout_id: str, reason: str, *, actor: str, replay: Replay[Payout] | None
) -> Payout:
    """A paid payout has come back to the rail; the money is the worker's again.

    Raises:
        Problem: `not_found` or `wrong_state`.
    """

    async def effect(unit: Unit) -> Payout:
        payout = await _locked(unit, payout_id)
        if payout.status != "paid":
            raise rules.wrong_state(payout.status, "paid")
        returned = await record(unit, payout, payout.attempt, Returned(reason), 0)
        await _audit(unit, actor, "payout.mark_returned", returned, reason=reason)
        return returned

    return await run(market, effect, replay)


async def _mark(
    market: Market,
    payout_id: str,
    outcome: Paid | Failed,
    action: str,
    note: str,
    *,
    actor: str,
    replay: Replay[Payout] | None,
) -> Payout:
    async def effect(unit: Unit) -> Payout:
        payout = await _locked(unit, payout_id)
        by_hand = payout.provider == "manual" and payout.status in STARTED | {"approved"}
        if not by_hand and payout.status != "unknown":
            raise rules.wrong_state(
                payout.status, "approved to be paid by hand, or of unknown outcome"
            )
        if not by_hand:
            await _refuse_taken(unit, payout)
        if payout.status == "approved":
            payout = await start_attempt(unit, payout)
            await store.save_prepared(unit.conn, payout_id, payout.attempt, Prepared())
        marked = await record(unit, payout, payout.attempt, outcome, 0)
        await _audit(unit, actor, action, marked, note=note)
        return marked

    return await run(market, effect, replay)


async def start_attempt(unit: Unit, payout: Payout) -> Payout:
    """Begin the next attempt at a payout that is approved and locked; nothing is sent before."""
    if payout.provider is None:
        raise LookupError(f"{payout.payout_id} is approved without a provider")
    number = payout.attempt + 1
    await store.insert_attempt(
        unit.conn,
        payout.payout_id,
        number,
        payout.provider,
        rules.attempt_key(payout.payout_id, number),
    )
    return msgspec.structs.replace(payout, status="submitting", attempt=number)


async def _locked(unit: Unit, payout_id: str) -> Payout:
    payout = await store.lock_payout(unit.conn, payout_id)
    if payout is None:
        raise not_found("payout")
    return payout


async def _refuse_taken(unit: Unit, payout: Payout) -> None:
    if await store.is_taken(unit.conn, payout.payout_id):
        # It may be sent at this very moment, whatever the operator knows of the past.
        raise Problem(
            "wrong_state",
            "The rail is being asked about this payout right now; try again in five minutes.",
            payout_status=payout.status,
        )


async def _audit(unit: Unit, actor: str, action: str, payout: Payout, **detail: str | None) -> None:
    await audit.record(
        unit.conn,
        actor,
        action,
        payout.payout_id,
        {"cents": payout.amount_cents, "worker": payout.worker_id, **detail},
    )
