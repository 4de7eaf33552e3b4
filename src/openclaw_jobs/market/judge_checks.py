"""Results that can be compared are compared, outside any transaction, and judged many in each."""

import asyncio
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec
import structlog

from openclaw_jobs.db import is_unavailable
from openclaw_jobs.economy.rules import by_category
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.apply_verdict import Compared, apply_findings
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.note_pairs import compare_wrong
from openclaw_jobs.market.unit import begin
from openclaw_jobs.quality import comparing
from openclaw_jobs.quality import store_judging as store
from openclaw_jobs.quality.checks import Finding, Texts
from openclaw_jobs.quality.judging import judge
from openclaw_jobs.quality.store_checks import set_void

_BATCH: Final = 50
_MAX_BATCHES: Final = 20

_SPACING_S: Final = 1.0
"""The pause after a look that was asked for: no verdict is urgent, and many share the next look."""

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
        if fresh:
            moved += await _judge(market, fresh)
        if not fresh or len(ready) < _BATCH:
            break
    return moved


async def follow_ready(market: Market) -> None:
    """Judge what is ready; who was woken waits a moment, so that the next look is for several."""
    woken = market.checks_ready.is_set()
    await judge_checks(market)
    if woken:
        await asyncio.sleep(_SPACING_S)


async def _judge(market: Market, ready: Sequence[Texts]) -> int:
    """Judge checks in their order: who is blamed alone, those between together."""
    found = await asyncio.to_thread(_compare, market, ready)
    compared: list[tuple[Texts, Compared]] = []
    for texts, finding in zip(ready, found, strict=True):
        if isinstance(finding, Exception):
            await _give_up(market, texts.check_id, finding)
        else:
            compared.append((texts, Compared(texts.check_id, texts.stage, finding)))
    moved = 0
    for blames, some in groupby(compared, lambda pair: pair[1].blames):
        if blames:
            for texts, one in some:
                moved += await _blame(market, texts, one)
        else:
            moved += await _apply(market, [one for _, one in some])
    return moved


def _compare(market: Market, ready: Sequence[Texts]) -> list[Finding | Exception | None]:
    """Compare what there is of each check, in a thread; what fails fails alone."""
    found: list[Finding | Exception | None] = []
    for texts in ready:
        rule = by_category(market.config.quality.thresholds, texts.category)
        try:
            found.append(judge(texts, comparing.comparer(rule)))
        except Exception as error:  # noqa: BLE001 - it is told of, and the check ends
            found.append(error)
        # Lets go of the interpreter, or the event loop would wait for all of them.
        time.sleep(0)
    return found


async def _blame(market: Market, texts: Texts, one: Compared) -> int:
    try:
        wrongs = await compare_wrong(market, texts, one.finding)
    except Exception as error:
        if is_unavailable(error):
            raise
        await _give_up(market, texts.check_id, error)
        return 0
    return await _apply(market, [msgspec.structs.replace(one, wrongs=wrongs)])


async def _apply(market: Market, compared: Sequence[Compared]) -> int:
    """Have findings take effect in one transaction, or, if it is refused, in one each."""
    failpoint("check.compared")
    try:
        async with begin(market, pipelined=True) as unit:
            moved = await apply_findings(market, unit, compared)
    except Exception as error:
        if is_unavailable(error):
            raise
        if len(compared) == 1:
            await _give_up(market, compared[0].check_id, error)
            return 0
        _log.exception("checks_refused", size=len(compared))
        return sum([await _apply(market, [one]) for one in compared])
    for one in compared:
        if one.check_id in moved and one.finding is not None:
            # Neither texts nor workers: a log is read by more people than may know of a check.
            _log.info(
                "check_moved",
                check=one.check_id,
                agree=one.finding.agree,
                reason=one.finding.reason,
            )
    return len(moved)


async def _give_up(market: Market, check_id: str, error: Exception) -> None:
    """End a check that cannot be judged, or it would stand before all others for ever."""
    _log.error("check_failed", check=check_id, exc_info=error)
    async with begin(market) as unit:
        await set_void(unit.conn, check_id, "it could not be judged")
