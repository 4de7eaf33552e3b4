"""From a finished simulation to its figures."""

from typing import Final

import numpy as np

from openclaw_jobs.economy import Tier
from openclaw_jobs.simulate.market import Simulation
from openclaw_jobs.simulate.models import CohortResult, Result, TierResult
from openclaw_jobs.simulate.tally import spread
from openclaw_jobs.simulate.vector import Bools, Ints

_TIERS: Final = tuple(Tier)
_PER: Final = 1_000


def measure(simulation: Simulation) -> Result:
    """All figures of a simulation that is over."""
    workers, tally = simulation.workers, simulation.tally
    everybody = np.ones(len(workers.cohort), np.bool_)
    numbers = range(len(simulation.cohorts))
    stopped = {simulation.cohorts[n].name: _stopped_after(simulation, n) for n in numbers}
    return Result(
        settings=simulation.settings,
        ticks=simulation.tick,
        tasks=tally.paid_tasks + tally.hidden_tasks,
        paid_tasks=tally.paid_tasks,
        hidden_tasks=tally.hidden_tasks,
        shadows=tally.shadows,
        spot_checks=tally.spot_checks,
        benchmarks=tally.benchmarks,
        arbitrations=tally.arbitrations,
        inconclusive=tally.inconclusive,
        refused_checks=tally.refused,
        failed_tasks=tally.failed_tasks,
        paid_cents=tally.paid_cents,
        check_cents=tally.check_cents,
        cost_share=_share(tally.check_cents, tally.paid_cents),
        newcomers_cost_share=_cost_share(simulation, everybody),
        commission_cents=tally.commission_cents,
        credited_cents=tally.credited_cents,
        profit_cents=tally.profit_cents,
        checked_share=_share(tally.compared, tally.paid_tasks),
        bad_delivered_share=_share(int(workers.bad_delivered.sum()), tally.paid_tasks),
        honest_suspended_per_1000_tasks=_suspended_per_1000(simulation, workers.honest),
        wait_seconds=tally.waits.spread(simulation.settings.tick_seconds),
        cohorts=[_cohort(simulation, n, stopped[simulation.cohorts[n].name]) for n in numbers],
        tiers=[_tier(simulation, rank) for rank in range(len(_TIERS))],
        days=tally.days,
        stopped={name: after.tolist() for name, after in stopped.items() if len(after)},
    )


def _stopped_after(simulation: Simulation, number: int) -> Ints:
    """Tasks done at each suspension; of those that turn, only suspensions after the turn."""
    workers, cohort = simulation.workers, simulation.cohorts[number]
    who = (workers.cohort == number) & workers.suspended
    if cohort.bad_after is not None:
        who &= workers.turned
    after: Ints = np.sort(workers.stopped_at[who] - workers.turned_at[who])
    return after


def _suspended_per_1000(simulation: Simulation, who: Bools) -> float:
    workers = simulation.workers
    return _share(int((workers.suspended & who).sum()) * _PER, int(workers.completed[who].sum()))


def _cost_share(simulation: Simulation, who: Bools) -> float:
    """The checks of these workers' results, of newcomers alone, and their part of gold."""
    workers, tally = simulation.workers, simulation.tally
    mine = who & ~workers.founder
    own = _share(int(workers.check_cents[mine].sum()), int(workers.paid_cents[mine].sum()))
    return own + _share(tally.gold_cents, tally.paid_cents)


def _cohort(simulation: Simulation, number: int, stopped: Ints) -> CohortResult:
    workers, cohort = simulation.workers, simulation.cohorts[number]
    who = workers.cohort == number
    tasks, earned = int(workers.completed[who].sum()), int(workers.earned[who].sum())
    tiers = np.bincount(workers.rank[who], minlength=len(_TIERS)).tolist()
    return CohortResult(
        name=cohort.name,
        honest=cohort.honest,
        workers=int(who.sum()),
        newcomers=int((who & ~workers.founder).sum()),
        tasks=tasks,
        turned=int(workers.turned[who].sum()),
        suspended=int(workers.suspended[who].sum()),
        stopped_after=spread(stopped),
        suspended_per_1000_tasks=_suspended_per_1000(simulation, who),
        cost_share=_cost_share(simulation, who),
        bad_delivered=int(workers.bad_delivered[who].sum()),
        tiers={tier.value: count for tier, count in zip(_TIERS, tiers, strict=True)},
        earned_cents=earned,
        earned_per_task_cents=_share(earned, tasks),
    )


def _tier(simulation: Simulation, rank: int) -> TierResult:
    tally = simulation.tally
    tasks, earned = int(tally.tier_tasks[rank]), int(tally.tier_earned[rank])
    return TierResult(
        tier=_TIERS[rank].value,
        workers_at_end=int((simulation.workers.rank == rank).sum()),
        tasks=tasks,
        earned_cents=earned,
        earned_per_task_cents=_share(earned, tasks),
        wait_seconds=tally.waits.spread(simulation.settings.tick_seconds, rank),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
