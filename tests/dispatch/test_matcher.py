"""The matcher with a made-up claim: how polls park, are woken, hang up and are answered."""

import asyncio

import psycopg
import pytest

from openclaw_jobs.dispatch import ClaimRequest, matcher
from openclaw_jobs.dispatch.commits import Written
from openclaw_jobs.dispatch.models import ClaimResult
from openclaw_jobs.dispatch.waiters import Waiters
from openclaw_jobs.kit.errors import Problem
from tests.dispatch.made_up import FOREVER, Queue, claim_of, matching, park, tasks_of, until
from tests.dispatch.seekers import identity


@pytest.mark.usefixtures("no_tick")
async def test_a_first_look_is_owed_even_to_who_does_not_wait() -> None:
    queue = Queue(tasks=["a", "b", "c"])
    async with matching(queue) as made:
        assert tasks_of(await made.next(identity("w"), 2, 0)) == ["a", "b"]
        assert tasks_of(await made.next(identity("v"), 2, 0)) == ["c"]
        assert await made.next(identity("w"), 2, 0) == []
        assert len(queue.requests) == 3


@pytest.mark.usefixtures("no_tick")
async def test_a_crowd_that_does_not_wait_is_served_together() -> None:
    queue = Queue(tasks=[f"t{n}" for n in range(30)])
    async with matching(queue) as made:
        answers = await asyncio.gather(*(made.next(identity(f"w{n}"), 1, 0) for n in range(50)))
    assert sorted(t for a in answers for t in tasks_of(a)) == sorted(f"t{n}" for n in range(30))
    assert len(queue.requests) == 1


@pytest.mark.usefixtures("no_tick")
async def test_a_parked_poll_is_woken_by_its_category_alone() -> None:
    queue = Queue()
    async with matching(queue) as made:
        poll = await park(made, "w", ["coding", "data"])
        assert set(queue.requests[0].lanes) == {"coding", "data"}
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        later = await made.next(identity("v", categories=["writing"]), 1, 0)
        # That look was for the other poll's queue; the made-up claim serves whom it finds.
        assert set(queue.requests[-1].lanes) == {"writing"}
        assert later == []
        assert tasks_of(await poll) == ["t"]
        assert made.parked == 0


@pytest.mark.usefixtures("no_tick")
async def test_a_wake_without_names_looks_everywhere() -> None:
    queue = Queue()
    async with matching(queue) as made:
        poll, other = await park(made, "w", ["data"]), await park(made, "v")
        queue.tasks += ["t", "u"]
        made.wake(None)
        assert sorted(tasks_of(await poll) + tasks_of(await other)) == ["t", "u"]
        assert set(queue.requests[-1].lanes) == {"data", None}


@pytest.mark.usefixtures("no_tick")
async def test_a_wake_during_a_round_leads_to_another() -> None:
    queue = Queue(held_back=asyncio.Event())
    async with matching(queue) as made:
        poll = asyncio.create_task(made.next(identity("w"), 1, FOREVER))
        await queue.begun.wait()
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        assert queue.held_back is not None
        queue.held_back.set()
        assert tasks_of(await poll) == ["t"]
        assert len(queue.requests) == 2


@pytest.mark.usefixtures("no_tick")
async def test_time_that_is_up_during_a_round_waits_for_its_end() -> None:
    queue = Queue(tasks=["t"], held_back=asyncio.Event())
    async with matching(queue) as made:
        poll = asyncio.create_task(made.next(identity("w"), 1, 0.01))
        await queue.begun.wait()
        await asyncio.sleep(0.05)
        assert not poll.done()
        assert queue.held_back is not None
        queue.held_back.set()
        assert tasks_of(await poll) == ["t"]
        assert queue.returned == []


@pytest.mark.usefixtures("no_tick")
async def test_time_that_is_up_is_up_however_many_rounds_follow_one_another() -> None:
    queue = Queue()
    async with matching(queue) as made:

        async def claim(request: ClaimRequest, written: Written) -> ClaimResult:
            # As where a hundred commits a second tell of tasks that this poll can't have.
            made.wake(frozenset({"general"}))
            await asyncio.sleep(0)
            return await queue.claim(request, written)

        made._commits._claim = claim
        async with asyncio.timeout(10):
            assert await made.next(identity("w"), 1, 0) == []
            assert await made.next(identity("w"), 1, 0.02) == []
        assert made.parked == 0


