"""An operator lets a suspended buyer post tasks again."""

from openclaw_jobs import audit, buyers
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Replay, Unit, run


async def reinstate_buyer(
    market: Market, buyer_id: str, *, actor: str, replay: Replay[str] | None
) -> str:
    """End a buyer's suspension; one that is not suspended stays as it is. Returns its id.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> str:
        if await buyers.totals(unit.conn, buyer_id) is None:
            raise not_found("buyer")
        if await buyers.reinstate(unit.conn, buyer_id):
            await audit.record(unit.conn, actor, "buyer.reinstate", buyer_id, {})
        return buyer_id

    return await run(market, effect, replay)
