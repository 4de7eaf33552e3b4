"""Prices and shares: what follows from the numbers of the configuration."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.economy import DEFAULT_CONFIG, FieldChange, Pricing, Tier, rules

cents = st.integers(0, 1_000_000)
categories = st.sampled_from(["default", "general", "coding", "never heard of"])


@st.composite
def pricings(draw: st.DrawFn) -> Pricing:
    low, high = sorted((draw(st.integers(1, 1_000_000)), draw(st.integers(1, 1_000_000))))
    named = draw(st.dictionaries(st.sampled_from(["general", "coding"]), cents))
    return Pricing(
        base_cents={"default": draw(cents), **named},
        per_1000_chars_cents=draw(cents),
        min_cents=low,
        max_cents=high,
    )


@pytest.mark.parametrize(
    ("category", "chars", "price"),
    [
        ("general", 0, 20),
        ("general", 1, 23),
        ("general", 1_000, 23),
        ("general", 1_001, 26),
        ("tiny", 0, 7),
        ("other", 10_000, 40),
        ("general", 131_072, 100),
    ],
)
def test_a_price_is_base_and_length_between_the_bounds(
    category: str, chars: int, price: int
) -> None:
    pricing = Pricing(
        base_cents={"default": 10, "general": 20, "tiny": 1},
        per_1000_chars_cents=3,
        min_cents=7,
        max_cents=100,
    )
    assert rules.price_cents(pricing, category, chars) == price


@given(pricings(), categories, st.integers(0, 200_000))
def test_a_price_is_whole_and_within_its_bounds(pricing: Pricing, name: str, chars: int) -> None:
    price = rules.price_cents(pricing, name, chars)
    assert type(price) is int
    assert pricing.min_cents <= price <= pricing.max_cents


@given(pricings(), categories, st.integers(0, 200_000), st.integers(0, 200_000))
def test_a_longer_text_never_costs_less(pricing: Pricing, name: str, one: int, two: int) -> None:
    short, long = sorted((one, two))
    assert rules.price_cents(pricing, name, short) <= rules.price_cents(pricing, name, long)


@given(pricings(), categories, st.integers(0, 200), st.integers(1, 1_000))
def test_every_length_in_one_step_costs_the_same(
    pricing: Pricing, name: str, steps: int, within: int
) -> None:
    assert rules.price_cents(pricing, name, steps * 1_000 + within) == rules.price_cents(
        pricing, name, (steps + 1) * 1_000
    )


@given(pricings(), st.integers(0, 200_000))
def test_a_category_without_an_entry_costs_the_default(pricing: Pricing, chars: int) -> None:
    assert rules.price_cents(pricing, "never heard of", chars) == rules.price_cents(
        pricing, "default", chars
    )


def test_no_text_has_a_negative_length() -> None:
    with pytest.raises(ValueError, match="negative"):
        rules.price_cents(DEFAULT_CONFIG.pricing, "general", -1)


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("rate", [0, 0.0001, 0.07, 0.145, 0.29, 0.3, 0.57, 0.9999, 1])
def test_a_rate_is_stamped_exactly_in_basis_points(tier: Tier, rate: float) -> None:
    rates = msgspec.structs.replace(DEFAULT_CONFIG.commissions.rate_by_tier, **{tier.value: rate})
    commissions = msgspec.structs.replace(DEFAULT_CONFIG.commissions, rate_by_tier=rates)
    assert rules.commission_bp(commissions, tier) / 10_000 == rate


def test_windows_allow_fractions_of_an_hour() -> None:
    commissions = msgspec.structs.replace(DEFAULT_CONFIG.commissions, freeze_window_hours=0.5)
    assert rules.freeze_window(commissions) == timedelta(minutes=30)
    quality = msgspec.structs.replace(DEFAULT_CONFIG.quality, credit_window_hours=24)
    assert rules.credit_window(quality) == timedelta(days=1)


@pytest.mark.parametrize(("price", "bonus"), [(0, 0), (1, 1.5), (100, 150), (201, 300)])
def test_a_price_is_worth_seconds_up_to_a_bound(price: int, bonus: float) -> None:
    dispatch = msgspec.structs.replace(
        DEFAULT_CONFIG.dispatch, cents_to_seconds=1.5, max_price_bonus_seconds=300
    )
    assert rules.price_bonus_seconds(dispatch, price) == bonus


def test_diff_names_what_changed_and_nothing_else() -> None:
    old = DEFAULT_CONFIG.pricing
    new = msgspec.structs.replace(old, base_cents={"default": 11, "poetry": 5}, min_cents=4)
    gone = [name for name in old.base_cents if name != "default"]
    assert rules.diff(old, new) == [
        FieldChange("base_cents.default", 10, 11),
        FieldChange("base_cents.poetry", None, 5),
        *(FieldChange(f"base_cents.{name}", old.base_cents[name], None) for name in gone),
        FieldChange("min_cents", 5, 4),
    ]
    assert rules.diff(old, old) == []
