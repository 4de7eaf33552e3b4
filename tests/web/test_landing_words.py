"""What the front page says of figures and rules."""

import msgspec
import pytest

from openclaw_jobs.economy.seed import DEFAULT_CONFIG
from openclaw_jobs.market.public_activity import PublicFigures
from openclaw_jobs.market.public_quality import QualityFigures
from openclaw_jobs.web.landing_words import (
    figure_words,
    hours,
    offer,
    percent,
    quality_words,
    span,
)


def test_offer_is_the_configuration() -> None:
    shown = offer(DEFAULT_CONFIG)
    assert [(p.name, p.cents, p.bonus_cents) for p in shown.packs][1] == ("standard", 2_000, 100)
    coding = next(price for price in shown.prices if price.category == "coding")
    # A base of 30 cents, and 2 for each 1,000 characters begun: 1 in a paragraph, 18 in ten pages.
    assert (coding.short_cents, coding.long_cents) == (32, 66)
    assert "default" not in {price.category for price in shown.prices}
    assert [(t.name, t.share, t.earns_cents, t.completed) for t in shown.tiers] == [
        ("bronze", "70 %", 70, 0),
        ("silver", "75 %", 75, 25),
        ("gold", "80 %", 80, 200),
        ("platinum", "85 %", 85, 1_000),
    ]
    assert (shown.credit_window, shown.freeze_window) == ("24 hours", "24 hours")


def test_offer_follows_a_change() -> None:
    pricing = msgspec.structs.replace(DEFAULT_CONFIG.pricing, base_cents={"default": 50})
    shown = offer(msgspec.structs.replace(DEFAULT_CONFIG, pricing=pricing))
    assert [(p.category, p.short_cents) for p in shown.prices] == [("any", 52)]


def test_figures_that_nobody_knows_yet() -> None:
    words = figure_words(PublicFigures(0, 0, 0, None, None))
    assert words["median_wait"] == words["kept_share"] == "—"
    assert words["tasks_done"] == "0"


def test_quality_is_told_as_far_as_it_is_known() -> None:
    nothing = QualityFigures(
        days=30,
        results=3,
        checked_share=None,
        agreement=None,
        workers_stopped=0,
        tasks_until_stopped=None,
    )
    assert quality_words(nothing) == []
    some = msgspec.structs.replace(nothing, checked_share=0.1249, agreement=0.931)
    assert [figure for figure, _ in quality_words(some)] == ["12%", "93%"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 ms"),
        (0.34, "340 ms"),
        (4.21, "4.2 s"),
        (41.4, "41 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (7_200, "2 h"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("share", "words"), [(1, "100 %"), (0.9999, "99.9 %"), (0.986, "98.6 %"), (0, "0 %")]
)
def test_shares_are_not_rounded_up(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(24, "24 hours"), (1, "1 hour"), (72, "3 days"), (0.5, "30 minutes"), (1.5, "1.5 hours")],
)
def test_windows(count: float, words: str) -> None:
    assert hours(count) == words
