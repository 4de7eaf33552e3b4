"""The events that were taken are worked: each in a transaction of its own, until it is done."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

import msgspec
import structlog

from openclaw_jobs.db import is_unavailable
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.apply_deposit_event import (
    Handled,
    NotYet,
    Unusable,
    charge_refunded,
    payout_ended,
    session_ended,
    session_unpaid,
)
from openclaw_jobs.market.apply_dispute import apply_dispute
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.payments.deposits import (
    DepositDesk,
    StoredEvent,
    StripeRefused,
    StripeUnavailable,
    rules,
    store_events,
)
from openclaw_jobs.payments.deposits.models import (
    BalanceChange,
    ChargeObject,
    DisputeObject,
    EventBody,
    PayoutObject,
    SessionObject,
)

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_BATCH: Final = 50
_MAX_BATCHES: Final = 100
_MAX_REASON_CHARS: Final = 300
_ASKED_IN_VAIN: Final = 2
"""How often Stripe is asked about a dispute before it is worked with what its event says."""
_BODY: Final = msgspec.json.Decoder(EventBody)

Step = Literal["done", "ignored", "postponed", "failed", "busy"]


class WorkedEvents(msgspec.Struct, frozen=True):
    """What became of the events that were due."""

    done: int = 0
    ignored: int = 0
    postponed: int = 0
    failed: int = 0


async def work_webhooks(market: Market, desk: DepositDesk) -> WorkedEvents:
    """Work every event that is due, in bounded batches.

    Any number of processes may call this; an event is worked by one of them at a time, and what
    it changes commits together with the record that it was worked.
    """
    desk.arrived.clear()
    counts: dict[str, int] = {}
    for _ in range(_MAX_BATCHES):
        async with market.db.read() as conn:
            due = await store_events.select_due(conn, _BATCH)
        steps: list[Step] = [await _work(market, desk, event) for event in due]
        for step in steps:
            counts[step] = counts.get(step, 0) + 1
        if all(step == "busy" for step in steps):
            break
    return WorkedEvents(**{name: counts.get(name, 0) for name in WorkedEvents.__struct_fields__})


async def retry_event(market: Market, desk: DepositDesk, source: str, event_id: str) -> bool:
    """Have an event worked once more, whatever became of it; False if there is none.

    What it changes is keyed on its object, so an event that was done changes nothing.
    """
    async with begin(market) as unit:
        found = await store_events.reopen(unit.conn, source, event_id)
    desk.arrived.set()
    return found


async def _work(market: Market, desk: DepositDesk, event: StoredEvent) -> Step:
    reason: str
    try:
        changes = await _look_up(desk, event)
        async with begin(market) as unit:
            if not await store_events.lock_due(unit.conn, event.source, event.event_id):
                return "busy"
            handled = await _apply(unit, event, changes)
            await store_events.finish(unit.conn, event.source, event.event_id, handled)
            failpoint("webhook.applied")
        failpoint("webhook.worked")
    except NotYet as error:
        return await _postpone(market, event, error.reason, last="ignored")
    except (Unusable, msgspec.ValidationError, msgspec.DecodeError) as error:
        reason = str(error)[:_MAX_REASON_CHARS]
        _log.error("webhook_unusable", event_id=event.event_id, type=event.type, error=reason)
        async with begin(market) as unit:
            await store_events.give_up(unit.conn, event.source, event.event_id, "failed", reason)
        return "failed"
    except (StripeUnavailable, StripeRefused) as error:
        return await _postpone(market, event, f"Stripe: {error}", last="failed")
    except Exception as error:
        if is_unavailable(error):
            raise
        # One event that cannot be worked must not keep the others waiting.
        _log.exception("webhook_failed", event_id=event.event_id, type=event.type)
        return await _postpone(market, event, type(error).__name__, last="failed")
    return handled


async def _postpone(
    market: Market, event: StoredEvent, reason: str, *, last: Literal["ignored", "failed"]
) -> Step:
    """Try an event again later, or end it as `last` when it was tried often enough."""
    attempts = event.attempts + 1
    name = (event.source, event.event_id)
    reason = reason[:_MAX_REASON_CHARS]
    async with begin(market) as unit:
        if attempts >= rules.MAX_ATTEMPTS:
            await store_events.give_up(unit.conn, *name, last, reason)
            return last
        delay = rules.retry_delay_seconds(attempts)
        await store_events.postpone(unit.conn, *name, delay, reason)
    return "postponed"


async def _look_up(desk: DepositDesk, event: StoredEvent) -> list[BalanceChange]:
    """What Stripe has to be asked before an event can be worked: outside any transaction.

    A dispute's money may move a moment after the event was made; then the event lacks it.
    """
    if event.type not in _DISPUTES:
        return []
    told = _object(event, DisputeObject)
    wanted = rules.dispute_state(told.status)
    known = told.balance_transactions
    complete = any(change.amount < 0 for change in known) and (
        wanted != "won" or any(change.amount > 0 for change in known)
    )
    if complete or wanted == "none" or desk.gateway is None:
        return known
    try:
        return await desk.gateway.dispute_changes(told.id) or known
    except (StripeUnavailable, StripeRefused) as error:
        if event.attempts < _ASKED_IN_VAIN:
            raise
        # The buyer could go on spending money that is gone; a fee that is missing is found by
        # the reconciliation.
        _log.warning("dispute_fee_unknown", event_id=event.event_id, error=str(error))
        return known


async def _apply(unit: Unit, event: StoredEvent, changes: Sequence[BalanceChange]) -> Handled:
    if event.type in _DISPUTES:
        return await apply_dispute(unit, _object(event, DisputeObject), changes)
    handle = _HANDLERS.get(event.type)
    return "ignored" if handle is None else await handle(unit, event)


async def _session_ended(unit: Unit, event: StoredEvent) -> Handled:
    return await session_ended(unit, _object(event, SessionObject))


async def _session_failed(unit: Unit, event: StoredEvent) -> Handled:
    return await session_unpaid(unit, _object(event, SessionObject), "failed")


async def _session_expired(unit: Unit, event: StoredEvent) -> Handled:
    return await session_unpaid(unit, _object(event, SessionObject), "expired")


async def _refunded(unit: Unit, event: StoredEvent) -> Handled:
    return await charge_refunded(unit, _object(event, ChargeObject))


async def _payout_paid(unit: Unit, event: StoredEvent) -> Handled:
    return await payout_ended(unit, _object(event, PayoutObject), failed=False)


async def _payout_failed(unit: Unit, event: StoredEvent) -> Handled:
    return await payout_ended(unit, _object(event, PayoutObject), failed=True)


_HANDLERS: Final[Mapping[str, Callable[[Unit, StoredEvent], Awaitable[Handled]]]] = {
    "checkout.session.completed": _session_ended,
    "checkout.session.async_payment_succeeded": _session_ended,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session_expired,
    "charge.refunded": _refunded,
    "payout.paid": _payout_paid,
    "payout.failed": _payout_failed,
}
_DISPUTES: Final = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    }
)


def _object(event: StoredEvent, kind: type[T]) -> T:
    """The object that an event is about.

    Raises:
        msgspec.ValidationError: It is not as we know such objects.
    """
    return msgspec.json.decode(_BODY.decode(event.payload).data.object, type=kind)
