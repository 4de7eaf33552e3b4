"""A web process tells the others how many workers are parked with it."""

from openclaw_jobs.dispatch.store import nodes
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin


async def report_node(market: Market, node_id: str, parked_workers: int) -> None:
    """Write this node's line."""
    async with market.db.read() as conn:
        await nodes.report_node(conn, node_id, parked_workers)


async def forget_node(market: Market, node_id: str) -> None:
    """Remove this node's line; it stops."""
    async with begin(market) as unit:
        await nodes.forget_nodes(unit.conn, node_id, 3600)
