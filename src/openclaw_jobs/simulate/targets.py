"""What hidden quality must reach, and whether a simulation reached it."""

from collections.abc import Iterator
from typing import Final

import msgspec

from openclaw_jobs.simulate.models import (
    BAD_30,
    BAD_60,
    HONEST_2,
    HONEST_5,
    TURNCOAT,
    CohortResult,
    Result,
)

MEDIAN_30: Final = 60
P95_30: Final = 180
MEDIAN_60: Final = 15
MEDIAN_TURNCOAT: Final = 125
HONEST_SUSPENDED: Final = 0.01
COST: Final = 0.16
COST_2: Final = 0.12


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the table; `value` is None if the simulation had nothing to count.

    `as_share` says that it is shown as a percentage; otherwise it is a number of tasks.
    """

    name: str
    limit: float
    value: float | None
    as_share: bool

    @property
    def reached(self) -> bool:
        """Whether the figure is within its limit."""
        return self.value is not None and self.value <= self.limit


def figures(result: Result) -> list[Figure]:
    """The table, for a population that has the cohorts it asks for; others are left out."""
    return list(_figures(result, {c.name: c for c in result.cohorts}))


def _figures(result: Result, cohorts: dict[str, CohortResult]) -> Iterator[Figure]:
    for cohort, name, which, limit in (
        (BAD_30, "worker with 30% bad results stopped after, median", "median", MEDIAN_30),
        (BAD_30, "the same, 95th percentile", "p95", P95_30),
        (BAD_60, "worker with 60% bad results stopped after, median", "median", MEDIAN_60),
        (TURNCOAT, "turncoat stopped after turning, median", "median", MEDIAN_TURNCOAT),
    ):
        if cohort in cohorts:
            spread = cohorts[cohort].stopped_after
            value = spread.median if which == "median" else spread.p95
            yield Figure(name=name, limit=limit, value=value, as_share=False)
    honest = result.honest_suspended_per_1000_tasks
    yield _share("honest workers suspended per 1,000 tasks, all", HONEST_SUSPENDED, honest)
    if HONEST_5 in cohorts:
        of_5 = cohorts[HONEST_5].suspended_per_1000_tasks
        yield _share("the same, those with 5% bad results", HONEST_SUSPENDED, of_5)
    yield _share("cost of all checks, of paid work", COST, result.cost_share)
    yield _share("the same, newcomers' first tasks to last", COST, result.newcomers_cost_share)
    if HONEST_2 in cohorts:
        of_2 = cohorts[HONEST_2].cost_share
        yield _share("the same, newcomers with 2% bad results", COST_2, of_2)


def _share(name: str, limit: float, value: float) -> Figure:
    return Figure(name=name, limit=limit, value=value, as_share=True)
