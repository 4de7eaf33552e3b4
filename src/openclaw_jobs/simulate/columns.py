"""The columns that a simulation keeps: one row for each worker, one for each task under way."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from openclaw_jobs.simulate.models import Cohort, Settings
from openclaw_jobs.simulate.vector import Bools, Floats, Ints, Records

NOTHING: Final = 0
PAID: Final = 1
COPY: Final = 2
ARBITER: Final = 3
GOLD: Final = 4

TASK: Final = np.dtype(
    [
        ("kind", np.int8),
        ("price", np.int64),
        ("created", np.float64),  # the tick from which it could be handed out
        ("attempts", np.int64),
        ("first", np.int64),  # whose result a copy or an arbiter is about; -1: nobody's
        ("second", np.int64),  # who did the copy that an arbiter is about
        ("first_bad", np.bool_),  # the truth, which no rule may look at
        ("second_bad", np.bool_),
        ("first_blamed", np.bool_),  # what two of three will say of it
        ("second_blamed", np.bool_),
        ("first_cut", np.int64),  # the commission in cents that was stamped on the original
        ("second_cut", np.int64),
        ("credited", np.bool_),  # whether the original's buyer has the money back already
    ]
)

Tasks = NDArray[Any]

_PAST_TASKS: Final = 1_000
_PAST_OUTCOMES: Final = 100
"""What a founder has done before the simulation begins."""


def new_tasks(kind: int, price: Ints, created: Floats) -> Tasks:
    """So many tasks of one kind, about nobody's result yet."""
    tasks = np.zeros(len(price), TASK)
    tasks["kind"] = kind
    tasks["price"] = price
    tasks["created"] = created
    tasks["first"] = tasks["second"] = -1
    return tasks


def none() -> Tasks:
    """No tasks."""
    return np.zeros(0, TASK)


class Workers:
    """All workers of a simulation, a column for each thing that is known of them."""

    def __init__(
        self, cohorts: tuple[Cohort, ...], settings: Settings, rng: np.random.Generator
    ) -> None:
        """Give each worker its cohort, ring and day of joining, by chance."""
        count = settings.workers
        self.cohort = rng.permutation(_cohort_of_each(cohorts, count))
        self._behave(cohorts, settings)
        self._stand_together(cohorts)
        self.joins: Floats = rng.random(count) * settings.last_join_tick
        self.records = Records(count)
        self.founder: Bools = np.zeros(count, np.bool_)
        self.before: Ints = np.zeros(count, np.int64)
        self.held: Tasks = np.zeros(count, TASK)
        self.busy_until: Ints = np.zeros(count, np.int64)
        self.idle_since: Floats = self.joins.copy()
        self.paused_until: Ints = np.zeros(count, np.int64)
        self.present: Bools = np.zeros(count, np.bool_)
        self.suspended: Bools = np.zeros(count, np.bool_)
        self.turned: Bools = np.zeros(count, np.bool_)
        self.turned_at: Ints = np.zeros(count, np.int64)
        self.stopped_at: Ints = np.zeros(count, np.int64)
        self.rank: Ints = np.zeros(count, np.int64)
        self.completed: Ints = np.zeros(count, np.int64)
        self.expired: Ints = np.zeros(count, np.int64)
        self.strikes: Ints = np.zeros(count, np.int64)
        self.credited: Ints = np.zeros(count, np.int64)
        self.earned: Ints = np.zeros(count, np.int64)
        self.paid_cents: Ints = np.zeros(count, np.int64)
        self.settled_hidden: Ints = np.zeros(count, np.int64)
        self.check_cents: Ints = np.zeros(count, np.int64)
        self.bad_delivered: Ints = np.zeros(count, np.int64)

    def _behave(self, cohorts: tuple[Cohort, ...], settings: Settings) -> None:
        never = np.iinfo(np.int64).max
        self.bad = np.array([c.bad for c in cohorts])[self.cohort]
        self.bad_after = np.array([c.bad if c.bad_after is None else c.bad_after for c in cohorts])[
            self.cohort
        ]
        self.turns_at_tasks: Ints = np.array(
            [never if c.turns_at_tasks is None else c.turns_at_tasks for c in cohorts], np.int64
        )[self.cohort]
        self.turns_at_tier: Ints = np.array(
            [never if c.turns_at_tier is None else c.turns_at_tier for c in cohorts], np.int64
        )[self.cohort]
        self.honest: Bools = np.array([c.honest for c in cohorts])[self.cohort]
        self.ticks: Ints = np.array([c.slowness * settings.steps for c in cohorts], np.int64)[
            self.cohort
        ]
        self.vanish = np.array([c.vanish for c in cohorts])[self.cohort]

    def _stand_together(self, cohorts: tuple[Cohort, ...]) -> None:
        """Number the rings; a worker that stands alone is a ring of its own."""
        count = len(self.cohort)
        self.ring: Ints = np.arange(count, dtype=np.int64)
        self.owner: Ints = np.arange(count, dtype=np.int64)
        for number, cohort in enumerate(cohorts):
            members = np.flatnonzero(self.cohort == number)
            leaders = members[np.arange(len(members)) // cohort.ring * cohort.ring]
            self.ring[members] = leaders
            if cohort.one_owner:
                self.owner[members] = leaders

    def found(self, who: Ints, rng: np.random.Generator, blamed: Floats) -> None:
        """Give these workers a past and let them be there from the start.

        Args:
            who: Which workers.
            rng: Chance.
            blamed: How many of the outcomes of each were found bad.
        """
        records = self.records
        self.founder[who] = True
        self.before[who] = _PAST_TASKS
        self.joins[who] = 0
        self.idle_since[who] = -rng.random(len(who))
        records.bad[who] = rng.binomial(_PAST_OUTCOMES, blamed)
        records.good[who] = _PAST_OUTCOMES - records.bad[who]
        since_bad = rng.geometric(np.maximum(blamed, 1 / _PAST_OUTCOMES)) - 1
        records.streak[who] = np.minimum(since_bad, records.good[who])

    def completion_rate(self) -> Floats:
        """Completed claims as a share of those that ended by the worker's doing; 1 with none."""
        done = self.before + self.completed
        ended = done + self.expired
        return np.where(ended == 0, 1.0, done / np.maximum(ended, 1))

    def credit_rate(self) -> Floats:
        """Share of completed tasks whose buyer got its money back; 0 with none."""
        rate: Floats = self.credited / np.maximum(self.before + self.completed, 1)
        return rate


def _cohort_of_each(cohorts: tuple[Cohort, ...], count: int) -> Ints:
    """As many of each cohort as its share says; what rounding leaves over is the largest's."""
    shares = np.array([c.share for c in cohorts])
    sizes = np.floor(shares / shares.sum() * count).astype(np.int64)
    sizes[int(np.argmax(shares))] += count - int(sizes.sum())
    return np.repeat(np.arange(len(cohorts), dtype=np.int64), sizes)
