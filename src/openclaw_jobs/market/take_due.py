"""The hidden tasks of checks that are due, taken in the transaction of buyers' posts.

They share everything with paid ones: the moment at which their ids are made, the statements that
write them, the commit, the wake-up. So nothing about when a task came tells which it is.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs.economy import price_bonus_seconds, price_cents
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import reserve
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import rules
from openclaw_jobs.quality import store_checks as checks
from openclaw_jobs.quality import store_due as store
from openclaw_jobs.quality import store_hidden as hidden
from openclaw_jobs.quality.checks import MAX_READERS, Check
from openclaw_jobs.tasks import Message, NewTask
from openclaw_jobs.tasks.rules import input_chars, queue_rank

_LATER_S: Final = (0.5, 5.0)
"""How much later it is looked again whether an original has left the queue."""


class HiddenPost(msgspec.Struct, frozen=True):
    """The hidden task of a check, to be queued if it is still due."""

    check_id: str


class HiddenPosted(msgspec.Struct, frozen=True):
    """What came of it: its task, or None if it was not due any more, or cannot be queued."""

    task_id: str | None


class Due(msgspec.Struct, frozen=True):
    """A locked check whose hidden task can be queued.

    Attributes:
        check: The check.
        source: The text.
        price_cents: What the task costs.
        reserved_cents: What the check has set aside after that.
    """

    check: Check
    source: hidden.Source
    price_cents: int
    reserved_cents: int


async def take_due(market: Market, unit: Unit, check_ids: Sequence[str]) -> dict[str, Due]:
    """Lock checks, and sort out which hidden tasks can be queued now.

    One whose task can never be queued is void, and one that has to wait is postponed. Nothing is
    waited for here: what another transaction holds is left to the next look.
    """
    if not check_ids:
        return {}
    locked = await store.lock_due(unit.conn, check_ids)
    if not locked:
        return {}
    sources = await hidden.lock_sources(unit.conn, [check.check_id for check in locked])
    due: dict[str, Due] = {}
    later: list[tuple[str, float]] = []
    for check in locked:
        source = sources.get(check.check_id)
        found = _sort_out(market, unit, check, source)
        if isinstance(found, Due):
            due[check.check_id] = found
        elif found is None:
            later.append((check.check_id, market.rng.uniform(*_LATER_S)))
        else:
            await checks.set_void(unit.conn, check.check_id, found)
    if later:
        await store.postpone(unit.conn, later)
    return due


def _sort_out(
    market: Market, unit: Unit, check: Check, source: hidden.Source | None
) -> Due | str | None:
    """What can be queued, why it never can be, or None if it has to wait."""
    if not market.config.quality.enabled:
        return "checks were switched off"
    if source is None:
        return "there is nothing to do again"
    if check.gold_id is None and source.readers >= MAX_READERS:
        return "enough workers were shown it"
    if source.waiting:
        # Were its copy shown to the only worker there is, the buyer's own task would find none.
        return None
    # As a paid task of this text costs now: one of an older price would be told by it.
    price = price_cents(market.config.pricing, check.category, _chars(source))
    compared = check.gold_id is None and check.stage == "due"
    needed = rules.reserve_cents(price, compared=compared)
    short = needed - check.reserved_cents
    if short > 0 and not reserve(market, unit, short):
        return "the budget does not cover its price"
    return Due(check, source, price, needed - price)


def _chars(source: hidden.Source) -> int:
    if source.messages is None:
        return input_chars(source.prompt, None)
    return input_chars(None, msgspec.json.decode(source.messages.encode(), type=list[Message]))


def due_task(market: Market, unit: Unit, due: Due, task_id: str) -> NewTask:
    """The hidden task, as a paid one of now would be."""
    dispatch, source = market.config.dispatch, due.source
    return NewTask(
        task_id=task_id,
        buyer_id=None,
        category=due.check.category,
        price_cents=due.price_cents,
        promo_cents=0,
        min_tier=source.min_tier,
        queue_rank=queue_rank(unit.now, price_bonus_seconds(dispatch, due.price_cents)),
        prompt=source.prompt,
        messages=source.messages,
        metadata=None,
        conversation_id=None,
        created_at=unit.now,
        expires_at=unit.now + timedelta(seconds=dispatch.queue_expiry_seconds),
        check_id=due.check.check_id,
        lineage=source.lineage,
    )


def joined(due: Due, task_id: str) -> store.Joined:
    """What to note of a hidden task that has joined the queue."""
    return store.Joined(
        check_id=due.check.check_id,
        task_id=task_id,
        price_cents=due.price_cents,
        reserved_cents=due.reserved_cents,
        gold_id=due.check.gold_id,
    )
