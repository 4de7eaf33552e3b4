"""The next round begins while what the last one wrote is committed."""

import asyncio

import psycopg
import pytest

from tests.dispatch.made_up import FOREVER, Queue, matching, park, tasks_of, until
from tests.dispatch.seekers import identity


@pytest.mark.usefixtures("no_tick")
async def test_a_task_that_is_queued_during_a_commit_does_not_wait_for_it() -> None:
    queue = Queue(committing=asyncio.Event())
    async with matching(queue) as made:
        first, second = await park(made, "w"), await park(made, "v")
        queue.tasks.append("a")
        made.wake(frozenset({"general"}))
        await until(lambda: queue.tasks == [])
        queue.tasks.append("b")
        made.wake(frozenset({"general"}))
        await until(lambda: queue.tasks == [])
        assert not first.done()
        assert not second.done()
        assert queue.committing is not None
        queue.committing.set()
        assert tasks_of(await first) == ["a"], "who is served already gets no more"
        assert tasks_of(await second) == ["b"]


@pytest.mark.usefixtures("no_tick")
async def test_who_comes_during_a_commit_is_looked_for_after_it_with_all_the_others() -> None:
    queue = Queue(tasks=["a"], committing=asyncio.Event())
    async with matching(queue) as made:
        served = asyncio.create_task(made.next(identity("w"), 1, 0))
        await until(lambda: queue.tasks == [])
        queue.tasks += ["b", "c"]
        late = [asyncio.create_task(made.next(identity(name), 1, 0)) for name in ("v", "u")]
        await until(lambda: made.parked == 3)
        await asyncio.sleep(0.02)
        assert len(queue.requests) == 1
        assert queue.committing is not None
        queue.committing.set()
        assert tasks_of(await served) == ["a"]
        assert [tasks_of(await poll) for poll in late] == [["b"], ["c"]]
        assert len(queue.requests) == 2


@pytest.mark.usefixtures("no_tick")
async def test_time_that_is_up_during_a_commit_waits_for_its_end() -> None:
    queue = Queue(committing=asyncio.Event())
    async with matching(queue) as made:
        poll = asyncio.create_task(made.next(identity("w"), 1, 0.05))
        await until(lambda: len(queue.requests) == 1)
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        await until(lambda: queue.tasks == [])
        await asyncio.sleep(0.1)
        assert not poll.done()
        assert queue.committing is not None
        queue.committing.set()
        assert tasks_of(await poll) == ["t"]
        assert queue.returned == []


@pytest.mark.usefixtures("no_tick")
async def test_who_hangs_up_during_a_commit_gives_back_what_it_was_to_get() -> None:
    queue = Queue(committing=asyncio.Event())
    async with matching(queue) as made:
        poll = await park(made, "w")
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        await until(lambda: queue.tasks == [])
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
        assert queue.committing is not None
        queue.committing.set()
        await until(lambda: queue.returned == ["t"])


@pytest.mark.usefixtures("no_tick")
async def test_a_first_look_whose_commit_fails_is_told() -> None:
    error = psycopg.OperationalError("gone")
    queue = Queue(tasks=["t"], committing=asyncio.Event(), commit_error=error)
    async with matching(queue) as made:
        poll = asyncio.create_task(made.next(identity("w"), 1, FOREVER))
        await until(lambda: queue.tasks == [])
        assert queue.committing is not None
        queue.committing.set()
        with pytest.raises(psycopg.OperationalError, match="gone"):
            await poll


async def test_a_parked_poll_whose_commit_fails_is_looked_for_again() -> None:
    error = psycopg.OperationalError("gone")
    queue = Queue(committing=asyncio.Event(), commit_error=error)
    async with matching(queue) as made:
        poll = await park(made, "w")
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        await until(lambda: queue.tasks == [])
        assert queue.committing is not None
        queue.committing.set()
        await until(lambda: queue.tasks == ["t"])
        queue.commit_error = None
        assert tasks_of(await asyncio.wait_for(poll, 5)) == ["t"]


@pytest.mark.usefixtures("no_tick")
async def test_a_stop_waits_for_commits_and_their_polls_get_their_tasks() -> None:
    queue = Queue(committing=asyncio.Event())
    async with matching(queue) as made:
        poll, idle = await park(made, "w"), await park(made, "v")
        queue.tasks.append("t")
        made.wake(frozenset({"general"}))
        await until(lambda: queue.tasks == [])
        stopping = asyncio.create_task(made.stop())
        await asyncio.sleep(0.02)
        assert not stopping.done()
        assert queue.committing is not None
        queue.committing.set()
        await stopping
        assert tasks_of(await poll) == ["t"]
        assert await idle == []


@pytest.mark.usefixtures("no_tick")
async def test_only_so_many_commits_are_under_way_at_once() -> None:
    queue = Queue(committing=asyncio.Event())
    async with matching(queue) as made:
        polls = [await park(made, f"w{n}") for n in range(5)]
        for n in range(5):
            queue.tasks.append(f"t{n}")
            made.wake(frozenset({"general"}))
            await asyncio.sleep(0.01)
        assert len(queue.requests) == 1 + 3, "a first look, and three commits"
        assert queue.tasks == ["t3", "t4"]
        assert queue.committing is not None
        queue.committing.set()
        assert [tasks_of(await poll) for poll in polls] == [[f"t{n}"] for n in range(5)]
