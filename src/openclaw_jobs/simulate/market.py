"""One marketplace, tick by tick: work ends, checks follow, tasks arrive and are handed out.

A tick is a part of what a usual worker takes for a task. In each, workers join; finished work is
settled and checked; outcomes reach the records; who is bad beyond doubt is suspended; tasks arrive;
free workers get them. One random generator decides everything, in a fixed order.
"""

from typing import Final

import numpy as np

from openclaw_jobs.economy import Config, Tier, commission_bp, price_cents
from openclaw_jobs.economy.rules import BASIS_POINTS
from openclaw_jobs.simulate.budget import Budget
from openclaw_jobs.simulate.checks import Checks
from openclaw_jobs.simulate.columns import GOLD, NOTHING, PAID, Tasks, Workers, new_tasks, none
from openclaw_jobs.simulate.models import Cohort, Day, Settings
from openclaw_jobs.simulate.tally import Tally
from openclaw_jobs.simulate.vector import (
    Bools,
    Ints,
    price_bonus_seconds,
    seekers_in_order,
    tier_ranks,
)

_TIERS: Final = tuple(Tier)
_TIER_REVIEW_SECONDS: Final = 21_600
"""Tiers are looked at four times a day, whatever checks found in between."""
_DAY_SECONDS: Final = 86_400
_PRICES: Final = 4_096
_MEDIAN_CHARS: Final = 1_200
_CHARS_SIGMA: Final = 1.0
_END_FACTOR: Final = 1.5
"""The simulation ends when everybody has had one and a half times the ticks that its tasks take."""


