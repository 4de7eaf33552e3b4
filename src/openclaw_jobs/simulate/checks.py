"""Hidden checks in a simulation: copies, arbiters and gold, from the sample to the record."""

import numpy as np

from openclaw_jobs.economy import Config
from openclaw_jobs.simulate.budget import Budget
from openclaw_jobs.simulate.columns import (
    ARBITER,
    COPY,
    GOLD,
    PAID,
    Tasks,
    Workers,
    new_tasks,
    none,
)
from openclaw_jobs.simulate.models import Settings
from openclaw_jobs.simulate.tally import Tally
from openclaw_jobs.simulate.vector import Bools, Floats, Ints, arbitrate


class Checks:
    """All checks under way.

    A comparison is simulated by what arbitration will come to: each of two results is blamed or
    not by chance (`miss`, `false_alarm`), and they agree if neither is. Two of one ring that are
    both bad agree. A shadow is queued when the original's result is there instead of when it was
    posted: it costs the same, and its verdict comes a little later.
    """

    def __init__(
        self,
        config: Config,
        settings: Settings,
        rng: np.random.Generator,
        workers: Workers,
        tally: Tally,
        budget: Budget,
    ) -> None:
        self._config = config
        self._settings = settings
        self._rng = rng
        self._workers = workers
        self._tally = tally
        self._budget = budget
        self._waiting: Tasks = none()
        self._who: list[Ints] = []
        self._bad: list[Bools] = []
        self._gold_left = 0.0

    def after_paid(self, tick: int, who: Ints, tasks: Tasks, bad: Bools, cut: Ints) -> None:
        """Choose which paid results are looked at, and let buyers notice bad ones themselves."""
        quality, rng = self._config.quality, self._rng
        noticed = bad & (rng.random(len(who)) < self._settings.complain)
        self._credit(who[noticed], tasks["price"][noticed], cut[noticed])
        shadow = rng.random(len(who)) < (float(quality.shadow_rate) if quality.enabled else 0.0)
        rate = self._workers.records.spot_check_rate(quality, who, self._budget.hidden_share)
        spot = rng.random(len(who)) < rate
        chosen = np.flatnonzero(shadow | spot)
        fits = self._budget.reserve(tasks["price"][chosen], compared=True)
        self._tally.refused += int((~fits).sum())
        chosen = chosen[fits]
        self._tally.shadows += int(shadow[chosen].sum())
        self._tally.spot_checks += int((~shadow[chosen]).sum())
        copies = new_tasks(COPY, tasks["price"][chosen], self._later(tick, len(chosen)))
        copies["first"] = who[chosen]
        copies["first_bad"] = bad[chosen]
        copies["first_cut"] = cut[chosen]
        copies["credited"] = noticed[chosen]
        np.add.at(self._workers.records.pending, who[chosen], 1)
        self._charge(copies["price"], who[chosen])
        self._waiting = np.concatenate([self._waiting, copies])

    def after_hidden(self, tick: int, who: Ints, tasks: Tasks, bad: Bools, cut: Ints) -> None:
        """Take in what copies, arbiters and gold have shown."""
        for kind, handle in ((GOLD, self._gold), (COPY, self._copies), (ARBITER, self._arbiters)):
            mine = tasks["kind"] == kind
            handle(tick, who[mine], tasks[mine], bad[mine], cut[mine])

    def settle_outcomes(self) -> None:
        """Bring this tick's outcomes to the records."""
        if self._who:
            self._workers.records.add_outcomes(np.concatenate(self._who), np.concatenate(self._bad))
        self._who, self._bad = [], []

    def due(self, tick: int) -> Tasks:
        """The copies and arbiters whose delay is over."""
        ready = self._waiting["created"] <= tick
        tasks, self._waiting = self._waiting[ready], self._waiting[~ready]
        return tasks

    def gold_that_fits(self, prices: Ints) -> Bools:
        """Which of these gold tasks there is an unused exposure of, and money for."""
        if not self._config.quality.enabled:
            return np.zeros(len(prices), np.bool_)
        stocked = np.arange(len(prices)) < int(self._gold_left)
        fits = np.zeros(len(prices), np.bool_)
        fits[stocked] = self._budget.reserve(prices[stocked], compared=False)
        self._tally.refused += int((stocked & ~fits).sum())
        self._tally.benchmarks += int(fits.sum())
        self._gold_left -= float(fits.sum())
        self._tally.gold_cents += int(prices[fits].sum())
        self._tally.check_cents += int(prices[fits].sum())
        return fits

    def may_have(self, who: Ints, tasks: Tasks) -> Bools:
        """Whether each worker may do this task: never a check of its own or its owner's work."""
        workers = self._workers
        groups = workers.owner if self._config.quality.separate_by_address else None
        allowed = np.ones(len(who), np.bool_)
        for side in ("first", "second"):
            other = tasks[side]
            same = other == who
            if groups is not None:
                same |= (other >= 0) & (groups[other] == groups[who])
            allowed &= ~same
        return allowed

    def give_up(self, tasks: Tasks) -> None:
        """Checks that nobody could finish: inconclusive, and the reserve returns."""
        hidden = tasks[tasks["kind"] != PAID]
        self._tally.inconclusive += len(hidden)
        self._close(hidden["first"][hidden["first"] >= 0])
        self._budget.release(int(hidden["price"][hidden["kind"] == COPY].sum()))

    # ------------------------------------------------------------------------------- three kinds

    def _gold(self, _tick: int, who: Ints, tasks: Tasks, bad: Bools, cut: Ints) -> None:
        blamed = self._blamed(bad)
        self._outcomes(who, blamed)
        self._claw_back(who[blamed], tasks["price"][blamed], cut[blamed])

    def _copies(self, tick: int, who: Ints, tasks: Tasks, bad: Bools, cut: Ints) -> None:
        first, workers = tasks["first"], self._workers
        alike = bad & tasks["first_bad"] & (workers.ring[who] == workers.ring[first])
        first_blamed = self._blamed(tasks["first_bad"]) & ~alike
        blamed = self._blamed(bad) & ~alike
        agree = ~first_blamed & ~blamed
        self._tally.compared += len(who)
        self._outcomes(first[agree], first_blamed[agree])
        self._close(first[agree])
        self._outcomes(who[agree], blamed[agree])
        self._budget.release(int(tasks["price"][agree].sum()))
        disputed = tasks[~agree]
        disputed["kind"] = ARBITER
        disputed["attempts"] = 0
        disputed["second"] = who[~agree]
        disputed["second_bad"] = bad[~agree]
        disputed["second_cut"] = cut[~agree]
        disputed["first_blamed"] = first_blamed[~agree]
        disputed["second_blamed"] = blamed[~agree]
        disputed["created"] = self._later(tick, len(disputed))
        self._tally.arbitrations += len(disputed)
        self._budget.spend_reserve(int(disputed["price"].sum()))
        self._charge(disputed["price"], disputed["first"])
        self._waiting = np.concatenate([self._waiting, disputed])

    def _arbiters(self, _tick: int, who: Ints, tasks: Tasks, bad: Bools, _cut: Ints) -> None:
        first, second, ring = tasks["first"], tasks["second"], self._workers.ring
        with_first = bad & tasks["first_bad"] & (ring[who] == ring[first])
        with_second = bad & tasks["second_bad"] & (ring[who] == ring[second])
        first_bad, second_bad, unclear = arbitrate(
            np.where(bad, with_first, ~tasks["first_blamed"]),
            np.where(bad, with_second, ~tasks["second_blamed"]),
        )
        self._tally.inconclusive += int(unclear.sum())
        clear = ~unclear
        self._close(first)
        self._outcomes(first[clear], first_bad[clear])
        self._outcomes(second[clear], second_bad[clear])
        settings = self._settings
        self._gold_left += float(clear.sum()) * settings.gold_opt_in * settings.gold_exposures
        owed = first_bad & ~tasks["credited"]
        self._credit(first[owed], tasks["price"][owed], tasks["first_cut"][owed])
        price, cut = tasks["price"][second_bad], tasks["second_cut"][second_bad]
        self._claw_back(second[second_bad], price, cut)

    # ------------------------------------------------------------------------------------- parts

    def _blamed(self, bad: Bools) -> Bools:
        chance = np.where(bad, 1 - self._settings.miss, self._settings.false_alarm)
        return self._rng.random(len(bad)) < chance

    def _later(self, tick: int, count: int) -> Floats:
        """When hidden tasks are queued: after a random delay, as their kind must not show."""
        longest = float(self._config.quality.check_delay_seconds) / self._settings.tick_seconds
        return tick + self._rng.random(count) * longest

    def _outcomes(self, who: Ints, bad: Bools) -> None:
        self._who.append(who)
        self._bad.append(bad)

    def _close(self, first: Ints) -> None:
        np.subtract.at(self._workers.records.pending, first, 1)

    def _charge(self, prices: Ints, about: Ints) -> None:
        self._tally.check_cents += int(prices.sum())
        np.add.at(self._workers.check_cents, about, prices)

    def _credit(self, who: Ints, price: Ints, cut: Ints) -> None:
        """Give a buyer its money back, out of the worker's earning and the commission."""
        self._take_back(who, price, cut)
        self._tally.credited_cents += int(price.sum())

    def _claw_back(self, who: Ints, price: Ints, cut: Ints) -> None:
        """The same for a hidden task, whose buyer is the platform."""
        self._take_back(who, price, cut)
        self._tally.clawed_back_cents += int(price.sum())

    def _take_back(self, who: Ints, price: Ints, cut: Ints) -> None:
        np.add.at(self._workers.credited, who, 1)
        np.subtract.at(self._workers.earned, who, price - cut)
        self._tally.commission_cents -= int(cut.sum())
