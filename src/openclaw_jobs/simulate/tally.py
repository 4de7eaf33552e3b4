"""What a simulation counts as it goes."""

from typing import Final

import numpy as np

from openclaw_jobs.simulate.models import Day, Spread
from openclaw_jobs.simulate.vector import Floats, Ints

_BINS_PER_TICK: Final = 20
_LONGEST_TICKS: Final = 2_000


class Waits:
    """A histogram of how long tasks waited, by the tier of who took them."""

    def __init__(self, tiers: int) -> None:
        self._counts = np.zeros((tiers, _LONGEST_TICKS * _BINS_PER_TICK), np.int64)

    def add(self, ticks: Floats, rank: Ints) -> None:
        """Count waits, in ticks."""
        bins = self._counts.shape[1]
        place = np.minimum(np.maximum(ticks, 0) * _BINS_PER_TICK, bins - 1).astype(np.int64)
        counted = np.bincount(rank * bins + place, minlength=self._counts.size)
        self._counts += counted.reshape(self._counts.shape)

    def spread(self, tick_seconds: float, rank: int | None = None) -> Spread:
        """The waits in seconds: of one tier, or of all."""
        counts = self._counts.sum(axis=0) if rank is None else self._counts[rank]
        total = int(counts.sum())
        if total == 0:
            return Spread(None, None, None)
        seconds = (np.arange(len(counts)) + 0.5) / _BINS_PER_TICK * tick_seconds
        reached = np.cumsum(counts)
        median, p95 = (float(seconds[np.searchsorted(reached, total * q)]) for q in (0.5, 0.95))
        return Spread(median, p95, float((counts * seconds).sum() / total))


class Tally:
    """The sums of a simulation, in tasks and cents, and one row for each day of it."""

    def __init__(self, tiers: int) -> None:
        self.waits = Waits(tiers)
        self.paid_tasks = 0
        self.hidden_tasks = 0
        self.shadows = 0
        self.spot_checks = 0
        self.benchmarks = 0
        self.arbitrations = 0
        self.inconclusive = 0
        self.refused = 0
        self.compared = 0
        self.failed_tasks = 0
        self.paid_cents = 0
        self.check_cents = 0
        self.gold_cents = 0
        self.clawed_back_cents = 0
        self.commission_cents = 0
        self.credited_cents = 0
        self.tier_tasks: Ints = np.zeros(tiers, np.int64)
        self.tier_earned: Ints = np.zeros(tiers, np.int64)
        self.days: list[Day] = []

    @property
    def profit_cents(self) -> int:
        """What the platform keeps: commission less what checks cost it.

        A hidden task's commission comes back to the platform, and stands in `commission_cents`.
        """
        return self.commission_cents - self.check_cents + self.clawed_back_cents


def spread(values: Ints) -> Spread:
    """Median, 95th percentile and mean of a column."""
    if len(values) == 0:
        return Spread(None, None, None)
    return Spread(
        float(np.median(values)), float(np.percentile(values, 95)), float(np.mean(values))
    )