class Simulation:
    """A marketplace of these cohorts under this configuration."""

    def __init__(self, config: Config, cohorts: tuple[Cohort, ...], settings: Settings) -> None:
        self.config = config
        self.cohorts = cohorts
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)
        self.workers = Workers(cohorts, settings, self.rng)
        self._found()
        self.tally = Tally(len(_TIERS))
        self.budget = Budget(config.quality, settings.ticks(_DAY_SECONDS), binds=settings.budget)
        self.checks = Checks(config, settings, self.rng, self.workers, self.tally, self.budget)
        self.queue: Tasks = none()
        self.tick = 0
        self._review_tiers()
        self.last_tick = settings.last_join_tick + round(
            settings.tasks * settings.steps * _END_FACTOR
        )
        self._rate_bp = np.array([commission_bp(config.commissions, t) for t in _TIERS], np.int64)
        self._prices = self._price_list()
        self._review = settings.ticks(_TIER_REVIEW_SECONDS)
        self._day = settings.ticks(_DAY_SECONDS)
        self._gone: Bools = np.zeros(settings.workers, np.bool_)

    def _found(self) -> None:
        """Let a share of the honest workers be there already."""
        workers, settings = self.workers, self.settings
        chosen = workers.honest & (self.rng.random(settings.workers) < settings.founders)
        who = np.flatnonzero(chosen)
        bad = workers.bad[who]
        blamed = bad * (1 - settings.miss) + (1 - bad) * settings.false_alarm
        workers.found(who, self.rng, blamed)

    def _price_list(self) -> Ints:
        """Prices that tasks of random categories and lengths have under this configuration."""
        pricing = self.config.pricing
        categories = sorted(pricing.base_cents)
        picks = self.rng.integers(len(categories), size=_PRICES)
        chars = self.rng.lognormal(np.log(_MEDIAN_CHARS), _CHARS_SIGMA, _PRICES).astype(np.int64)
        each = zip(picks.tolist(), chars.tolist(), strict=True)
        return np.array([price_cents(pricing, categories[c], n) for c, n in each], np.int64)

    def step(self) -> bool:
        """Live one tick; False once nobody is left or the time is over."""
        self.budget.next_tick()
        self.workers.present |= ~self._gone & (self.workers.joins <= self.tick)
        self._finish()
        self.checks.settle_outcomes()
        self._part()
        self._arrive()
        self._hand_out()
        if self.tick % self._review == 0:
            self._review_tiers()
        if self.tick % self._day == 0:
            self._note_day()
        self.tick += 1
        everybody_left = bool(self._gone.all())
        return not everybody_left and self.tick < self.last_tick

    # ------------------------------------------------------------------------- what workers bring

    def _finish(self) -> None:
        workers = self.workers
        done = np.flatnonzero((workers.held["kind"] != NOTHING) & (workers.busy_until <= self.tick))
        lost = self.rng.random(len(done)) < workers.vanish[done]
        self._expire(done[lost])
        who = done[~lost]
        tasks = workers.held[who]
        workers.held["kind"][who] = NOTHING
        workers.idle_since[done] = self.tick + self.rng.random(len(done))
        workers.completed[who] += 1
        workers.strikes[who] = 0
        self._turn(who)
        rate = np.where(workers.turned[who], workers.bad_after[who], workers.bad[who])
        bad = self.rng.random(len(who)) < rate
        cut = tasks["price"] * self._rate_bp[workers.rank[who]] // BASIS_POINTS
        self._settle(who, tasks, cut)
        paid = tasks["kind"] == PAID
        workers.bad_delivered[who[paid]] += bad[paid]
        self.checks.after_paid(self.tick, who[paid], tasks[paid], bad[paid], cut[paid])
        self.checks.after_hidden(self.tick, who[~paid], tasks[~paid], bad[~paid], cut[~paid])

    def _settle(self, who: Ints, tasks: Tasks, cut: Ints) -> None:
        """Pay for every result alike; who paid for it makes no difference to the worker."""
        workers, tally = self.workers, self.tally
        paid = tasks["kind"] == PAID
        workers.earned[who] += tasks["price"] - cut
        workers.paid_cents[who[paid]] += tasks["price"][paid]
        workers.settled_hidden[who[~paid]] += tasks["price"][~paid]
        cents = int(tasks["price"][paid].sum())
        tally.paid_cents += cents
        tally.paid_tasks += int(paid.sum())
        tally.hidden_tasks += int((~paid).sum())
        tally.commission_cents += int(cut.sum())
        np.add.at(tally.tier_tasks, workers.rank[who], 1)
        np.add.at(tally.tier_earned, workers.rank[who], tasks["price"] - cut)
        self.budget.add_paid(cents)

    def _turn(self, who: Ints) -> None:
        workers = self.workers
        due = (workers.completed[who] > workers.turns_at_tasks[who]) | (
            workers.rank[who] >= workers.turns_at_tier[who]
        )
        turning = who[due & ~workers.turned[who]]
        workers.turned[turning] = True
        workers.turned_at[turning] = workers.completed[turning] - 1

    def _expire(self, who: Ints) -> None:
        """Leases run out: a strike unless it is the task's fault, and the task is queued again."""
        workers, rules = self.workers, self.config.dispatch
        tasks = workers.held[who]
        workers.held["kind"][who] = NOTHING
        workers.records.expire_leases(who)
        workers.expired[who] += 1
        own_fault = tasks["attempts"] < rules.task_fault_after
        workers.strikes[who[own_fault]] += 1
        struck = who[workers.strikes[who] >= rules.strikes]
        workers.paused_until[struck] = self.tick + self.settings.ticks(rules.suspension_seconds)
        workers.strikes[struck] = 0
        tasks["attempts"] += 1
        over = tasks["attempts"] >= rules.max_attempts
        self.tally.failed_tasks += int(over[tasks["kind"] == PAID].sum())
        self.checks.give_up(tasks[over])
        self.queue = np.concatenate([self.queue, tasks[~over]])

    def _part(self) -> None:
        """Suspend the bad, and let go who has done all it came for."""
        workers = self.workers
        caught = workers.present & workers.records.must_suspend()
        finished = workers.present & (workers.completed >= self.settings.tasks) & ~caught
        workers.suspended |= caught
        workers.stopped_at[caught] = workers.completed[caught]
        leaving = caught | finished
        self._gone |= leaving
        workers.present &= ~leaving
        holding = np.flatnonzero(leaving & (workers.held["kind"] != NOTHING))
        self.queue = np.concatenate([self.queue, workers.held[holding]])
        workers.held["kind"][holding] = NOTHING

    # ---------------------------------------------------------------------- what workers are given

    def _arrive(self) -> None:
        """Buyers post; the background slips in gold; copies that are due join the queue."""
        workers = self.workers
        capacity = float((workers.present / workers.ticks).sum())
        arriving = int(self.rng.poisson(capacity * self.settings.load))
        prices = self._prices[self.rng.integers(_PRICES, size=arriving)]
        tasks = new_tasks(PAID, prices, self.tick - self.rng.random(arriving))
        wanted = int(self.rng.poisson(arriving * float(self.config.quality.benchmark_rate)))
        gold_prices = self._prices[self.rng.integers(_PRICES, size=wanted)]
        gold = new_tasks(GOLD, gold_prices, self.tick - self.rng.random(wanted))
        fits = self.checks.gold_that_fits(gold_prices)
        self.queue = np.concatenate([self.queue, tasks, gold[fits], self.checks.due(self.tick)])

    def _hand_out(self) -> None:
        workers, dispatch = self.workers, self.config.dispatch
        free = np.flatnonzero(
            workers.present
            & (workers.held["kind"] == NOTHING)
            & (workers.paused_until <= self.tick)
        )
        count = min(len(free), len(self.queue))
        fair = self.rng.random(count) < dispatch.fairness_percent / 100
        order = seekers_in_order(
            workers.idle_since[free], workers.rank[free], count, int(fair.sum())
        )
        # The picks come fair ones first; which task meets a fair pick is chance.
        place = np.argsort(~fair, kind="stable")
        who = np.empty(count, np.int64)
        who[place] = free[order]
        tick_seconds = self.settings.tick_seconds
        age = self.queue["created"] * tick_seconds
        rank = np.argsort(age - price_bonus_seconds(dispatch, self.queue["price"]), kind="stable")
        tasks = self.queue[rank[:count]]
        allowed = self.checks.may_have(who, tasks)
        self.queue = np.concatenate([tasks[~allowed], self.queue[rank[count:]]])
        who, tasks = who[allowed], tasks[allowed]
        self.tally.waits.add(self.tick - tasks["created"], workers.rank[who])
        workers.held[who] = tasks
        workers.busy_until[who] = self.tick + workers.ticks[who]

    def _review_tiers(self) -> None:
        workers = self.workers
        workers.rank = tier_ranks(
            self.config.tiers,
            workers.before + workers.completed,
            workers.completion_rate(),
            workers.credit_rate(),
            workers.records.quality(),
        )

    def _note_day(self) -> None:
        workers, tally = self.workers, self.tally
        honest = workers.honest
        tally.days.append(
            Day(
                day=self.tick * self.settings.tick_seconds / _DAY_SECONDS,
                present=int(workers.present.sum()),
                queued=len(self.queue),
                bad_present=int((workers.present & ~honest).sum()),
                honest_suspended=int((workers.suspended & honest).sum()),
                paid_cents=tally.paid_cents,
                check_cents=tally.check_cents,
                profit_cents=tally.profit_cents,
            )
        )
