"""What is simulated, and what came of it."""

from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Number = Annotated[int, Meta(ge=0)]


class Cohort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workers that behave alike.

    Attributes:
        name: What the report calls them.
        share: Their share of all workers; the shares of a population are scaled to sum to 1.
        bad: How many of their results are bad.
        bad_after: How many are bad once they have turned; None: they never turn.
        turns_at_tasks: They turn after so many tasks.
        turns_at_tier: They turn when they reach this tier (1 silver, 2 gold, 3 platinum).
        slowness: How many times longer than usual one of their tasks takes.
        vanish: How many of their leases expire.
        ring: So many of them stand together, and give the same wrong answer; 1: each for itself.
        one_owner: A ring is one person under several names, known by their network address.
        honest: Suspending one of them is a mistake.
    """

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    share: Share
    bad: Share
    bad_after: Share | None = None
    turns_at_tasks: Number | None = None
    turns_at_tier: Annotated[int, Meta(ge=1, le=3)] | None = None
    slowness: Annotated[int, Meta(ge=1, le=100)] = 1
    vanish: Share = 0.0
    ring: Annotated[int, Meta(ge=1, le=10_000)] = 1
    one_owner: bool = False
    honest: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size and the circumstances of a simulation.

    Attributes:
        workers: How many there are.
        tasks: How many each does before it leaves, if nothing stops it.
        seed: The same seed gives the same marketplace, bit for bit.
        task_seconds: What a usual worker takes for a task.
        steps: Ticks of the virtual clock in that time; more are truer and slower.
        load: Paid tasks that arrive, as a share of what the workers present could do.
        founders: The share of honest workers that are there from the first tick, with a record;
            0 is a marketplace that opens with newcomers alone.
        miss: A bad result that is taken for good, after arbitration.
        false_alarm: A good result that is taken for bad, after arbitration.
        complain: A paid bad result whose buyer notices by itself and is credited.
        gold_opt_in: Arbitrated tasks whose buyer lets them become gold.
        gold_exposures: How often a gold task is used.
        budget: Whether the configuration's budget binds.
    """

    workers: Annotated[int, Meta(ge=10, le=200_000)] = 20_000
    tasks: Annotated[int, Meta(ge=10, le=20_000)] = 1_000
    seed: Number = 1
    task_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 600
    steps: Annotated[int, Meta(ge=1, le=20)] = 2
    load: Annotated[float, Meta(gt=0, le=1)] = 0.8
    founders: Share = 0.5
    miss: Share = 0.05
    false_alarm: Share = 0.03
    complain: Share = 0.5
    gold_opt_in: Share = 0.5
    gold_exposures: Annotated[int, Meta(ge=1, le=100)] = 5
    budget: bool = True

    @property
    def tick_seconds(self) -> float:
        """One tick of the virtual clock."""
        return self.task_seconds / self.steps

    @property
    def last_join_tick(self) -> int:
        """The tick by which everybody has joined: while the first do half of their tasks."""
        return self.tasks * self.steps // 2

    def ticks(self, seconds: float) -> int:
        """So many seconds in whole ticks, at least one."""
        return max(1, round(seconds / self.tick_seconds))


HONEST_2 = "honest, 2% bad"
HONEST_5 = "honest, 5% bad"
BAD_30 = "30% bad"
BAD_60 = "60% bad"
TURNCOAT = "turncoat, 30% bad after 300"

POPULATION: tuple[Cohort, ...] = (
    Cohort(name="honest, 1% bad", share=0.20, bad=0.01, honest=True),
    Cohort(name=HONEST_2, share=0.37, bad=0.02, honest=True),
    Cohort(name=HONEST_5, share=0.20, bad=0.05, honest=True),
    Cohort(name="slow, 2% bad", share=0.04, bad=0.02, slowness=5, honest=True),
    Cohort(name="vanishing, 2% bad", share=0.02, bad=0.02, vanish=0.05, honest=True),
    Cohort(name=BAD_30, share=0.04, bad=0.3),
    Cohort(name=BAD_60, share=0.04, bad=0.6),
    Cohort(name=TURNCOAT, share=0.04, bad=0.02, bad_after=0.3, turns_at_tasks=300),
    Cohort(name="sleeper, 30% bad once gold", share=0.02, bad=0.01, bad_after=0.3, turns_at_tier=2),
    Cohort(name="sybils, 30% bad, rings of 20", share=0.015, bad=0.3, ring=20, one_owner=True),
    Cohort(name="colluders, 30% bad, rings of 20", share=0.015, bad=0.3, ring=20),
)
"""A marketplace with more dishonest workers than any should have: 17%."""


class Spread(msgspec.Struct, frozen=True):
    """A distribution in three numbers; all None if nothing was counted."""

    median: float | None
    p95: float | None
    mean: float | None


class CohortResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one cohort; money in cents.

    Attributes:
        newcomers: Those that joined as the simulation went on; the others had a record already.
        stopped_after: Tasks done when suspended, counted from the turn of those that turn.
        suspended_per_1000_tasks: Suspensions as a share of workers, scaled to 1,000 tasks each.
        cost_share: What the checks of its newcomers' results and their part of gold cost, as a
            share of the price of their paid tasks.
    """

    name: str
    honest: bool
    workers: int
    newcomers: int
    tasks: int
    turned: int
    suspended: int
    stopped_after: Spread
    suspended_per_1000_tasks: float
    cost_share: float
    bad_delivered: int
    tiers: dict[str, int]
    earned_cents: int
    earned_per_task_cents: float


class TierResult(msgspec.Struct, frozen=True, kw_only=True):
    """What workers earned, and how long their tasks had waited, while they had a tier."""

    tier: str
    workers_at_end: int
    tasks: int
    earned_cents: int
    earned_per_task_cents: float
    wait_seconds: Spread


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """How the marketplace stood at a time; sums are from the start on, in cents."""

    day: float
    present: int
    queued: int
    bad_present: int
    honest_suspended: int
    paid_cents: int
    check_cents: int
    profit_cents: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a whole simulation; money in cents, waits in seconds of the virtual clock.

    Attributes:
        honest_suspended_per_1000_tasks: Of all honest workers together.
        newcomers_cost_share: As in `CohortResult`, of all newcomers together.
        cost_share: What all checks cost, as a share of all paid work.
        checked_share: Paid results that were compared with another, as a share of all.
        stopped: For each cohort with suspensions, when each came, as in `stopped_after`; sorted.
    """

    settings: Settings
    ticks: int
    tasks: int
    paid_tasks: int
    hidden_tasks: int
    shadows: int
    spot_checks: int
    benchmarks: int
    arbitrations: int
    inconclusive: int
    refused_checks: int
    failed_tasks: int
    paid_cents: int
    check_cents: int
    cost_share: float
    newcomers_cost_share: float
    commission_cents: int
    credited_cents: int
    profit_cents: int
    checked_share: float
    bad_delivered_share: float
    honest_suspended_per_1000_tasks: float
    wait_seconds: Spread
    cohorts: list[CohortResult]
    tiers: list[TierResult]
    days: list[Day]
    stopped: dict[str, list[int]]
