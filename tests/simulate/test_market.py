"""Small marketplaces: the same every time, and what must be true of any."""

import msgspec
import numpy as np
import pytest

from openclaw_jobs.economy import DEFAULT_CONFIG, Config
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.simulate.columns import NOTHING
from openclaw_jobs.simulate.market import Simulation
from openclaw_jobs.simulate.measure import measure
from openclaw_jobs.simulate.models import BAD_60, POPULATION, Cohort, Settings
from openclaw_jobs.simulate.run import propose, simulate

SMALL = Settings(workers=400, tasks=80, seed=7)
HONEST = Cohort(name="honest", share=0.8, bad=0.02, honest=True)


def with_quality(**changes: object) -> Config:
    quality = msgspec.structs.replace(DEFAULT_CONFIG.quality, **changes)
    return msgspec.structs.replace(DEFAULT_CONFIG, quality=quality)


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again = (simulate(DEFAULT_CONFIG, POPULATION, SMALL) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(again)
    other = simulate(DEFAULT_CONFIG, POPULATION, msgspec.structs.replace(SMALL, seed=8))
    assert msgspec.json.encode(other) != msgspec.json.encode(first)


def test_bad_workers_are_stopped_and_honest_ones_are_not() -> None:
    """So small a market cannot pay for all its newcomers at once, so the budget is let go."""
    result = simulate(DEFAULT_CONFIG, POPULATION, msgspec.structs.replace(SMALL, budget=False))
    bad = next(c for c in result.cohorts if c.name == BAD_60)
    assert bad.suspended == bad.workers > 0
    assert result.honest_suspended_per_1000_tasks < 0.01
    assert sum(c.workers for c in result.cohorts) == SMALL.workers
    assert sum(c.tasks for c in result.cohorts) == result.tasks
    assert sum(t.tasks for t in result.tiers) == result.tasks


def test_no_checks_find_nobody_and_cost_nothing() -> None:
    result = simulate(with_quality(enabled=False, benchmark_rate=0), POPULATION, SMALL)
    assert result.hidden_tasks == result.check_cents == 0
    assert all(c.suspended == 0 for c in result.cohorts)
    assert result.profit_cents == result.commission_cents


def test_the_budget_binds() -> None:
    tight = with_quality(daily_budget_percent=2, budget_floor_cents=0)
    bound = simulate(tight, POPULATION, SMALL)
    free = simulate(tight, POPULATION, msgspec.structs.replace(SMALL, budget=False))
    assert bound.refused_checks > 0 == free.refused_checks
    assert bound.cost_share <= 0.02 < free.cost_share


@pytest.fixture
def over() -> Simulation:
    simulation = Simulation(DEFAULT_CONFIG, POPULATION, SMALL)
    while simulation.step():
        assert simulation.budget.reserved >= 0
        assert (simulation.workers.records.pending >= 0).all()
    return simulation


def test_the_money_adds_up(over: Simulation) -> None:
    """What buyers and the platform paid is with the workers, the platform, or paid back."""
    tally = over.tally
    settled = tally.paid_cents + int(over.workers.settled_hidden.sum())
    back = tally.credited_cents + tally.clawed_back_cents
    assert settled == int(over.workers.earned.sum()) + tally.commission_cents + back
    result = measure(over)
    assert result.profit_cents == (
        tally.commission_cents - tally.check_cents + tally.clawed_back_cents
    )


def test_nobody_works_after_a_suspension(over: Simulation) -> None:
    workers = over.workers
    assert (workers.held["kind"][workers.suspended] == NOTHING).all()
    assert (workers.stopped_at[workers.suspended] == workers.completed[workers.suspended]).all()
    assert not (workers.present & workers.suspended).any()


def test_sybils_never_check_each_other_while_addresses_are_kept_apart() -> None:
    """One ring that is half the market: without the guard it certifies its own bad work."""
    ring = Cohort(name="ring", share=0.5, bad=0.4, ring=200, one_owner=True)
    honest = msgspec.structs.replace(HONEST, share=0.5)
    settings = msgspec.structs.replace(SMALL, tasks=150, load=0.5, budget=False)
    guarded, open_ = (
        simulate(with_quality(separate_by_address=guard), (honest, ring), settings)
        for guard in (True, False)
    )
    with_guard, without = (result.cohorts[1].stopped_after.median for result in (guarded, open_))
    assert with_guard is not None
    assert without is not None
    assert with_guard * 1.2 < without
    assert guarded.bad_delivered_share < open_.bad_delivered_share


def test_a_turncoat_is_counted_from_its_turn() -> None:
    turncoat = Cohort(name="turncoat", share=0.2, bad=0, bad_after=1, turns_at_tasks=30)
    result = simulate(DEFAULT_CONFIG, (HONEST, turncoat), SMALL)
    found = next(c for c in result.cohorts if c.name == "turncoat")
    assert found.turned == found.workers
    assert found.stopped_after.median is not None
    assert 5 <= found.stopped_after.median <= 50


def test_who_vanishes_is_struck_and_never_reaches_a_tier() -> None:
    vanishing = Cohort(name="vanishing", share=0.2, bad=0, vanish=0.5, honest=True)
    settings = msgspec.structs.replace(SMALL, founders=0)
    simulation = Simulation(DEFAULT_CONFIG, (HONEST, vanishing), settings)
    while simulation.step():
        pass
    workers = simulation.workers
    mine = workers.cohort == 1
    assert (workers.expired[mine] > 0).all()
    assert (workers.rank[mine] == 0).all()
    assert np.median(workers.completed[mine]) < np.median(workers.completed[~mine])
    assert not workers.suspended[mine].any()


def test_a_proposal_changes_what_it_names() -> None:
    config, changes = propose(DEFAULT_CONFIG, {"quality": {"shadow_rate": 0.1}})
    assert config.quality.shadow_rate == 0.1
    assert config.quality.benchmark_rate == DEFAULT_CONFIG.quality.benchmark_rate
    assert [(c.key, c.field, c.old, c.new) for c in changes] == [
        ("quality", "shadow_rate", 0.02, 0.1)
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "Expected an object"),
        ({}, "Expected an object"),
        ({"qualty": {}}, "no section"),
        ({"quality": {"shadow_rate": 2}}, "shadow_rate"),
        ({"quality": {"shadow": 0.1}}, "shadow"),
        ({"tiers": 3}, "tiers"),
    ],
)
def test_a_bad_proposal_is_refused(value: object, said: str) -> None:
    with pytest.raises(Problem, match=said):
        propose(DEFAULT_CONFIG, value)
