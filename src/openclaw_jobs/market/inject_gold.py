"""Gold tasks are slipped in: so many for each paid claim, at times that nobody can foresee."""

from typing import Final

import msgspec

from openclaw_jobs.economy import price_cents
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import random_delay, reserve
from openclaw_jobs.market.grant_checks import grant_anew, grant_if_due
from openclaw_jobs.market.queue_checks import queue_checks
from openclaw_jobs.market.unit import begin
from openclaw_jobs.quality import rules, store_checks
from openclaw_jobs.quality import store_golds as store
from openclaw_jobs.quality.checks import NewCheck

_MAX_AT_ONCE: Final = 100


class Injected(msgspec.Struct, frozen=True):
    """How many gold tasks were slipped in, and how many there was no budget for."""

    injected: int = 0
    refused: int = 0


async def spend_on_checks(market: Market) -> Injected:
    """What each web process does by the clock: have its budget granted anew, and slip gold in.

    Each paid claim of this process draws a gold task by chance, which is queued at a random time
    of its own; so they come as irregularly as the claims do.
    """
    await grant_anew(market)
    quality = market.config.quality
    claims = market.checks.take_claims()
    if not quality.enabled:
        return Injected()
    wanted = sum(market.rng.random() < quality.benchmark_rate for _ in range(claims))
    return await _inject(market, wanted, at_once=False) if wanted else Injected()


async def inject_now(market: Market) -> Injected:
    """Slip in what is due now: at least one, if the economy allows any at all.

    None without budget, with `benchmark_rate` 0 or `enabled` false, or where every gold task that
    is left was shown to every worker or waits for one already.
    """
    quality = market.config.quality
    if not quality.enabled or quality.benchmark_rate <= 0:
        return Injected()
    await grant_anew(market)
    claims = market.checks.take_claims()
    drawn = sum(market.rng.random() < quality.benchmark_rate for _ in range(claims))
    done = await _inject(market, max(1, drawn), at_once=True)
    await queue_checks(market)
    return done


async def _inject(market: Market, wanted: int, *, at_once: bool) -> Injected:
    await grant_if_due(market)
    pricing = market.config.pricing
    fresh: list[NewCheck] = []
    async with begin(market) as unit:
        chosen = await store.choose(unit.conn, min(wanted, _MAX_AT_ONCE))
        for gold in chosen:
            price = price_cents(pricing, gold.category, gold.chars)
            reserved = rules.reserve_cents(price, compared=False)
            if not reserve(market, unit, reserved):
                continue
            fresh.append(
                NewCheck(
                    check_id=new_id("chk"),
                    kind="gold",
                    category=gold.category,
                    price_cents=price,
                    original_task_id=None,
                    gold_id=gold.gold_id,
                    first_worker_id=None,
                    delay_seconds=0.0 if at_once else random_delay(market, unit),
                    reserved_cents=reserved,
                )
            )
        if fresh:
            await store_checks.insert_checks(unit.conn, fresh)
    return Injected(len(fresh), len(chosen) - len(fresh))
