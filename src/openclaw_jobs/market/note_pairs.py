"""Workers who are wrong in the same way: counted, and shown to operators if it can't be chance.

Each wrong answer to a gold task is compared with the wrong answers of others to the same one. Who
gives none, or refuses, says nothing that could be the same.
"""

import asyncio
from typing import Final

import msgspec

from openclaw_jobs.economy.rules import by_category
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import comparing, pairs
from openclaw_jobs.quality import store_pairs as store
from openclaw_jobs.quality.checks import Check, Finding, Texts
from openclaw_jobs.quality.judging import Compare, is_without_answer
from openclaw_jobs.quality.record import Verdict
from openclaw_jobs.quality.store_pairs import Pair, SharedMistake

_SHOWN: Final = 10
_BETWEEN: Final = "."


class PairEntry(msgspec.Struct, frozen=True):
    """A pair with what speaks against it; `chance` is how likely strangers agree so often."""

    pair: Pair
    chance: float
    mistakes: list[SharedMistake]


class PairPage(msgspec.Struct, frozen=True):
    """Some pairs; `resume_after` are the ids of the last if there are more."""

    pairs: list[PairEntry]
    resume_after: tuple[str, str] | None

    @property
    def next_cursor(self) -> str | None:
        """What `after_cursor` takes for the next page."""
        return None if self.resume_after is None else _BETWEEN.join(self.resume_after)


class Wrongs(msgspec.Struct, frozen=True):
    """What was compared before the transaction of a verdict: this answer with those, by task.

    A value is None where one of the two gives no answer.
    """

    result: str
    same: dict[str, bool | None]
    compare: Compare


async def compare_wrong(market: Market, texts: Texts, finding: Finding | None) -> Wrongs | None:
    """Compare a wrong answer to a gold task with those of others, outside any transaction."""
    if texts.gold_id is None or texts.second is None or finding is None:
        return None
    if finding.second is not Verdict.BAD:
        return None
    compare = comparing.comparer(by_category(market.config.quality.thresholds, texts.category))
    async with market.db.read() as conn:
        others = await store.select_wrong(conn, texts.gold_id, "")
    wrongs = Wrongs(texts.second, {}, compare)
    for other in others:
        wrongs.same[other.task_id] = await asyncio.to_thread(_same, wrongs, other.result)
    return wrongs


def _same(wrongs: Wrongs, result: str) -> bool | None:
    compare = wrongs.compare
    if is_without_answer(wrongs.result, compare) or is_without_answer(result, compare):
        return None
    return compare(wrongs.result, result).agree


async def note_pairs(unit: Unit, check: Check, wrongs: Wrongs) -> None:
    """Count this wrong answer with each of the others, in the transaction of its verdict.

    The gold task is locked by the caller, so of two that are judged at once the second sees the
    first.
    """
    if check.gold_id is None or check.second_worker_id is None:
        return
    others = await store.select_wrong(unit.conn, check.gold_id, check.copy_task_id or "")
    for other in sorted(others, key=lambda found: found.worker_id):
        if other.task_id not in wrongs.same:
            wrongs.same[other.task_id] = await asyncio.to_thread(_same, wrongs, other.result)
        same = wrongs.same[other.task_id]
        if same is None or other.worker_id == check.second_worker_id:
            continue
        one = check.second_worker_id
        pair, rest = await store.add(unit.conn, one, other.worker_id, same=same)
        if pairs.is_suspicious(pair, rest):
            await store.flag(unit.conn, one, other.worker_id)


def after_cursor(cursor: str | None) -> tuple[str, str] | None:
    """The ids of the pair after which a page begins; None is the first page.

    Raises:
        Problem: `validation_failed`.
    """
    if cursor is None:
        return None
    first, _, second = cursor.partition(_BETWEEN)
    if not (is_id("wrk", first) and is_id("wrk", second)):
        raise invalid("cursor", "This is no cursor of this list.")
    return first, second


async def list_pairs(
    market: Market, before: tuple[str, str] | None, limit: int, *, flagged: bool
) -> PairPage:
    """A page of pairs; `before` are the ids of the last one of the page before."""
    async with market.db.read() as conn:
        found = await store.select_pairs(conn, flagged=flagged, before=before, limit=limit + 1)
        total = await store.totals(conn)
        entries = [
            PairEntry(
                pair,
                _chance(pair, total),
                await store.select_shared(
                    conn, pair.first_worker_id, pair.second_worker_id, _SHOWN
                ),
            )
            for pair in found[:limit]
        ]
    last = entries[-1].pair if len(found) > limit else None
    return PairPage(
        entries, None if last is None else (last.first_worker_id, last.second_worker_id)
    )


def _chance(pair: Pair, total: pairs.Counts) -> float:
    others = pairs.Counts(total.both - pair.both_bad, total.same - pair.same_bad)
    return pairs.chance_of(pairs.Counts(pair.both_bad, pair.same_bad), pairs.base_rate(others))
