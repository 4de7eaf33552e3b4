"""The matcher while it knows that nothing is queued: who parks without a look, and until when."""

import asyncio

import psycopg
import pytest

from openclaw_jobs.dispatch import Claim, Matcher
from tests.dispatch.made_up import FOREVER, Queue, matching, park, tasks_of, until
from tests.dispatch.seekers import identity

pytestmark = pytest.mark.usefixtures("no_tick")


async def looks(made: Matcher, queue: Queue, categories: list[str] | None = None) -> int:
    """How many looks a patient poll costs that comes now; it hangs up again."""
    before = len(queue.requests)
    poll = await park(made, "passer-by", categories)
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    return len(queue.requests) - before


async def given(poll: "asyncio.Task[list[Claim]]") -> list[str]:
    async with asyncio.timeout(5):
        return tasks_of(await poll)


async def test_the_first_looks_for_all_that_come_after_it() -> None:
    queue = Queue()
    async with matching(queue) as made:
        polls = [await park(made, f"w{n}", [["data"], None][n % 2]) for n in range(10)]
        assert len(queue.requests) == 1
        queue.tasks += ["a", "b"]
        made.wake(frozenset({"general"}))
        await until(lambda: sum(poll.done() for poll in polls) == 2)


async def test_what_was_served_to_the_last_leaves_it_known() -> None:
    queue = Queue()
    async with matching(queue) as made:
        for n in range(5):
            poll = await park(made, "w")
            queue.tasks.append(f"t{n}")
            made.wake(frozenset({"general"}))
            assert await given(poll) == [f"t{n}"]
        # One to begin with, and one for each wake-up.
        assert len(queue.requests) == 6


async def test_a_wake_up_that_finds_nothing_left_leaves_it_known() -> None:
    """Another process was quicker."""
    queue = Queue()
    async with matching(queue) as made:
        _ = await park(made, "w")
        made.wake(frozenset({"general"}))
        await until(lambda: len(queue.requests) == 2)
        assert await looks(made, queue) == 0


@pytest.mark.parametrize("wait_s", [0, 0.5])
async def test_who_does_not_wait_for_long_looks_all_the_same(wait_s: float) -> None:
    queue = Queue()
    async with matching(queue) as made:
        _ = await park(made, "w")
        queue.tasks += ["a", "b"]
        assert await given(asyncio.create_task(made.next(identity("v"), 1, wait_s))) == ["b"]


async def test_what_nobody_here_may_have_makes_the_next_look() -> None:
    queue = Queue()
    async with matching(queue) as made:
        _ = await park(made, "w")
        queue.unfit.append("for others")
        made.wake(frozenset({"general"}))
        await until(lambda: len(queue.requests) == 2)
        assert [await looks(made, queue) for _ in range(3)] == [1, 1, 1]
        queue.unfit.clear()
        assert [await looks(made, queue) for _ in range(3)] == [1, 0, 0]


async def test_what_nobody_here_looks_for_makes_the_next_look() -> None:
    queue = Queue()
    async with matching(queue) as made:
        _ = await park(made, "w", ["coding"])
        made.wake(frozenset({"data"}))
        await until(lambda: not made._woken)
        assert len(queue.requests) == 1
        assert await looks(made, queue, ["data"]) == 1
        assert set(queue.requests[-1].lanes) == {"data"}
        assert await looks(made, queue) == 0


async def test_a_wake_up_while_all_are_full_makes_the_next_look() -> None:
    queue = Queue(full={"w"})
    async with matching(queue) as made:
        _ = await park(made, "w")
        made.wake(frozenset({"general"}))
        await until(lambda: not made._woken)
        assert len(queue.requests) == 1
        assert await looks(made, queue) == 1


async def test_a_wake_up_while_nobody_waits_is_for_the_next() -> None:
    queue = Queue()
    async with matching(queue) as made:
        assert [await looks(made, queue) for _ in range(2)] == [1, 0]
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        await asyncio.sleep(0)
        poll = asyncio.create_task(made.next(identity("w"), 1, FOREVER))
        assert await given(poll) == ["t"]
        assert set(queue.requests[-1].lanes) == {"general"}


async def test_who_parks_right_after_a_wake_up_has_its_share() -> None:
    queue = Queue()
    async with matching(queue) as made:
        await looks(made, queue)
        parked = await park(made, "w")
        queue.tasks += ["a", "b"]
        made.wake(frozenset({"general"}))
        late = asyncio.create_task(made.next(identity("v"), 1, FOREVER))
        assert sorted(await given(parked) + await given(late)) == ["a", "b"]


@pytest.mark.parametrize("everywhere", [False, True])
async def test_what_is_queued_while_a_round_ends_is_found(*, everywhere: bool) -> None:
    """The round has seen an empty queue already; its answer is still on its way."""
    queue = Queue(held_back=asyncio.Event())
    async with matching(queue) as made:
        first = asyncio.create_task(made.next(identity("w"), 1, FOREVER))
        await queue.begun.wait()
        queue.tasks += ["a", "b"]
        made.wake(None if everywhere else frozenset({"general"}))
        second = asyncio.create_task(made.next(identity("v"), 1, FOREVER))
        await until(lambda: made.parked == 2)
        assert queue.held_back is not None
        queue.held_back.set()
        assert sorted(await given(first) + await given(second)) == ["a", "b"]
        assert len(queue.requests) == 2


async def test_a_round_that_fails_makes_the_next_look() -> None:
    queue = Queue()
    async with matching(queue) as made:
        poll = await park(made, "w")
        queue.error = psycopg.OperationalError("the server is gone")
        queue.tasks += ["a", "b"]
        made.wake(frozenset({"general"}))
        await until(lambda: len(queue.requests) == 2 and made._round_end is None)
        queue.error = None
        late = asyncio.create_task(made.next(identity("v"), 1, FOREVER))
        assert sorted(await given(poll) + await given(late)) == ["a", "b"]


async def test_a_tick_finds_what_no_wake_up_told_of_and_makes_the_next_look() -> None:
    queue = Queue()
    async with matching(queue) as made:
        poll = await park(made, "w")
        queue.tasks.append("t")
        queue.unfit.append("for others")
        made._tick()
        assert await given(poll) == ["t"]
        assert await looks(made, queue) == 1
        # While nobody waits nobody asks, and so nothing is known.
        queue.unfit.clear()
        assert [await looks(made, queue) for _ in range(2)] == [1, 0]
        asked = queue.asked_if_any
        made._tick()
        await until(lambda: not made._tick_due)
        assert await looks(made, queue) == 1
        assert queue.asked_if_any == asked


async def test_a_tick_that_finds_nothing_is_as_good_as_a_look() -> None:
    queue = Queue(unfit=["for others"])
    async with matching(queue) as made:
        _ = await park(made, "w")
        queue.unfit.clear()
        made._tick()
        await until(lambda: queue.asked_if_any == 1 and made._round_end is None)
        assert await looks(made, queue) == 0


async def test_who_has_room_again_looks_only_where_something_may_be() -> None:
    queue = Queue(full={"w"})
    async with matching(queue) as made:
        poll = await park(made, "w")
        made.unblock(frozenset({"w"}))
        await until(lambda: not made._arrived)
        assert len(queue.requests) == 1
        queue.full.clear()
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        assert await given(poll) == ["t"]
