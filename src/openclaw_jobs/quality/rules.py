"""Rules of hidden quality: pure functions, shared by the server and the simulation.

The formulas are those of `docs/explanation/quality.md`: they belong together (the sampling rule and
the sequential test were tuned as one), so their numbers are constants here. Whatever an operator
may turn by itself comes as a parameter from the runtime configuration.
"""

import math
from collections.abc import Sequence
from typing import Final

from openclaw_jobs.economy import Quality, Tier, Tiers, TierThreshold
from openclaw_jobs.quality.record import (
    Achievement,
    Allotment,
    CheckState,
    Decision,
    Record,
    Requirement,
    Verdict,
)

PRIOR_BAD: Final = 1
PRIOR_GOOD: Final = 9
"""The prior Beta(1, 9): a worker that nobody knows returns one bad result in ten."""

ALWAYS_CHECKED: Final = 10
"""Until so many outcomes are known, every result is checked,"""

ALWAYS_BEGUN: Final = 15
"""unless so many are known or under way: else a fast worker, or slow checks, would make any number
of them before the tenth outcome is known."""

STREAK_TRUSTED: Final = 10
"""Good outcomes in a row from which on the rate falls with the streak."""

RATE_AFTER_RESET: Final = 0.5
"""How often a worker is checked whose streak is short."""

RATE_FLOOR: Final = 0.05
"""However long the streak, one result in twenty is checked, or turning would pay."""

OWN_SHARE: Final = 0.2
"""However many hidden tasks there are, at least this share of a trusted worker's rate falls on its
own paid results, as nothing promises that it gets its part of the hidden ones."""

BAD_IF_HONEST: Final = 0.08
BAD_IF_BAD: Final = 0.28
"""The two hypotheses of the sequential test: the share of outcomes found bad of a worker with 5%,
and of one with about 26%, bad results, as a comparator with 5% misses and 3% false alarms sees
them."""

SUSPICION_STEP_BAD: Final = math.log(BAD_IF_BAD / BAD_IF_HONEST)
SUSPICION_STEP_GOOD: Final = math.log((1 - BAD_IF_BAD) / (1 - BAD_IF_HONEST))
SUSPICION_LIMIT: Final = math.log(1000)
"""A thousand to one: the evidence that suspends (Page's cumulative sum, Biometrika 41, 1954)."""

MISS_RATE: Final = 0.05
FALSE_ALARM_RATE: Final = 0.03
"""How often a comparison takes a bad result for good, and a good one for bad."""

COPIES_RESERVED: Final = 2
"""A comparison reserves its own copy and an arbiter's, so that no verdict lacks the money."""

TIER_LADDER: Final = (Tier.PLATINUM, Tier.GOLD, Tier.SILVER)
"""The tiers that ask for something, highest first."""


# ------------------------------------------------------------------------------ a worker's record


def bad_share(record: Record) -> float:
    """The share of bad results to expect: the mean of Beta(1 + bad, 9 + good)."""
    prior = PRIOR_BAD + PRIOR_GOOD
    return (PRIOR_BAD + record.bad) / (prior + record.good + record.bad)


def quality(record: Record) -> float:
    """The quality that tiers and prices go by: 0.9 without a record, 1 at best."""
    return 1 - bad_share(record)


def check_rate(record: Record, pending: int = 0) -> float:
    """The share of a worker's results that is to be looked at, from 0.05 to 1.

    Args:
        record: What is known.
        pending: Checks of its results that are under way.
    """
    known = record.good + record.bad
    if known < ALWAYS_CHECKED and known + pending < ALWAYS_BEGUN:
        return 1.0
    if record.streak < STREAK_TRUSTED:
        return RATE_AFTER_RESET
    return max(RATE_FLOOR, 1 / record.streak)


def hidden_share(paid_cents_24h: int, check_cents_24h: int) -> float:
    """The share of all work that is hidden: what the budget's figures say of the trailing day."""
    total = paid_cents_24h + check_cents_24h
    return check_cents_24h / total if total > 0 else 0.0


