"""Stripe is asked what it kept of each deposit, and that is posted."""

from typing import Final

import structlog

from openclaw_jobs import ledger
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.apply_deposit_event import waits_for
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.take_webhook import STRIPE
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments.deposits import (
    ChargeFee,
    Deposit,
    DepositDesk,
    StripeGateway,
    StripeRefused,
    StripeUnavailable,
    rules,
    store,
    store_events,
)
from openclaw_jobs.payments.deposits.models import CURRENCY

_log = structlog.get_logger(__name__)

_BATCH: Final = 20
_MAX_BATCHES: Final = 50


async def post_fees(market: Market, desk: DepositDesk) -> int:
    """Post the fee of every deposit that is due for it; returns how many.

    One that Stripe does not know yet, or cannot tell now, is asked for again later, within bounds.
    Any number of processes may call this: a fee is posted once.
    """
    if desk.gateway is None:
        return 0
    posted = 0
    for _ in range(_MAX_BATCHES):
        async with market.db.read() as conn:
            due = await store.select_fees_due(conn, _BATCH)
        for deposit in due:
            posted += await _post_fee(market, desk.gateway, deposit)
        if len(due) < _BATCH:
            break
    return posted


async def _post_fee(market: Market, gateway: StripeGateway, deposit: Deposit) -> bool:
    session_id = deposit.session_id
    if session_id is None:
        raise LookupError(f"{deposit.deposit_id} is paid and has no session")
    try:
        fee = await gateway.fee_of(deposit.payment_intent_id, session_id)
    except (StripeUnavailable, StripeRefused) as error:
        _log.warning("deposit_fee_unknown", deposit=deposit.deposit_id, error=str(error))
        fee = None
    if fee is None or fee.currency != CURRENCY:
        attempts = deposit.fee_attempts + 1
        delay = None
        if attempts < rules.MAX_ATTEMPTS:
            delay = rules.retry_delay_seconds(attempts)
        else:
            _log.error("deposit_fee_given_up", deposit=deposit.deposit_id)
        async with begin(market) as unit:
            await store.postpone_fee(unit.conn, deposit.deposit_id, delay)
        return False
    failpoint("deposit.fee_known")
    written = await _write(market, deposit.deposit_id, session_id, fee)
    failpoint("deposit.fee_posted")
    return written


async def _write(market: Market, deposit_id: str, session_id: str, fee: ChargeFee) -> bool:
    async with begin(market) as unit:
        locked = await store.lock_deposit(unit.conn, deposit_id)
        if locked is None or locked.fee_cents is not None:
            return False
        await store.set_charge(unit.conn, deposit_id, fee.charge_id)
        await store.set_fee(unit.conn, deposit_id, fee.fee_cents)
        fact = ledger.deposit_fee(session_id, fee.fee_cents)
        await ledger.post(unit.conn, [fact] if fact else [])
        await store_events.hasten(unit.conn, STRIPE, [waits_for(fee.charge_id)])
    return True
