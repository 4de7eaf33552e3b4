"""Results that can be compared are compared, outside any transaction, and judged in one each."""

import asyncio
from typing import Final

import structlog

from openclaw_jobs.db import is_unavailable
from openclaw_jobs.economy.rules import by_category
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.apply_verdict import apply_finding
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import SPACING_S
from openclaw_jobs.market.note_pairs import compare_wrong
from openclaw_jobs.market.unit import begin
from openclaw_jobs.quality import comparing
from openclaw_jobs.quality import store_checks as store
from openclaw_jobs.quality.checks import Finding, Texts
from openclaw_jobs.quality.judging import judge

_BATCH: Final = 20
_AT_ONCE: Final = 4
_MAX_BATCHES: Final = 50
_log = structlog.get_logger(__name__)


async def judge_checks(market: Market) -> int:
    """Judge every check that has its results; how many were moved on.

    Any number of processes may call this: two may compare the same results, and one verdict counts.
    """
    market.checks_ready.clear()
    moved = 0
    seen: set[tuple[str, str]] = set()
    for _ in range(_MAX_BATCHES):
        async with market.db.read() as conn:
            ready = await store.select_ready(conn, _BATCH)
        fresh = [texts for texts in ready if (texts.check_id, texts.stage) not in seen]
        seen.update((texts.check_id, texts.stage) for texts in fresh)
        for few in (fresh[at : at + _AT_ONCE] for at in range(0, len(fresh), _AT_ONCE)):
            moved += sum(await asyncio.gather(*(_judge_or_give_up(market, one) for one in few)))
        if not fresh or len(ready) < _BATCH:
            break
    return moved


async def follow_ready(market: Market) -> None:
    """Judge what is ready; the next look is a moment later, so that several share one."""
    await judge_checks(market)
    await asyncio.sleep(SPACING_S)


async def _judge_or_give_up(market: Market, texts: Texts) -> bool:
    """Judge one check; one that cannot be is void, or it would stand before all others for ever."""
    try:
        return await _judge(market, texts)
    except Exception as error:
        if is_unavailable(error):
            raise
        _log.exception("check_failed", check=texts.check_id)
        async with begin(market) as unit:
            await store.set_void(unit.conn, texts.check_id, "it could not be judged")
        return False


async def _judge(market: Market, texts: Texts) -> bool:
    finding = await asyncio.to_thread(_compare, market, texts)
    wrongs = await compare_wrong(market, texts, finding)
    failpoint("check.compared")
    async with begin(market, pipelined=True) as unit:
        moved = await apply_finding(market, unit, texts.check_id, texts.stage, finding, wrongs)
    if moved and finding is not None:
        # Neither texts nor workers: a log is read by more people than may know of a check.
        _log.info("check_moved", check=texts.check_id, agree=finding.agree, reason=finding.reason)
    return moved


def _compare(market: Market, texts: Texts) -> Finding | None:
    rule = by_category(market.config.quality.thresholds, texts.category)
    return judge(texts, comparing.comparer(rule))