def spot_check_rate(config: Quality, record: Record, pending: int, hidden: float) -> float:
    """The share of a worker's paid results without a shadow that is spot-checked.

    A copy or a gold task says as much of the worker that does it as a spot-check does, and a shadow
    is a check too. So spot-checks only fill up what these leave of `check_rate`; on top of them a
    trusted worker would be checked three times as often as meant. Against whom more speaks than
    one bad outcome, that one is checked at the full rate.

    Args:
        config: The configuration; it may force a rate, and then that is the rate.
        record: The worker's record.
        pending: Checks of its results that are under way.
        hidden: The share of all work that is hidden; see `hidden_share`.
    """
    if not config.enabled:
        return 0.0
    if config.spot_check_rate is not None:
        return float(config.spot_check_rate)
    rate, shadowed = check_rate(record, pending), float(config.shadow_rate)
    doubted = record.suspicion > SUSPICION_STEP_BAD
    own = rate if doubted else max(rate * OWN_SHARE, fill_up(rate, hidden))
    return fill_up(own, shadowed)


def fill_up(wanted: float, there: float) -> float:
    """What share of the rest makes `wanted` of the whole where `there` is given; from 0 to 1."""
    return 0.0 if there >= wanted else (wanted - there) / (1 - there)


def after_outcome(record: Record, *, bad: bool) -> Record:
    """The record with one more outcome.

    Args:
        record: As it was.
        bad: Whether an arbitration or a gold answer found the result bad; a disagreement that
            nobody has decided is no outcome.
    """
    step = SUSPICION_STEP_BAD if bad else SUSPICION_STEP_GOOD
    return Record(
        good=record.good + (not bad),
        bad=record.bad + bad,
        streak=0 if bad else record.streak + 1,
        suspicion=max(0.0, record.suspicion + step),
    )


def after_expired_lease(record: Record) -> Record:
    """The record after a lost lease: it says nothing of results, yet ends the trust in them."""
    return Record(record.good, record.bad, 0, record.suspicion)


def after_reinstatement(record: Record) -> Record:
    """The record of a worker let back in: what it did stands, and the test begins anew."""
    return Record(record.good, record.bad, 0, 0.0)


def added_up(outcomes: Sequence[bool], *, anew_from: int, before: Record) -> Record:
    """The record that outcomes make, after one of them was turned.

    Args:
        outcomes: All of them in their order, whether bad.
        anew_from: How many of them are older than the last reinstatement.
        before: The record as it was. Expired leases are not among outcomes: its streak is the
            longest there can be, but for the outcome that was turned.
    """
    record = Record()
    for number, bad in enumerate(outcomes):
        if number == anew_from:
            record = Record(record.good, record.bad, record.streak, 0.0)
        record = after_outcome(record, bad=bad)
    suspicion = 0.0 if anew_from >= len(outcomes) else record.suspicion
    streak = min(record.streak, before.streak + 1)
    return Record(record.good, record.bad, streak, suspicion)


def must_suspend(record: Record) -> bool:
    """Whether the evidence against this worker is overwhelming."""
    return record.suspicion >= SUSPICION_LIMIT


# ----------------------------------------------------------------------------------- arbitration


def arbitrate(*, first_agrees: bool, second_agrees: bool) -> Decision:
    """Two of three: what a third, blind execution says of two results that disagreed.

    The third agrees with both where the comparison is not transitive, and then nobody is bad; if it
    agrees with neither, nothing is known and nobody is blamed. The third itself gets no outcome: it
    could only ever be found good, as it is only asked where the other two disagree.

    Args:
        first_agrees: Whether the third result agrees with the first.
        second_agrees: Whether it agrees with the second.
    """
    if first_agrees and second_agrees:
        return Decision(Verdict.GOOD, Verdict.GOOD)
    if first_agrees:
        return Decision(Verdict.GOOD, Verdict.BAD)
    if second_agrees:
        return Decision(Verdict.BAD, Verdict.GOOD)
    return Decision(Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)


def confidence(record: Record, state: CheckState) -> float:
    """How sure the platform is that a result is good, as a share from 0 to 1.

    Bayes' rule on the worker's record with what checks say of this one result; that a check
    disagrees is explained by either of the two, and the other is taken for an unknown worker.
    """
    bad = bad_share(record)
    by_good, by_bad = _LIKELIHOODS[state]
    return (1 - bad) * by_good / ((1 - bad) * by_good + bad * by_bad)


