"""Which results are looked at: drawn by chance, in the transaction that makes them."""

from typing import Final

from openclaw_jobs.dispatch.models import Lease
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import rules
from openclaw_jobs.quality.checks import CheckKind, NewCheck

LOOK_EVERY_S: Final = 1.0
"""How often it is looked for checks that other processes have made due."""

AHEAD_S: Final = 1.5
"""What is due within this has a timer; it is longer than the pause between two looks."""

SPACING_S: Final = 0.05
"""The least pause between two looks, however many are asked for."""


def draw_shadow(
    market: Market, unit: Unit, task_id: str, category: str, price_cents: int
) -> NewCheck | None:
    """Whether a task that is just posted is queued twice."""
    quality = market.config.quality
    if not quality.enabled or market.rng.random() >= quality.shadow_rate:
        return None
    return new_check(market, unit, "shadow", task_id, category, price_cents)


def draw_spot(market: Market, unit: Unit, lease: Lease, drawn: int) -> NewCheck | None:
    """Whether the result that just ended a lease is done again by another worker.

    Args:
        market: Where.
        unit: The transaction.
        lease: The lease.
        drawn: How many of this worker's results were drawn in this transaction before.
    """
    if lease.check_id is not None:
        return None
    rate = rules.spot_check_rate(
        market.config.quality, lease.record, lease.pending + drawn, market.checks.hidden_share
    )
    if rate <= 0 or market.rng.random() >= rate:
        return None
    return new_check(
        market, unit, "spot", lease.task_id, lease.category, lease.price_cents, lease.worker_id
    )


def new_check(
    market: Market,
    unit: Unit,
    kind: CheckKind,
    original_task_id: str,
    category: str,
    price_cents: int,
    first_worker_id: str | None = None,
) -> NewCheck | None:
    """A check that compares an original with a copy; None, and counted, beyond the budget."""
    reserved = rules.reserve_cents(price_cents, compared=True)
    if not reserve(market, unit, reserved):
        return None
    return NewCheck(
        check_id=new_id("chk"),
        kind=kind,
        category=category,
        price_cents=price_cents,
        original_task_id=original_task_id,
        gold_id=None,
        first_worker_id=first_worker_id,
        delay_seconds=random_delay(market, unit),
        reserved_cents=reserved,
    )


def reserve(market: Market, unit: Unit, cents: int) -> bool:
    """Set so much aside in this transaction; the budget gets it back if that is undone."""
    if not market.checks.take(cents):
        return False
    unit.reserved_cents += cents
    return True


def random_delay(market: Market, unit: Unit) -> float:
    """After how many seconds a hidden task is queued: any time up to the longest alike."""
    seconds = market.rng.random() * float(market.config.quality.check_delay_seconds)
    # What is due later is found in time by the next look.
    unit.due_soon |= seconds <= AHEAD_S
    return seconds
