"""The rules on whole columns give what the scalar rules give, worker by worker."""

from collections.abc import Iterator
from functools import partial
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.dispatch.models import Candidate, SeekerClass
from openclaw_jobs.dispatch.rules import propose
from openclaw_jobs.economy import DEFAULT_CONFIG, Quality, Tier, price_bonus_seconds
from openclaw_jobs.quality import rules
from openclaw_jobs.quality.record import Achievement, Record, Verdict
from openclaw_jobs.simulate import vector
from openclaw_jobs.workers import Preferences, WorkerIdentity
from openclaw_jobs.workers.models import TIERS

SEEDS = range(5)
WORKERS = 40


def history(random: Random) -> tuple[list[Record], vector.Records]:
    """The same outcomes and lost leases, told to both forms."""
    columns = vector.Records(WORKERS)
    scalars = [Record()] * WORKERS
    badness = [random.random() for _ in range(WORKERS)]
    for _ in range(30):
        who = [random.randrange(WORKERS) for _ in range(random.randrange(60))]
        bad = [random.random() < badness[w] * 0.5 for w in who]
        columns.add_outcomes(np.array(who, np.int64), np.array(bad, np.bool_))
        for w, b in zip(who, bad, strict=True):
            scalars[w] = rules.after_outcome(scalars[w], bad=b)
        lost = sorted({random.randrange(WORKERS) for _ in range(2)})
        columns.expire_leases(np.array(lost, np.int64))
        for w in lost:
            scalars[w] = rules.after_expired_lease(scalars[w])
    return scalars, columns


def column_record(columns: vector.Records, worker: int) -> Record:
    return Record(
        good=int(columns.good[worker]),
        bad=int(columns.bad[worker]),
        streak=int(columns.streak[worker]),
        suspicion=float(columns.suspicion[worker]),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_records(seed: int) -> None:
    scalars, columns = history(Random(seed))  # noqa: S311 - chance that can be repeated
    assert [column_record(columns, w) for w in range(WORKERS)] == scalars
    assert columns.quality().tolist() == [rules.quality(r) for r in scalars]
    assert columns.must_suspend().tolist() == [rules.must_suspend(r) for r in scalars]
    assert any(rules.must_suspend(r) for r in scalars)


def configs() -> Iterator[Quality]:
    for change in (
        {},
        {"shadow_rate": 0},
        {"shadow_rate": 1},
        {"shadow_rate": 0.3},
        {"spot_check_rate": 0.25},
        {"enabled": False},
    ):
        yield msgspec.structs.replace(DEFAULT_CONFIG.quality, **change)


@pytest.mark.parametrize("config", list(configs()))
@pytest.mark.parametrize("hidden", [0.0, 0.04, 0.13, 0.6, 1.0])
def test_spot_check_rates(config: Quality, hidden: float) -> None:
    random = Random(1)  # noqa: S311 - chance that can be repeated
    scalars, columns = history(random)
    columns.pending[:] = [random.randrange(20) for _ in scalars]
    young = range(10)
    for w in young:
        count = random.randrange(10)
        scalars[w] = Record(good=count, streak=count)
        columns.good[w] = columns.streak[w] = count
        columns.bad[w] = columns.suspicion[w] = 0
    who = np.array([random.randrange(WORKERS) for _ in range(100)], np.int64)
    pairs = [(scalars[w], int(columns.pending[w])) for w in who.tolist()]
    assert columns.check_rate(who).tolist() == [rules.check_rate(r, p) for r, p in pairs]
    wanted = [rules.spot_check_rate(config, r, p, hidden) for r, p in pairs]
    assert columns.spot_check_rate(config, who, hidden).tolist() == wanted


@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.floats(0.8, 1), st.floats(0, 0.2), st.floats(0.8, 1)),
        max_size=50,
    )
)
def test_tiers(rows: list[tuple[int, float, float, float]]) -> None:
    tiers = DEFAULT_CONFIG.tiers
    columns = [np.array([row[n] for row in rows]) for n in range(4)]
    ranks = vector.tier_ranks(tiers, columns[0].astype(np.int64), *columns[1:])
    scalars = [
        rules.tier_for(tiers, Achievement(completed=a, completion_rate=b, credit_rate=c, quality=d))
        for a, b, c, d in rows
    ]
    assert [list(Tier)[rank] for rank in ranks.tolist()] == scalars


def test_arbitration() -> None:
    sides = [(first, second) for first in (True, False) for second in (True, False)]
    first, second = (np.array(side) for side in zip(*sides, strict=True))
    first_bad, second_bad, unclear = vector.arbitrate(first, second)
    for n, (a, b) in enumerate(sides):
        decision = rules.arbitrate(first_agrees=a, second_agrees=b)
        assert bool(first_bad[n]) == (decision.first is Verdict.BAD)
        assert bool(second_bad[n]) == (decision.second is Verdict.BAD)
        assert bool(unclear[n]) == (decision.first is Verdict.INCONCLUSIVE)


@given(st.lists(st.integers(1, 100_000), max_size=50))
def test_price_bonuses(prices: list[int]) -> None:
    dispatch = DEFAULT_CONFIG.dispatch
    column = vector.price_bonus_seconds(dispatch, np.array(prices, np.int64))
    assert column.tolist() == [price_bonus_seconds(dispatch, price) for price in prices]


class Poll:
    """A parked poll, as `propose` wants one."""

    gone = False
    want = 1

    def __init__(self, number: int, arrival: int, rank: int) -> None:
        self.arrival = arrival
        self.worker = WorkerIdentity(
            worker_id=f"wrk_{number}",
            tier=TIERS[rank],
            standing="active",
            suspended_until=None,
            preferences=Preferences(),
            schedule=None,
        )


def of_tier(polls: list[Poll], tier: str) -> Iterator[Poll]:
    return (poll for poll in polls if poll.worker.tier == tier)


@given(
    st.lists(st.integers(0, 3), max_size=25),
    st.integers(0, 30),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
def test_who_gets_the_next_tasks(ranks: list[int], tasks: int, fair: int, random: Random) -> None:
    arrivals = random.sample(range(100), len(ranks))
    polls = [Poll(n, arrivals[n], rank) for n, rank in enumerate(ranks)]
    waiting = sorted(polls, key=lambda poll: poll.arrival)
    classes = [
        SeekerClass(tier=tier, preferences=Preferences(), seekers=partial(of_tier, waiting, tier))
        for tier in TIERS
    ]
    queue = [Candidate(f"task_{n}", "general", 10, 0, n, frozenset()) for n in range(tasks)]
    flags = iter([True] * fair + [False] * tasks)
    pairs = propose(queue, classes, {}, {}, lambda price, _tier: price, lambda: next(flags))
    chosen = vector.seekers_in_order(
        np.array(arrivals, np.float64), np.array(ranks, np.int64), tasks, fair
    )
    assert [f"wrk_{n}" for n in chosen.tolist()] == [s.worker.worker_id for _, s in pairs]