@pytest.mark.usefixtures("no_tick")
async def test_time_is_up() -> None:
    queue = Queue()
    async with matching(queue) as made:
        assert await made.next(identity("w"), 1, 0.02) == []
        assert made.parked == 0


@pytest.mark.usefixtures("no_tick")
async def test_who_hangs_up_during_a_round_gives_back_what_it_was_to_get() -> None:
    queue = Queue(tasks=["a", "b", "c"], held_back=asyncio.Event())
    async with matching(queue) as made:
        gone = asyncio.create_task(made.next(identity("gone"), 2, FOREVER))
        stays = asyncio.create_task(made.next(identity("stays"), 1, FOREVER))
        await queue.begun.wait()
        gone.cancel()
        assert (await asyncio.gather(gone, return_exceptions=True))[0].__class__ is (
            asyncio.CancelledError
        )
        assert queue.held_back is not None
        queue.held_back.set()
        assert tasks_of(await stays) == ["c"]
        await until(lambda: queue.returned == ["a", "b"])


@pytest.mark.usefixtures("no_tick")
async def test_who_hangs_up_just_as_it_is_answered_gives_back() -> None:
    queue = Queue()
    async with matching(queue) as made:
        poll = await park(made, "w")
        waiter = next(iter(made._waiters))
        waiter.resolve([claim_of("t", "w")])
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        await until(lambda: queue.returned == ["t"])
        assert made.parked == 0


@pytest.mark.usefixtures("no_tick")
async def test_a_poll_that_hung_up_before_a_round_is_not_in_it() -> None:
    queue = Queue()
    async with matching(queue) as made:
        gone = await park(made, "gone")
        stays = await park(made, "stays")
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        queue.tasks += ["a", "b"]
        made.wake(None)
        assert tasks_of(await stays) == ["a"]
        assert queue.tasks == ["b"]
        assert queue.returned == []


@pytest.mark.usefixtures("no_tick")
async def test_draining_answers_all_and_takes_no_more() -> None:
    queue = Queue()
    async with matching(queue) as made:
        polls = [await park(made, f"w{n}") for n in range(5)]
        made.drain()
        assert await asyncio.gather(*polls) == [[]] * 5
        queue.tasks.append("t")
        assert await made.next(identity("late"), 1, FOREVER) == []
        assert queue.tasks == ["t"]


@pytest.mark.usefixtures("no_tick")
async def test_draining_lets_a_round_that_runs_answer() -> None:
    queue = Queue(tasks=["t"], held_back=asyncio.Event())
    async with matching(queue) as made:
        poll = asyncio.create_task(made.next(identity("w"), 1, FOREVER))
        await queue.begun.wait()
        late = asyncio.create_task(made.next(identity("v"), 1, FOREVER))
        now = asyncio.create_task(made.next(identity("u"), 1, 0))
        await until(lambda: made.parked == 3)
        made.drain()
        assert queue.held_back is not None
        queue.held_back.set()
        async with asyncio.timeout(5):
            assert tasks_of(await poll) == ["t"]
            assert await late == []
            assert await now == []
        assert len(queue.requests) == 1


@pytest.mark.usefixtures("no_tick")
async def test_who_is_full_is_left_alone_until_it_has_room() -> None:
    queue = Queue(full={"w"})
    async with matching(queue) as made:
        poll = await park(made, "w")
        queue.full.clear()
        queue.tasks += ["s", "t"]
        assert tasks_of(await made.next(identity("v"), 1, 0)) == ["s"]
        assert not poll.done()
        made.unblock(frozenset({"somebody else"}))
        made.unblock(frozenset({"w"}))
        assert tasks_of(await poll) == ["t"]


@pytest.mark.usefixtures("fast_tick")
async def test_a_tick_looks_for_the_full_again_and_finds_what_nobody_told_of() -> None:
    queue = Queue(full={"w"})
    async with matching(queue) as made:
        full, parked = await park(made, "w"), await park(made, "v")
        queue.full.clear()
        queue.tasks += ["a", "b"]
        assert sorted(tasks_of(await full) + tasks_of(await parked)) == ["a", "b"]