_OTHER_BAD: Final = PRIOR_BAD / (PRIOR_BAD + PRIOR_GOOD)
_DISPUTED_IF_GOOD: Final = FALSE_ALARM_RATE + (1 - FALSE_ALARM_RATE) * _OTHER_BAD
_LIKELIHOODS: Final = {
    # How likely each state is of a good result, and of a bad one.
    CheckState.UNCHECKED: (1.0, 1.0),
    CheckState.AGREED: (1 - FALSE_ALARM_RATE, MISS_RATE),
    CheckState.DISPUTED: (_DISPUTED_IF_GOOD, 1 - MISS_RATE),
    CheckState.UPHELD: (1 - FALSE_ALARM_RATE, MISS_RATE),
    CheckState.REJECTED: (FALSE_ALARM_RATE, 1 - MISS_RATE),
}


# ----------------------------------------------------------------------------------------- tiers


def threshold(tiers: Tiers, tier: Tier) -> TierThreshold | None:
    """What a tier asks for; None for bronze, which asks for nothing."""
    return None if tier is Tier.BRONZE else getattr(tiers, tier.value)


def requirements(wanted: TierThreshold, has: Achievement) -> tuple[Requirement, ...]:
    """Each thing that a tier asks for with what the worker has, in the threshold's order."""
    return (
        Requirement(
            "completed", has.completed, wanted.completed, has.completed >= wanted.completed
        ),
        Requirement(
            "completion_rate",
            has.completion_rate,
            wanted.completion_rate,
            has.completion_rate >= wanted.completion_rate,
        ),
        Requirement(
            "credit_rate",
            has.credit_rate,
            wanted.credit_rate,
            has.credit_rate <= wanted.credit_rate,
        ),
        Requirement("quality", has.quality, wanted.quality, has.quality >= wanted.quality),
    )


def tier_for(tiers: Tiers, has: Achievement) -> Tier:
    """The highest tier whose thresholds are all met: it rises and falls with the worker's record.

    Evaluate it at times that have nothing to do with a check, or a change would give one away.
    """
    for tier in TIER_LADDER:
        wanted = threshold(tiers, tier)
        if wanted is not None and all(r.met for r in requirements(wanted, has)):
            return tier
    return Tier.BRONZE


# ---------------------------------------------------------------------------------------- budget


def daily_budget_cents(config: Quality, paid_cents_24h: int) -> int:
    """What checks may cost in any 24 hours: a share of what was paid in them, plus the floor."""
    if not config.enabled:
        return 0
    return int(paid_cents_24h * config.daily_budget_percent / 100) + config.budget_floor_cents


def reserve_cents(price_cents: int, *, compared: bool) -> int:
    """What a check sets aside: a copy and an arbiter for a comparison, one task for a gold one."""
    return price_cents * (COPIES_RESERVED if compared else 1)


def left_cents(budget_cents: int, spent_cents_24h: int, allotted_cents: int) -> int:
    """What of a budget nobody has spent, reserved or been allotted; never under 0."""
    return max(0, budget_cents - spent_cents_24h - allotted_cents)


def next_allotment(left: int, processes: int) -> Allotment:
    """What one process may reserve from until it asks again.

    Its equal share of what is left: so even if all of them read the same moment's figures, what
    they are given together is no more than what was left, and the budget is not overshot.
    """
    if processes < 1:
        raise ValueError("an allotment is for at least one process")
    return Allotment(max(0, left) // processes)


def take(allotment: Allotment, cents: int) -> Allotment | None:
    """The allotment after a reserve of so many cents; None if it has too little, and no check."""
    if cents < 0:
        raise ValueError("a reserve is not negative")
    return Allotment(allotment.cents - cents) if cents <= allotment.cents else None


def give_back(allotment: Allotment, cents: int) -> Allotment:
    """The allotment after a reserve, or the part of one that was not needed, came back."""
    if cents < 0:
        raise ValueError("what comes back is not negative")
    return Allotment(allotment.cents + cents)
