"""A buyer wants to pay: the deposit is written down, then Stripe asks for the money."""

from typing import Final

import msgspec
import structlog

from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.market.account import refuse_deleted
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Replay, Unit, begin, first_time, run
from openclaw_jobs.payments.deposits import (
    BuiltSession,
    DepositDesk,
    NewDeposit,
    PackName,
    StripeGateway,
    StripeRefused,
    StripeUnavailable,
    store,
)
from openclaw_jobs.payments.deposits.models import DepositPage

_log = structlog.get_logger(__name__)

# Stripe forgets an idempotency key after a day; from then on nothing may be tried with it again.
_UNBORN_SECONDS: Final = 86_400
_BATCH: Final = 500
_RETRY_AFTER: Final = {"Retry-After": "5"}


class OpenedDeposit(msgspec.Struct, frozen=True):
    """A deposit that waits for its buyer at `checkout_url`."""

    deposit_id: str
    session_id: str
    checkout_url: str


async def open_deposit(
    market: Market,
    desk: DepositDesk,
    *,
    buyer_id: str,
    pack: PackName,
    site: str,
    replay: Replay[OpenedDeposit] | None,
) -> OpenedDeposit:
    """Begin a deposit: committed first, then made a Checkout session, then committed with it.

    A request that comes again with its idempotency key, whatever became of the first, goes on
    with the same deposit, and Stripe answers the same session.

    Args:
        market: Where.
        desk: Where deposits are taken.
        buyer_id: Who pays.
        pack: What they buy, at the price in force.
        site: Where they come back to, if no `PUBLIC_URL` says so.
        replay: How to answer the request if it comes again.

    Raises:
        Problem: `unavailable`: deposits are not set up, or Stripe cannot be reached.
    """
    gateway = desk.gateway
    if gateway is None or desk.missing:
        raise Problem(
            "unavailable",
            "This marketplace takes no deposits yet: its operator has to set"
            f" {' and '.join(desk.missing)}.",
            headers=_RETRY_AFTER,
        )
    deposit = await _begin(market, buyer_id, pack, replay)
    failpoint("deposit.begun")
    session = await _create_session(
        market, gateway, deposit, desk.prices.get(pack), desk.public_url or site
    )
    failpoint("deposit.session_made")

    async def effect(unit: Unit) -> OpenedDeposit:
        if not await store.set_session(unit.conn, deposit.deposit_id, session.session_id):
            raise LookupError(f"{deposit.deposit_id} has another session already")
        return OpenedDeposit(deposit.deposit_id, session.session_id, session.url)

    opened = await run(market, effect, replay)
    failpoint("deposit.session_kept")
    return opened


async def _begin(
    market: Market, buyer_id: str, pack: PackName, replay: Replay[OpenedDeposit] | None
) -> NewDeposit:
    """Commit to a deposit, or find the one that an earlier try of this request began."""
    config = getattr(market.config.packs, pack)
    deposit = NewDeposit(
        deposit_id=new_id("dep"),
        buyer_id=buyer_id,
        pack=pack,
        cents=config.cents,
        bonus_cents=config.bonus_cents,
        request_key=None if replay is None else replay.key.key,
    )
    async with begin(market) as unit:
        if replay is not None:
            await first_time(unit.conn, replay.key)
            begun = await store.select_by_request(unit.conn, buyer_id, replay.key.key)
            if begun is not None and begun.status == "creating":
                if begun.pack != pack:
                    raise Problem(
                        "idempotency_conflict",
                        "This Idempotency-Key was used before with another body.",
                    )
                return NewDeposit(
                    deposit_id=begun.deposit_id,
                    buyer_id=buyer_id,
                    pack=pack,
                    cents=begun.cents,
                    bonus_cents=begun.bonus_cents,
                    request_key=replay.key.key,
                )
            if begun is not None:
                await store.forget_request(unit.conn, begun.deposit_id)
        await refuse_deleted(unit, buyer_id)
        await store.insert_deposit(unit.conn, deposit)
    return deposit


async def _create_session(
    market: Market, gateway: StripeGateway, deposit: NewDeposit, price_id: str | None, site: str
) -> BuiltSession:
    try:
        session = await gateway.create_session(deposit, price_id, site)
    except StripeUnavailable as error:
        _log.warning("stripe_unavailable", deposit=deposit.deposit_id, error=str(error))
        raise _unavailable() from error
    except StripeRefused as error:
        _log.error("stripe_refused", deposit=deposit.deposit_id, error=str(error))
        await _fail(market, deposit)
        raise _unavailable() from error
    if session.amount_cents is not None and session.amount_cents != deposit.cents:
        _log.error(
            "stripe_price_differs",
            deposit=deposit.deposit_id,
            pack=deposit.pack,
            pack_costs=format_cents(deposit.cents),
            stripe_asks=format_cents(session.amount_cents),
        )
        await _fail(market, deposit)
        raise Problem(
            "unavailable",
            f"STRIPE_PRICE_{deposit.pack.upper()} asks {format_cents(session.amount_cents)} and"
            f" the pack costs {format_cents(deposit.cents)}; the operator has to make them agree.",
            headers=_RETRY_AFTER,
        )
    return session


async def _fail(market: Market, deposit: NewDeposit) -> None:
    """End a deposit that will have no session, so that the next try makes a new one."""
    async with begin(market) as unit:
        await store.fail_unborn(unit.conn, deposit.deposit_id)


def _unavailable() -> Problem:
    return Problem(
        "unavailable",
        "The card payments are not reachable right now; nothing was charged. Try again with the"
        " same Idempotency-Key.",
        headers=_RETRY_AFTER,
    )


async def end_unborn_deposits(market: Market) -> int:
    """End deposits that a day ago were begun and never finished; returns how many."""
    async with begin(market) as unit:
        return await store.fail_old_unborn(unit.conn, _UNBORN_SECONDS, _BATCH)


async def list_deposits(
    market: Market, buyer_id: str, before: str | None, limit: int
) -> DepositPage:
    """A page of a buyer's deposits, newest first; `before` is the last id of the page before."""
    async with market.db.read() as conn:
        found = await store.select_page(conn, buyer_id, before, limit + 1)
    more = len(found) > limit
    page = found[:limit]
    return DepositPage(page, page[-1].deposit_id if more else None)
