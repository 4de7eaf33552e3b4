"""Who gets which task, as pure rules."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_jobs.dispatch import rules
from openclaw_jobs.dispatch.models import Candidate, Facts, Seeker
from openclaw_jobs.economy.seed import ABUSE
from openclaw_jobs.workers import TIERS, Tier, WorkerIdentity
from openclaw_jobs.workers.rules import tier_rank
from tests.dispatch.seekers import (
    Someone,
    classes_of,
    earning,
    facts,
    identity,
    names,
    pairs_of,
    someone,
    task,
)


def test_a_better_tier_goes_first_and_then_who_waits_longest() -> None:
    waiting = [
        someone("b1", "bronze", arrival=1),
        someone("g1", "gold", arrival=2),
        someone("g2", "gold", arrival=3),
        someone("p1", "platinum", arrival=4),
    ]
    tasks = [task(f"t{n}") for n in range(5)]
    assert names(pairs_of(tasks, waiting)) == [
        ("t0", "p1"),
        ("t1", "g1"),
        ("t2", "g2"),
        ("t3", "b1"),
    ]


def test_a_fair_pick_knows_no_tiers() -> None:
    waiting = [
        someone("b1", "bronze", arrival=1),
        someone("p1", "platinum", arrival=2),
        someone("s1", "silver", arrival=3),
    ]
    tasks = [task(f"t{n}") for n in range(3)]
    found = names(pairs_of(tasks, waiting, fair=True))
    assert found == [("t0", "b1"), ("t1", "p1"), ("t2", "s1")]


def test_only_a_good_enough_tier_gets_a_task() -> None:
    waiting = [someone("b", "bronze", arrival=1), someone("s", "silver", arrival=2)]
    tasks = [task("t0", min_tier="gold"), task("t1", min_tier="silver"), task("t2")]
    assert names(pairs_of(tasks, waiting)) == [("t1", "s"), ("t2", "b")]


def test_who_tried_a_task_never_gets_it_again() -> None:
    waiting = [someone("a", arrival=1), someone("b", arrival=2)]
    assert names(pairs_of([task("t", tried_by=["a"])], waiting)) == [("t", "b")]
    assert pairs_of([task("t", tried_by=["a", "b"])], waiting) == []


def test_a_poll_gets_no_more_than_it_wants_and_two_polls_of_one_worker_share_its_room() -> None:
    waiting = [someone("a", want=2, arrival=1), someone("a", want=3, arrival=2)]
    tasks = [task(f"t{n}") for n in range(9)]
    pairs = pairs_of(tasks, waiting, room={"a": 4})
    assert Counter(seeker.arrival for _, seeker in pairs) == {1: 2, 2: 2}


def test_preferences_bind() -> None:
    picky = Someone(identity("p", categories=["data"], min_earning_cents=70), 5, 1)
    tasks = [
        task("cheap", category="data", price_cents=99),
        task("other", category="general", price_cents=1_000),
        task("good", category="data", price_cents=100),
    ]
    assert names(pairs_of(tasks, [picky])) == [("good", "p")]


def test_what_the_database_says_of_a_worker_beats_what_its_poll_brought() -> None:
    # It has changed its mind, and was promoted, while it was parked.
    parked = someone("w", "bronze", arrival=1)
    now = identity("w", "gold", categories=["data"])
    tasks = [task("t0"), task("t1", category="data")]
    assert names(pairs_of(tasks, [parked], known=[facts(now)])) == [("t1", "w")]
    # Demoted, a platinum poll gets nothing that only platinum may have.
    parked = someone("w", "platinum", arrival=1)
    tasks = [task("t0", min_tier="platinum"), task("t1")]
    assert names(pairs_of(tasks, [parked], known=[facts(identity("w"))])) == [("t1", "w")]


def test_capacity_is_the_least_of_all_limits() -> None:
    worker = identity("w", max_concurrent=5)
    assert rules.capacity(facts(worker), NOW, ABUSE) == 5
    assert rules.capacity(facts(worker, held=3), NOW, ABUSE) == 2
    assert rules.capacity(facts(worker, held=9), NOW, ABUSE) == 0
    assert rules.capacity(facts(worker, daily_limit=4), NOW, ABUSE) == 4
    assert rules.capacity(facts(worker, daily_limit=4, completed_today=3), NOW, ABUSE) == 1
    # What it holds may all be completed today.
    assert rules.capacity(facts(worker, daily_limit=4, completed_today=2, held=2), NOW, ABUSE) == 0
    assert rules.capacity(facts(worker, daily_limit=0), NOW, ABUSE) == 0
    assert rules.capacity(facts(worker, standing="suspended"), NOW, ABUSE) == 0
    assert rules.capacity(facts(worker, standing="banned"), NOW, ABUSE) == 0


NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
WORKERS = [f"w{n}" for n in range(6)]
tiers = st.sampled_from(TIERS)
categories = st.sampled_from(["general", "coding", "data"])


@st.composite
def markets(
    draw: st.DrawFn,
) -> tuple[list[Candidate], list[Someone], list[Facts], dict[str, int]]:
    """Tasks in order, polls (several of one worker among them), and what is known of workers."""
    tasks = [
        task(
            f"t{n:03}",
            category=draw(categories),
            price_cents=draw(st.integers(1, 100)),
            min_tier=draw(tiers),
            tried_by=draw(st.lists(st.sampled_from(WORKERS), max_size=3)),
        )
        for n in range(draw(st.integers(0, 15)))
    ]
    people = {w: draw(identities(w)) for w in WORKERS}
    polls = [
        Someone(people[worker_id], draw(st.integers(1, 4)), arrival, draw(st.booleans()))
        for arrival, worker_id in enumerate(draw(st.lists(st.sampled_from(WORKERS), max_size=10)))
    ]
    known = [facts(draw(identities(w))) for w in draw(st.sets(st.sampled_from(WORKERS)))]
    room = {fact.worker_id: draw(st.integers(0, 5)) for fact in known}
    return tasks, polls, known, room


@st.composite
def identities(draw: st.DrawFn, worker_id: str) -> WorkerIdentity:
    wants = draw(st.none() | st.lists(categories, min_size=1, max_size=2, unique=True))
    return identity(
        worker_id,
        draw(tiers),
        categories=wants,
        min_earning_cents=draw(st.sampled_from([0, 20, 60])),
    )


def allowed(candidate: Candidate, seeker: Someone, known: dict[str, Facts]) -> bool:
    worker = seeker.worker
    fact = known.get(worker.worker_id)
    tier: Tier = worker.tier if fact is None else fact.tier
    wants = worker.preferences if fact is None else fact.preferences
    # The poll stands in the class that it came with, which has to suit as well.
    return all(
        rules.may_have(candidate, worker.worker_id, t, p, earning)
        for t, p in ((worker.tier, worker.preferences), (tier, wants))
    )


@settings(max_examples=120, deadline=None)
@given(markets(), st.lists(st.booleans(), min_size=15, max_size=15))
def test_whatever_the_market_a_proposal_keeps_every_limit(
    market: tuple[list[Candidate], list[Someone], list[Facts], dict[str, int]],
    coins: Sequence[bool],
) -> None:
    tasks, polls, known, room = market
    by_worker = {fact.worker_id: fact for fact in known}
    toss = iter(coins)
    pairs = rules.propose(tasks, classes_of(polls), by_worker, room, earning, lambda: next(toss))
    assert len({candidate.task_id for candidate, _ in pairs}) == len(pairs)
    by_arrival = {poll.arrival: poll for poll in polls}
    for candidate, seeker in pairs:
        assert not seeker.gone
        assert allowed(candidate, by_arrival[seeker.arrival], by_worker)
    taken = Counter(seeker.arrival for _, seeker in pairs)
    assert all(count <= by_arrival[arrival].want for arrival, count in taken.items())
    for worker_id, count in Counter(s.worker.worker_id for _, s in pairs).items():
        most = max(p.want for p in polls if p.worker.worker_id == worker_id)
        assert count <= room.get(worker_id, most)
    _check_choices(tasks, polls, by_worker, room, coins, pairs)


def _check_choices(
    tasks: list[Candidate],
    polls: list[Someone],
    known: dict[str, Facts],
    room: dict[str, int],
    coins: Sequence[bool],
    pairs: list[tuple[Candidate, Seeker]],
) -> None:
    """Each task, best first, went to the best of those that could have it, if there was one."""
    chosen = {candidate.task_id: seeker.arrival for candidate, seeker in pairs}
    by_poll: Counter[int] = Counter()
    by_worker: Counter[str] = Counter()
    for candidate, fair in zip(tasks, coins, strict=False):
        could = [
            poll
            for poll in polls
            if not poll.gone
            and by_poll[poll.arrival] < poll.want
            and by_worker[poll.worker.worker_id] < room.get(poll.worker.worker_id, poll.want)
            and allowed(candidate, poll, known)
        ]
        if not could:
            assert candidate.task_id not in chosen
            continue
        best = min(could, key=lambda p: (0 if fair else -tier_rank(p.worker.tier), p.arrival))
        assert chosen.get(candidate.task_id) == best.arrival
        by_poll[best.arrival] += 1
        by_worker[best.worker.worker_id] += 1