@pytest.mark.usefixtures("fast_tick")
async def test_an_idle_tick_is_one_question_however_many_wait() -> None:
    queue = Queue()
    async with matching(queue) as made:
        await until(lambda: len(queue.requests) == 0)
        polls = [asyncio.create_task(made.next(identity(f"w{n}"), 1, FOREVER)) for n in range(500)]
        await until(lambda: made.parked == 500 and all(w.looked_for for w in made._waiters))
        looked, asked = len(queue.requests), queue.asked_if_any
        await until(lambda: queue.asked_if_any >= asked + 5)
        assert len(queue.requests) == looked
        made.drain()
        await asyncio.gather(*polls)


@pytest.mark.usefixtures("no_tick")
async def test_a_dismissed_worker_asks_anew() -> None:
    queue = Queue()
    async with matching(queue) as made:
        first, second = await park(made, "w"), await park(made, "w")
        other = await park(made, "v")
        assert (made.parked, made.parked_workers()) == (3, 2)
        made.dismiss("w")
        assert (await first, await second) == ([], [])
        queue.tasks.append("t")
        made.wake(None)
        assert tasks_of(await other) == ["t"]


@pytest.mark.usefixtures("no_tick")
async def test_the_suspended_are_told() -> None:
    queue = Queue(suspended={"w"})
    async with matching(queue) as made:
        with pytest.raises(Problem) as caught:
            await made.next(identity("w"), 1, FOREVER)
    assert caught.value.code == "suspended"
    assert caught.value.extra == {"suspended_until": "2026-01-15T12:00:00.000Z"}


@pytest.mark.usefixtures("no_tick")
async def test_a_failed_round_is_told_to_who_came_and_keeps_who_is_parked() -> None:
    queue = Queue(full={"full"})
    async with matching(queue) as made:
        parked, full = await park(made, "parked"), await park(made, "full")
        queue.error = psycopg.OperationalError("the server is gone")
        # One that has room again was parked before, too.
        made.unblock(frozenset({"full"}))
        for wait_seconds in (0, FOREVER):
            with pytest.raises(psycopg.OperationalError):
                await made.next(identity("new"), 1, wait_seconds)
        assert not parked.done()
        assert not full.done()
        queue.error = None
        queue.full.clear()
        queue.tasks += ["a", "b"]
        made.wake(None)
        assert sorted(tasks_of(await parked) + tasks_of(await full)) == ["a", "b"]


@pytest.mark.usefixtures("fast_tick")
async def test_ticks_that_fail_are_tried_again() -> None:
    queue = Queue()
    async with matching(queue) as made:
        parked = await park(made, "w")
        queue.error = psycopg.OperationalError("the server is gone")
        asked = queue.asked_if_any
        await until(lambda: queue.asked_if_any >= asked + 3)
        queue.tasks.append("t")
        queue.error = None
        assert tasks_of(await parked) == ["t"]


@pytest.mark.usefixtures("no_tick")
async def test_a_wake_that_a_failed_round_took_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matcher, "_TICK_SECONDS", 0.3)
    queue = Queue()
    async with matching(queue) as made:
        parked = await park(made, "w")
        queue.error = psycopg.OperationalError("the server is gone")
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        queue.begun.clear()
        await queue.begun.wait()
        queue.error = None
        assert tasks_of(await parked) == ["t"]


def test_waiters_are_counted_by_what_they_may_have() -> None:
    waiters = Waiters()
    loop = asyncio.new_event_loop()
    try:
        a = waiters.park(identity("a", "gold"), 1, loop.create_future())
        b = waiters.park(identity("b", "gold"), 1, loop.create_future())
        c = waiters.park(identity("c", categories=["x", "y"]), 1, loop.create_future())
        d = waiters.park(identity("d", categories=["y", "x"]), 1, loop.create_future())
    finally:
        loop.close()
    assert len(waiters) == 4
    assert [[s.arrival for s in k.seekers()] for k in waiters.classes()] == [[1, 2], [3, 4]]
    assert set(waiters.lanes(None)) == {None, "x", "y"}
    assert waiters.lanes(frozenset({"z"})) == ["z"]
    for waiter in (a, b):
        waiters.remove(waiter)
        waiters.remove(waiter)
    assert waiters.lanes(frozenset({"z", "x"})) == ["x"]
    waiters.remove(c)
    assert set(waiters.lanes(None)) == {"x", "y"}
    waiters.remove(d)
    assert (len(waiters), waiters.classes(), waiters.lanes(None)) == (0, [], [])
