"""The rules of quality, tiers and dispatch on whole columns of workers at once.

Every number comes from the scalar rules; `tests/simulate/test_vector.py` proves on random input
that each function here gives what the scalar one gives, worker by worker.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openclaw_jobs.economy import Dispatch, Quality, Tiers
from openclaw_jobs.quality import rules

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

_CLIMB: Final = tuple(reversed(rules.TIER_LADDER))


class Records:
    """A column for each field of `quality.record.Record`, and the checks that are under way."""

    def __init__(self, workers: int) -> None:
        self.good: Ints = np.zeros(workers, np.int64)
        self.bad: Ints = np.zeros(workers, np.int64)
        self.streak: Ints = np.zeros(workers, np.int64)
        self.suspicion: Floats = np.zeros(workers, np.float64)
        self.pending: Ints = np.zeros(workers, np.int64)

    def quality(self) -> Floats:
        """`rules.quality` of each."""
        prior = rules.PRIOR_BAD + rules.PRIOR_GOOD
        return 1 - (rules.PRIOR_BAD + self.bad) / (prior + self.good + self.bad)

    def spot_check_rate(self, config: Quality, who: Ints, hidden: float) -> Floats:
        """`rules.spot_check_rate` of these workers."""
        if not config.enabled:
            return np.zeros(len(who))
        if config.spot_check_rate is not None:
            return np.full(len(who), float(config.spot_check_rate))
        rate = self.check_rate(who)
        filled = np.maximum(rate * rules.OWN_SHARE, _fill_up(rate, hidden))
        doubted = self.suspicion[who] > rules.SUSPICION_STEP_BAD
        own = np.where(doubted, rate, filled)
        return _fill_up(own, float(config.shadow_rate))

    def check_rate(self, who: Ints) -> Floats:
        """`rules.check_rate` of these workers."""
        streak = self.streak[who]
        trusted = np.maximum(rules.RATE_FLOOR, 1 / np.maximum(streak, 1))
        rate = np.where(streak < rules.STREAK_TRUSTED, rules.RATE_AFTER_RESET, trusted)
        known = self.good[who] + self.bad[who]
        begun = known + self.pending[who]
        always = (known < rules.ALWAYS_CHECKED) & (begun < rules.ALWAYS_BEGUN)
        return np.where(always, 1.0, rate)

    def add_outcomes(self, who: Ints, bad: Bools) -> None:
        """`rules.after_outcome` for each pair, in order; a worker may stand there repeatedly."""
        order = np.argsort(who, kind="stable")
        who, bad = who[order], bad[order]
        while len(who):
            first = np.ones(len(who), np.bool_)
            first[1:] = who[1:] != who[:-1]
            self._add_distinct(who[first], bad[first])
            who, bad = who[~first], bad[~first]

    def _add_distinct(self, who: Ints, bad: Bools) -> None:
        step = np.where(bad, rules.SUSPICION_STEP_BAD, rules.SUSPICION_STEP_GOOD)
        self.good[who] += ~bad
        self.bad[who] += bad
        self.streak[who] = np.where(bad, 0, self.streak[who] + 1)
        self.suspicion[who] = np.maximum(0.0, self.suspicion[who] + step)

    def expire_leases(self, who: Ints) -> None:
        """`rules.after_expired_lease` of these workers."""
        self.streak[who] = 0

    def must_suspend(self) -> Bools:
        """`rules.must_suspend` of each."""
        return self.suspicion >= rules.SUSPICION_LIMIT


def _fill_up(wanted: Floats, there: float) -> Floats:
    """`rules.fill_up` of each."""
    if there >= 1:
        return np.zeros(len(wanted))
    share: Floats = np.maximum(0.0, (wanted - there) / (1 - there))
    return share


def tier_ranks(
    tiers: Tiers, completed: Ints, completion_rate: Floats, credit_rate: Floats, quality: Floats
) -> Ints:
    """`rules.tier_for` of each worker as a rank, 0 for bronze."""
    ranks = np.zeros(len(completed), np.int64)
    for rank, tier in enumerate(_CLIMB, start=1):
        wanted = rules.threshold(tiers, tier)
        if wanted is None:
            continue
        met = (
            (completed >= wanted.completed)
            & (completion_rate >= wanted.completion_rate)
            & (credit_rate <= wanted.credit_rate)
            & (quality >= wanted.quality)
        )
        ranks[met] = rank
    return ranks


def arbitrate(first_agrees: Bools, second_agrees: Bools) -> tuple[Bools, Bools, Bools]:
    """`rules.arbitrate` of each: first is bad, second is bad, inconclusive."""
    return (
        second_agrees & ~first_agrees,
        first_agrees & ~second_agrees,
        ~first_agrees & ~second_agrees,
    )


def price_bonus_seconds(dispatch: Dispatch, price_cents: Ints) -> Floats:
    """`economy.price_bonus_seconds` of each task."""
    worth = price_cents * float(dispatch.cents_to_seconds)
    bonus: Floats = np.minimum(worth, float(dispatch.max_price_bonus_seconds))
    return bonus


def seekers_in_order(arrival: Floats, rank: Ints, tasks: int, fair: int) -> Ints:
    """Who gets the next tasks, as `dispatch.rules.propose` picks with `fair` fair picks first.

    Args:
        arrival: When each seeker came; all different.
        rank: Each one's tier rank.
        tasks: How many tasks there are.
        fair: How many of the picks go by arrival alone.

    Returns:
        Indices of seekers, one for each task that finds one: the fair picks, then the others.
    """
    by_arrival = np.argsort(arrival, kind="stable")
    picks = min(tasks, len(arrival))
    fair = min(fair, picks)
    rest = by_arrival[fair:]
    by_tier = rest[np.argsort(-rank[rest], kind="stable")]
    return np.concatenate([by_arrival[:fair], by_tier[: picks - fair]])
