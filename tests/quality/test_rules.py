"""The rules of quality: the formulas to the letter, and what must hold for any record."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.economy import DEFAULT_CONFIG, Tier, TierThreshold
from openclaw_jobs.quality import rules
from openclaw_jobs.quality.record import (
    Achievement,
    Allotment,
    CheckState,
    Record,
    Verdict,
)

QUALITY = DEFAULT_CONFIG.quality
TIERS = DEFAULT_CONFIG.tiers

outcomes = st.lists(st.booleans(), max_size=200)
shares = st.floats(0, 1)
achievements = st.builds(
    Achievement,
    completed=st.integers(0, 3000),
    completion_rate=shares,
    credit_rate=shares,
    quality=shares,
)


def record_after(bads: list[bool]) -> Record:
    record = Record()
    for bad in bads:
        record = rules.after_outcome(record, bad=bad)
    return record


def test_a_worker_without_a_record_has_the_priors_quality() -> None:
    assert rules.quality(Record()) == pytest.approx(0.9)


def test_quality_is_the_mean_of_the_posterior() -> None:
    assert rules.bad_share(Record(good=18, bad=2)) == pytest.approx((1 + 2) / (10 + 20))


@given(outcomes)
def test_quality_rises_with_good_and_falls_with_bad(bads: list[bool]) -> None:
    record = record_after(bads)
    assert rules.quality(rules.after_outcome(record, bad=False)) > rules.quality(record)
    assert rules.quality(rules.after_outcome(record, bad=True)) < rules.quality(record)


@pytest.mark.parametrize(
    ("record", "rate"),
    [
        (Record(), 1),
        (Record(good=9, streak=9), 1),
        (Record(good=5, bad=4, streak=0), 1),
        (Record(good=9, bad=1, streak=0), 0.5),
        (Record(good=30, bad=1, streak=9), 0.5),
        (Record(good=10, streak=10), 0.1),
        (Record(good=16, streak=16), 1 / 16),
        (Record(good=20, streak=20), 0.05),
        (Record(good=500, streak=500), 0.05),
    ],
)
def test_how_often_to_check(record: Record, rate: float) -> None:
    assert rules.check_rate(record) == pytest.approx(rate)


def test_checks_under_way_bound_the_first_ones() -> None:
    assert rules.check_rate(Record(good=5, streak=5), pending=9) == 1
    assert rules.check_rate(Record(good=5, streak=5), pending=10) == 0.5
    assert rules.check_rate(Record(), pending=14) == 1
    assert rules.check_rate(Record(), pending=15) == 0.5


def test_an_expired_lease_ends_the_streak_and_nothing_else() -> None:
    record = Record(good=30, bad=1, streak=20, suspicion=0.7)
    assert rules.after_expired_lease(record) == Record(good=30, bad=1, streak=0, suspicion=0.7)


def test_a_worker_let_back_in_keeps_its_record_and_starts_the_test_anew() -> None:
    back = rules.after_reinstatement(Record(good=30, bad=9, streak=4, suspicion=7.1))
    assert back == Record(good=30, bad=9, streak=0, suspicion=0)
    assert not rules.must_suspend(rules.after_outcome(back, bad=True))


@given(outcomes)
def test_the_record_counts_every_outcome(bads: list[bool]) -> None:
    record = record_after(bads)
    assert (record.good, record.bad) == (bads.count(False), bads.count(True))
    assert (
        record.streak == len(bads) if True not in bads else record.streak == bads[::-1].index(True)
    )


@given(outcomes)
def test_suspicion_is_the_largest_evidence_of_any_tail(bads: list[bool]) -> None:
    """The cumulative sum's other definition: the best log likelihood ratio of a last stretch."""
    steps = [math.log(0.28 / 0.08) if bad else math.log(0.72 / 0.92) for bad in bads]
    tails = [math.fsum(steps[start:]) for start in range(len(steps) + 1)]
    assert record_after(bads).suspicion == pytest.approx(max(tails))


def test_six_bad_outcomes_in_a_row_suspend_and_five_do_not() -> None:
    assert not rules.must_suspend(record_after([True] * 5))
    assert rules.must_suspend(record_after([True] * 6))
    assert rules.must_suspend(Record(suspicion=math.log(1000)))


def test_one_bad_in_ten_suspends_nobody() -> None:
    assert not rules.must_suspend(record_after(([True] + [False] * 9) * 100))


# --------------------------------------------------------------------------------- spot-checks


def test_a_disabled_quality_checks_nobody() -> None:
    off = msgspec.structs.replace(QUALITY, enabled=False)
    assert rules.spot_check_rate(off, Record(), 0, 0.0) == 0
    assert rules.daily_budget_cents(off, 1_000_000) == 0


def test_a_forced_rate_is_the_rate() -> None:
    forced = msgspec.structs.replace(QUALITY, spot_check_rate=0.3)
    assert rules.spot_check_rate(forced, Record(good=100, streak=100), 0, 0.5) == 0.3


def test_a_new_worker_is_always_checked() -> None:
    assert rules.spot_check_rate(QUALITY, Record(), 0, 0.4) == 1


records = outcomes.map(record_after)


@given(records, shares, st.floats(0, 0.99))
def test_shadows_and_spot_checks_are_never_more_than_the_rate(
    record: Record, hidden: float, shadow: float
) -> None:
    config = msgspec.structs.replace(QUALITY, shadow_rate=shadow)
    rate = rules.check_rate(record)
    spot = rules.spot_check_rate(config, record, 0, hidden)
    assert 0 <= spot <= 1
    together = shadow + (1 - shadow) * spot
    assert together <= max(rate, shadow) + 1e-9
    assert together >= rate * rules.OWN_SHARE - 1e-9
    if record.suspicion > rules.SUSPICION_STEP_BAD:
        assert together >= rate - 1e-9


