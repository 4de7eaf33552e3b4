"""What this process may spend on checks, granted anew where it must be."""

from typing import Final

import structlog

from openclaw_jobs.db import Connection, is_unavailable
from openclaw_jobs.market.context import Market
from openclaw_jobs.quality import rules
from openclaw_jobs.quality import store_budget as store
from openclaw_jobs.quality.budget import STALE_S, Grant, Volume

_SILENT_S: Final = 2 * STALE_S
_KEEP_HOURS: Final = 31 * 24
_log = structlog.get_logger(__name__)


async def grant_if_due(market: Market) -> None:
    """Have the allotment granted anew if it must be, before a transaction that may draw checks.

    It must be at first, after each change of the configuration, when it is old, and when it was
    short; nearly always it need not be, and this is a comparison.
    """
    if market.checks.must_ask(_version(market), market.monotonic()):
        await grant_anew(market, only_if_due=True)


async def grant_anew(market: Market, *, only_if_due: bool = False) -> None:
    """Write down the volume that this process has seen, and have its allotment granted anew."""
    checks = market.checks
    async with checks.asking:
        version = _version(market)
        if only_if_due and not checks.must_ask(version, market.monotonic()):
            return
        volume = checks.begin_asking(market.monotonic())
        try:
            async with market.db.transaction() as conn:
                grant = await _grant(market, conn, volume)
        except BaseException:
            checks.failed_asking(volume)
            raise
        checks.granted(grant, version)


async def stop_spending(market: Market) -> None:
    """Write down what is left to be, and give the allotment back, as this process stops.

    Without a database the others take it back after a minute.
    """
    checks = market.checks
    async with checks.asking:
        volume = checks.begin_asking(market.monotonic())
        try:
            async with market.db.transaction() as conn:
                if volume != Volume():
                    await store.add_volume(conn, checks.node_id, volume)
                await store.delete_allotments(conn, checks.node_id, _SILENT_S)
        except Exception as error:
            if not is_unavailable(error):
                raise
            _log.warning("allotment_not_returned", error=type(error).__name__)
        checks.granted(Grant(0, 0, 0, 0), -1)


def _version(market: Market) -> int:
    return market.config.versions.get("quality", 0)


async def _grant(market: Market, conn: Connection, volume: Volume) -> Grant:
    checks, config = market.checks, market.config.quality
    await store.lock_allotments(conn)
    if volume != Volume():
        await store.add_volume(conn, checks.node_id, volume)
    await store.delete_allotments(conn, None, _SILENT_S)
    await store.delete_volume(conn, _KEEP_HOURS)
    paid, spent, _ = await store.select_day(conn)
    allotted, processes = await store.select_allotted(conn, checks.node_id, _SILENT_S)
    budget = rules.daily_budget_cents(config, paid)
    left = rules.left_cents(budget, spent, allotted)
    cents = rules.next_allotment(left, processes).cents
    await store.set_allotment(conn, checks.node_id, cents)
    return Grant(cents, paid, spent, budget)
