"""The budget of checks in a simulation: production's rules over a ring of ticks."""

import numpy as np

from openclaw_jobs.economy import Quality
from openclaw_jobs.quality import rules
from openclaw_jobs.simulate.vector import Bools, Ints


class Budget:
    """What checks may still cost, in cents; one process has the whole of it.

    Args:
        config: Whose budget it is.
        ticks: How many ticks a day has.
        binds: False lets every check through, to see what the rules alone would cost.
    """

    def __init__(self, config: Quality, ticks: int, *, binds: bool) -> None:
        self._config = config
        self._binds = binds
        self._paid: Ints = np.zeros(ticks, np.int64)
        self._spent: Ints = np.zeros(ticks, np.int64)
        self._place = 0
        self.reserved = 0

    def next_tick(self) -> None:
        """Let the oldest tick go out of the trailing day."""
        self._place = (self._place + 1) % len(self._paid)
        self._paid[self._place] = self._spent[self._place] = 0

    @property
    def hidden_share(self) -> float:
        """The share of the trailing day's work that was hidden."""
        return rules.hidden_share(int(self._paid.sum()), int(self._spent.sum()))

    def add_paid(self, cents: int) -> None:
        """Count what buyers paid in this tick."""
        self._paid[self._place] += cents

    def reserve(self, prices: Ints, *, compared: bool) -> Bools:
        """Which checks of these prices fit, in order; the copy is spent, the arbiter reserved."""
        wanted = prices * rules.reserve_cents(1, compared=compared)
        if self._binds:
            budget = rules.daily_budget_cents(self._config, int(self._paid.sum()))
            left = rules.left_cents(budget, int(self._spent.sum()), self.reserved)
            fits = np.cumsum(wanted) <= rules.next_allotment(left, 1).cents
        else:
            fits = np.ones(len(prices), np.bool_)
        spent = int(prices[fits].sum())
        self._spent[self._place] += spent
        self.reserved += int(wanted[fits].sum()) - spent
        return fits

    def release(self, cents: int) -> None:
        """Give back an arbiter's reserve that is not needed."""
        self.reserved -= cents

    def spend_reserve(self, cents: int) -> None:
        """Turn an arbiter's reserve into its task."""
        self.reserved -= cents
        self._spent[self._place] += cents