@given(shares, shares)
def test_filling_up_gives_what_is_wanted(wanted: float, there: float) -> None:
    filled = rules.fill_up(wanted, there)
    assert 0 <= filled <= 1
    assert there + (1 - there) * filled == pytest.approx(max(wanted, there))


def test_the_hidden_share_of_nothing_is_nothing() -> None:
    assert rules.hidden_share(0, 0) == 0
    assert rules.hidden_share(900, 100) == pytest.approx(0.1)


# --------------------------------------------------------------------------------- arbitration


def test_two_of_three() -> None:
    good, bad, unclear = Verdict.GOOD, Verdict.BAD, Verdict.INCONCLUSIVE
    found = {
        (first, second): rules.arbitrate(first_agrees=first, second_agrees=second)
        for first in (True, False)
        for second in (True, False)
    }
    verdicts = {sides: (d.first, d.second) for sides, d in found.items()}
    assert verdicts == {
        (True, True): (good, good),
        (True, False): (good, bad),
        (False, True): (bad, good),
        (False, False): (unclear, unclear),
    }


@given(records)
def test_confidence_follows_the_checks(record: Record) -> None:
    said = {state: rules.confidence(record, state) for state in CheckState}
    assert all(0 < value < 1 for value in said.values())
    assert said[CheckState.UNCHECKED] == pytest.approx(rules.quality(record))
    assert said[CheckState.REJECTED] < said[CheckState.DISPUTED] < said[CheckState.UNCHECKED]
    assert said[CheckState.UNCHECKED] < said[CheckState.AGREED] == said[CheckState.UPHELD]


def test_confidence_of_a_new_workers_result() -> None:
    agreed = rules.confidence(Record(), CheckState.AGREED)
    assert agreed == pytest.approx(0.9 * 0.97 / (0.9 * 0.97 + 0.1 * 0.05))
    assert round(agreed, 3) == 0.994


# --------------------------------------------------------------------------------------- tiers


def meets(has: Achievement, wanted: TierThreshold) -> bool:
    return (
        has.completed >= wanted.completed
        and has.completion_rate >= wanted.completion_rate
        and has.credit_rate <= wanted.credit_rate
        and has.quality >= wanted.quality
    )


@given(achievements)
def test_the_tier_is_the_highest_whose_thresholds_are_met(has: Achievement) -> None:
    met = [tier for tier in Tier if tier != "bronze" and meets(has, getattr(TIERS, tier))]
    assert rules.tier_for(TIERS, has) == (met[-1] if met else Tier.BRONZE)


def test_a_tier_is_reached_at_its_thresholds_and_lost_below_any_of_them() -> None:
    gold = TIERS.gold
    has = Achievement(
        completed=gold.completed,
        completion_rate=gold.completion_rate,
        credit_rate=gold.credit_rate,
        quality=gold.quality,
    )
    assert rules.tier_for(TIERS, has) == Tier.GOLD
    worse = {"completion_rate": 0.949, "credit_rate": 0.051, "quality": 0.899, "completed": 199}
    for field, value in worse.items():
        less = msgspec.structs.replace(has, **{field: value})
        assert rules.tier_for(TIERS, less) == Tier.SILVER, field
        missing = [r.name for r in rules.requirements(gold, less) if not r.met]
        assert missing == [field]


def test_bronze_asks_for_nothing() -> None:
    assert rules.threshold(TIERS, Tier.BRONZE) is None
    assert rules.threshold(TIERS, Tier.GOLD) == TIERS.gold


# -------------------------------------------------------------------------------------- budget


def test_the_budget_is_a_share_of_the_day_and_a_floor() -> None:
    assert rules.daily_budget_cents(QUALITY, 100_000) == 16_000 + 500
    assert rules.daily_budget_cents(QUALITY, 0) == 500


def test_a_comparison_reserves_its_arbiter_and_gold_needs_none() -> None:
    assert rules.reserve_cents(30, compared=True) == 60
    assert rules.reserve_cents(30, compared=False) == 30


@given(st.integers(-1000, 10**9), st.integers(1, 64))
def test_processes_that_ask_at_once_are_given_no_more_than_is_left(
    left: int, processes: int
) -> None:
    given_out = sum(rules.next_allotment(left, processes).cents for _ in range(processes))
    assert 0 <= given_out <= max(0, left)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 400), max_size=60))
def test_an_allotment_is_never_overdrawn(cents: int, asked: list[int]) -> None:
    allotment, granted = Allotment(cents), 0
    for price in asked:
        after = rules.take(allotment, price)
        if after is None:
            assert price > allotment.cents
            continue
        allotment, granted = after, granted + price
    assert granted + allotment.cents == cents
    assert allotment.cents >= 0
    assert rules.give_back(allotment, granted) == Allotment(cents)


def test_what_is_left_is_not_negative() -> None:
    assert rules.left_cents(1000, 300, 200) == 500
    assert rules.left_cents(1000, 900, 200) == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="process"):
        rules.next_allotment(100, 0)
    with pytest.raises(ValueError, match="negative"):
        rules.take(Allotment(1), -1)
    with pytest.raises(ValueError, match="negative"):
        rules.give_back(Allotment(1), -1)
