"""What the front page says of figures and rules: pure, from the configuration in force."""

from datetime import datetime
from typing import Final

import msgspec

from openclaw_jobs.economy import Config
from openclaw_jobs.economy.models import DEFAULT_CATEGORY, Tier
from openclaw_jobs.economy.rules import commission_bp, price_cents
from openclaw_jobs.market.public_activity import DoneTask, PublicFigures
from openclaw_jobs.market.public_quality import QualityFigures
from openclaw_jobs.web.filters import money

__all__ = ["DoneLine", "done_line", "figure_words", "offer", "quality_words"]

_SHORT_CHARS: Final = 600
"""About a paragraph."""
_LONG_CHARS: Final = 18_000
"""About ten pages."""
_EXAMPLE_CENTS: Final = 100
_WHOLE_BP: Final = 10_000
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_H: Final = 24


class PackLine(msgspec.Struct, frozen=True):
    """A prepaid pack."""

    name: str
    cents: int
    bonus_cents: int


class PriceLine(msgspec.Struct, frozen=True):
    """What a category costs, for a paragraph and for ten pages."""

    category: str
    short_cents: int
    long_cents: int


class TierLine(msgspec.Struct, frozen=True):
    """What a worker of a tier gets, and from how many tasks on."""

    name: str
    completed: int
    share: str
    earns_cents: int


class DoneLine(msgspec.Struct, frozen=True):
    """A task just done, in words."""

    seq: int
    text: str
    at: datetime


class Offer(msgspec.Struct, frozen=True):
    """Prices and shares, as they are now."""

    packs: list[PackLine]
    prices: list[PriceLine]
    tiers: list[TierLine]
    per_1000_chars: str
    lowest_share: str
    highest_share: str
    example_cents: int
    credit_window: str
    freeze_window: str
    min_withdrawal_cents: int
    daily_limit_cents: int
    checked: bool


def offer(config: Config) -> Offer:
    """What is on offer."""
    commissions, pricing = config.commissions, config.pricing
    packs = [
        PackLine(name, pack.cents, pack.bonus_cents)
        for name in ("starter", "standard", "pro", "business")
        for pack in [getattr(config.packs, name)]
    ]
    named = [name for name in pricing.base_cents if name != DEFAULT_CATEGORY]
    prices = [
        PriceLine(
            name, price_cents(pricing, name, _SHORT_CHARS), price_cents(pricing, name, _LONG_CHARS)
        )
        for name in sorted(named, key=lambda name: (pricing.base_cents[name], name))
    ]
    shares = {tier: _WHOLE_BP - commission_bp(commissions, tier) for tier in Tier}
    tiers = [
        TierLine(
            tier.value,
            0 if tier is Tier.BRONZE else getattr(config.tiers, tier.value).completed,
            percent(share / _WHOLE_BP),
            _EXAMPLE_CENTS * share // _WHOLE_BP,
        )
        for tier, share in shares.items()
    ]
    return Offer(
        packs=packs,
        prices=prices or [_default_price(config)],
        tiers=tiers,
        per_1000_chars=money(pricing.per_1000_chars_cents),
        lowest_share=percent(min(shares.values()) / _WHOLE_BP),
        highest_share=percent(max(shares.values()) / _WHOLE_BP),
        example_cents=_EXAMPLE_CENTS,
        credit_window=hours(config.quality.credit_window_hours),
        freeze_window=hours(commissions.freeze_window_hours),
        min_withdrawal_cents=commissions.min_withdrawal_cents,
        daily_limit_cents=commissions.daily_withdrawal_limit_cents,
        checked=config.quality.enabled,
    )


def _default_price(config: Config) -> PriceLine:
    pricing = config.pricing
    return PriceLine(
        "any",
        price_cents(pricing, DEFAULT_CATEGORY, _SHORT_CHARS),
        price_cents(pricing, DEFAULT_CATEGORY, _LONG_CHARS),
    )


def figure_words(figures: PublicFigures) -> dict[str, str]:
    """The figures as they are read; a dash where there is nothing to tell yet."""
    wait, kept = figures.median_wait_s, figures.kept_share
    return {
        "tasks_done": f"{figures.tasks_done:,}",
        "earned": money(figures.earned_cents),
        "workers_online": f"{figures.workers_online:,}",
        "median_wait": "—" if wait is None else span(wait),
        "kept_share": "—" if kept is None else percent(kept),
    }


def quality_words(found: QualityFigures) -> list[tuple[str, str]]:
    """What is known of quality, each as a figure and its meaning; whole percents only."""
    told: list[tuple[str, str]] = []
    if found.checked_share is not None:
        told.append((f"{found.checked_share:.0%}", "of results were checked by doing them again"))
    if found.agreement is not None:
        told.append((f"{found.agreement:.0%}", "of comparisons found both results good"))
    if found.workers_stopped and found.tasks_until_stopped is not None:
        told.append(
            (f"{found.tasks_until_stopped:,} tasks", "was the median until a bad agent was stopped")
        )
    return told


def done_line(task: DoneTask) -> DoneLine:
    """`A coding task was done in 41 s`."""
    kind = f"{_article(task.category)} {task.category} task" if task.category else "A task"
    return DoneLine(task.seq, f"{kind} was done in {span(task.seconds)}", task.at)


def _article(word: str) -> str:
    return "An" if word[0].lower() in "aeiou" else "A"


def percent(share: float) -> str:
    """A share of 1 as `98.6 %`, never rounded up to all."""
    tenths = int(share * 1_000 + 1e-6)
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10} %"


def hours(count: float) -> str:
    """`24 hours`, `3 days`, `30 minutes`."""
    if count and count < 1:
        return _counted(round(count * 60), "minute")
    if count > _DAY_H and count % _DAY_H == 0:
        return _counted(int(count // _DAY_H), "day")
    return _counted(int(count) if count == int(count) else count, "hour")


def _counted(count: float, noun: str) -> str:
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time: `120 ms`, `4.2 s`, `41 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{max(1, round(seconds * 1_000))} ms"
    if seconds < 10:  # noqa: PLR2004 - two figures are enough
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        minutes, rest = divmod(whole, _MINUTE_S)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    full, rest = divmod(whole // _MINUTE_S, 60)
    return f"{full} h {rest} min" if rest else f"{full} h"
