"""An operator has moved money from the bank to a rail, and says so."""

import msgspec

from openclaw_jobs import audit, ledger
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.ledger import DuplicateTransfer, Rail
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Replay, Unit, run


class ToppedUp(msgspec.Struct, frozen=True):
    """Money that is at a rail now."""

    rail: str
    amount_cents: int
    reference: str


async def top_up_rail(
    market: Market,
    rail: Rail,
    amount_cents: int,
    reference: str,
    actor: str,
    replay: Replay[ToppedUp] | None,
) -> ToppedUp:
    """Book it, once for each reference.

    Args:
        market: Where.
        rail: Where the money went.
        amount_cents: How much arrived there.
        reference: What the rail calls it (a transaction's id), plain and without a colon.
        actor: Who says so.
        replay: How to answer the same request again.

    Raises:
        Problem: `validation_failed` for a reference that is booked already.
    """

    async def effect(unit: Unit) -> ToppedUp:
        fact = ledger.rail_top_up(reference, rail, amount_cents, actor=actor)
        try:
            await ledger.post(unit.conn, [fact] if fact else [])
        except DuplicateTransfer:
            raise invalid("reference", "This is booked already.") from None
        detail = {"rail": rail.value, "amount_cents": amount_cents}
        await audit.record(unit.conn, actor, "rail.top_up", reference, detail)
        return ToppedUp(rail, amount_cents, reference)

    return await run(market, effect, replay)
