"""An operator changes the economy while it runs."""

import msgspec

from openclaw_jobs import audit
from openclaw_jobs.economy import ConfigEntry
from openclaw_jobs.economy import service as economy
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin


async def change_config(
    market: Market, key: str, value: object, version: int | None, actor: str
) -> ConfigEntry:
    """Write the next version of a section, in force here at once and elsewhere within 5 s.

    Raises:
        Problem: `not_found` for an unknown key, `validation_failed` for a value that doesn't fit.
    """
    async with begin(market) as unit:
        change = await economy.put(unit.conn, key, value, actor, version)
        await audit.record(
            unit.conn, actor, "config.put", key, {"changes": msgspec.to_builtins(change.changes)}
        )
    await market.configuration.refresh()
    return change.entry


async def get_config(market: Market, key: str) -> ConfigEntry:
    """A section in force.

    Raises:
        Problem: `not_found` for an unknown key.
    """
    async with market.db.read() as conn:
        return await economy.get(conn, key)


async def list_config(market: Market) -> list[ConfigEntry]:
    """All sections in force."""
    async with market.db.read() as conn:
        return await economy.list_all(conn)
