"""An operator looks through deposits and through what providers told us."""

from datetime import datetime

import msgspec

from openclaw_jobs import audit
from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market import store_parties as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.models_parties import DepositRow, EventRow
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.payments.deposits import DepositDesk, store_events


class EventPage(msgspec.Struct, frozen=True):
    """Some events, newest first; `resume_after` is the last if there are more."""

    events: list[EventRow]
    resume_after: EventRow | None


class DepositRows(msgspec.Struct, frozen=True):
    """Some deposits, newest first; `resume_after` is the last id if there are more."""

    deposits: list[DepositRow]
    resume_after: str | None


async def list_events(
    market: Market, before: tuple[datetime, str, str] | None, status: str | None, limit: int
) -> EventPage:
    """A page of events; `before` names the last one of the page before."""
    async with market.db.read() as conn:
        found = await store.select_events(conn, before=before, status=status, limit=limit + 1)
    page = found[:limit]
    return EventPage(page, page[-1] if len(found) > limit else None)


async def replay_event(
    market: Market,
    desk: DepositDesk,
    source: str,
    event_id: str,
    actor: str,
    replay: Replay[None] | None = None,
) -> None:
    """Have an event worked once more, whatever became of it.

    What it changes is keyed on its object, so an event that was done changes nothing.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> None:
        if not await store_events.reopen(unit.conn, source, event_id):
            raise not_found("event")
        await audit.record(unit.conn, actor, "webhook.replay", f"{source}/{event_id}", {})

    await run(market, effect, replay)
    desk.arrived.set()


async def list_all_deposits(
    market: Market, before: str | None, status: str | None, limit: int
) -> DepositRows:
    """A page of all buyers' deposits; `before` is the last id of the page before.

    Raises:
        Problem: `validation_failed` for a cursor that was never given out.
    """
    if before is not None and not is_id("dep", before):
        raise invalid("cursor", "This is no cursor of this list.")
    async with market.db.read() as conn:
        found = await store.select_deposits(conn, before=before, status=status, limit=limit + 1)
    page = found[:limit]
    return DepositRows(page, page[-1].deposit_id if len(found) > limit else None)
