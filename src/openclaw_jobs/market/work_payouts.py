"""Approved payouts are carried to their providers, and asked about until they have ended.

Each step is a transaction of its own, and what goes over the network happens between them::

    take_due    who else looks finds it taken for a while
    start       the attempt and its key
    prepare     what the provider has to sign, asked for and then stored
    send        over the network
    record      what came of it

A process may die between any two: the payout is due again once it is no longer taken, and
`rules.next_step` goes on from what was committed. Should two processes have the same payout in
hand after all, both send the same attempt with the same key, and one of them records it.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

import msgspec
import structlog

from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_payout import Providers, approve_small, start_attempt
from openclaw_jobs.market.move_payout import record
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments.payouts import Attempt, DuePayout, Payout, rules, store
from openclaw_jobs.payments.payouts.models import order_of
from openclaw_jobs.payments.providers import (
    Outcome,
    PayoutProvider,
    ProviderUnavailable,
    Unknown,
)
from openclaw_jobs.payments.providers.base import ProviderName

_log = structlog.get_logger(__name__)

_BATCH: Final = 20
_MAX_BATCHES: Final = 50
CALL_TIMEOUT_S: Final = 60.0
"""So long a provider is waited for; what it did by then is not known."""
_HOLD_S: Final = 4 * CALL_TIMEOUT_S
"""So long nobody else takes a payout: more than the three calls of one turn can last."""


class PayoutsWorked(msgspec.Struct, frozen=True):
    """How many payouts were approved by the rule, and how many were due."""

    approved: int
    worked: int


async def work_payouts(market: Market, providers: Providers) -> PayoutsWorked:
    """Approve what is small, then take each payout that is due one turn further.

    In bounded batches; any number of processes may call this at once.
    """
    approved = await approve_small(market, providers)
    worked = 0
    for _ in range(_MAX_BATCHES):
        due = await take_due(market, providers)
        worked += len(due)
        outcomes = await asyncio.gather(
            *(work_payout(market, providers, one) for one in due), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                # The others have ended; this one is due again when it is no longer taken.
                raise outcome
        if len(due) < _BATCH:
            break
    return PayoutsWorked(approved, worked)


async def take_due(market: Market, providers: Providers) -> list[DuePayout]:
    """Payouts that are due, taken for a while."""
    async with begin(market) as unit:
        return await store.take_due(unit.conn, list(providers), _BATCH, _HOLD_S)


async def work_payout(market: Market, providers: Providers, due: DuePayout) -> None:
    """Take one payout a turn further."""
    payout, attempt = due.payout, due.attempt
    if payout.provider is None or payout.provider not in providers:
        raise LookupError(f"{payout.payout_id} is taken without its provider")
    provider = providers[payout.provider]
    failpoint("payout.taken")
    step = rules.next_step(payout, attempt, due.age_s)
    if step == "start":
        attempt = await start(market, payout.payout_id, payout.provider)
        failpoint("payout.started")
        step = "prepare"
    if attempt is None:
        # Somebody else has it in hand.
        return
    if step == "prepare":
        attempt = await prepare(market, provider, payout, attempt, due.age_s)
        if attempt is None:
            return
        failpoint("payout.prepared")
        outcome = await send(provider, payout, attempt)
        failpoint("payout.sent")
    else:
        outcome = await check(provider, payout, attempt)
        if isinstance(outcome, Unknown) and step == "check_or_send":
            outcome = await send(provider, payout, attempt)
    await record_outcome(market, payout.payout_id, attempt.attempt, outcome, due.age_s)
    failpoint("payout.recorded")


async def start(market: Market, payout_id: str, provider: ProviderName) -> Attempt | None:
    """Commit the next attempt by a provider, with its key.

    None if it was started or withdrawn meanwhile, or given to another provider.
    """
    async with begin(market) as unit:
        payout = await store.lock_payout(unit.conn, payout_id)
        if payout is None or (payout.status, payout.provider) != ("approved", provider):
            return None
        started = await start_attempt(unit, payout)
        await store.save_payout(unit.conn, started, _HOLD_S, in_hand=True)
        return await store.select_attempt(unit.conn, payout_id, started.attempt)


async def prepare(
    market: Market, provider: PayoutProvider, payout: Payout, attempt: Attempt, age_s: float
) -> Attempt | None:
    """Have an attempt prepared and commit it; None if that can't be done now.

    Nothing has been sent yet, so whatever goes wrong here is tried again later.
    """
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            prepared = await provider.prepare(order_of(payout, attempt))
    except Exception as error:  # noqa: BLE001 - a fault of one provider must not stop the others
        known = isinstance(error, ProviderUnavailable | TimeoutError)
        _log.warning(
            "payout_not_prepared",
            payout=payout.payout_id,
            reason=_reason(error),
            exc_info=None if known else error,
        )
        async with begin(market) as unit:
            delay = rules.check_delay_s(age_s)
            await store.delay_check(unit.conn, payout.payout_id, _reason(error), delay)
        return None
    async with begin(market) as unit:
        await store.save_prepared(unit.conn, payout.payout_id, attempt.attempt, prepared)
        kept = await store.select_attempt(unit.conn, payout.payout_id, attempt.attempt)
    # What was committed first is sent, whoever prepared it.
    return kept if kept is not None and kept.prepared and kept.status == "started" else None


async def send(provider: PayoutProvider, payout: Payout, attempt: Attempt) -> Outcome:
    """Have an attempt paid that was committed as it is."""
    return await _ask(provider.send(order_of(payout, attempt)), payout)


async def check(provider: PayoutProvider, payout: Payout, attempt: Attempt) -> Outcome:
    """Ask what has become of an attempt."""
    return await _ask(provider.check(order_of(payout, attempt)), payout)


async def _ask(call: Awaitable[Outcome], payout: Payout) -> Outcome:
    """A provider's answer; without one, nobody knows."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await call
    except Exception as error:  # noqa: BLE001 - whatever it was, the money may have left
        known = isinstance(error, ProviderUnavailable | TimeoutError)
        _log.warning(
            "payout_unknown",
            payout=payout.payout_id,
            reason=_reason(error),
            exc_info=None if known else error,
        )
        return Unknown(_reason(error))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


async def record_outcome(
    market: Market, payout_id: str, attempt: int, outcome: Outcome, age_s: float
) -> Payout | None:
    """Commit what a provider said of an attempt; the payout as it is then, None without one."""
    async with begin(market) as unit:
        payout = await store.lock_payout(unit.conn, payout_id)
        if payout is None:
            return None
        recorded = await record(unit, payout, attempt, outcome, age_s)
        failpoint("payout.written")
        return recorded
