"""Parked polls on real sockets: those that vanish get nothing, and those that wait cost nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from openclaw_jobs.api import work
from openclaw_jobs.api.problems import ClientGone
from tests.dispatch.crowd import run
from tests.dispatch.sockets import RawCall, call, poll
from tests.running import Node


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is a fact, not an event
            await asyncio.sleep(0.002)


def queued_and_unheld(dsn: str, task_id: str) -> bool:
    return run(
        dsn,
        "SELECT status, attempts, (SELECT count(*) FROM leases) FROM tasks WHERE id = %s",
        task_id,
    ) == [("queued", 0, 0)]


def told(dsn: str) -> list[str]:
    """What happened to tasks, as their buyers were told."""
    events = run(dsn, "SELECT type FROM events WHERE task_id IS NOT NULL ORDER BY seq")
    return [kind for (kind,) in events]


@asynccontextmanager
async def locked(dsn: str, table: str) -> AsyncIterator[None]:
    """Nobody can write to the table while the block lasts."""
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        await conn.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield


async def waits_for_a_lock(dsn: str) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    await until(lambda: run(dsn, query)[0][0] > 0)


@pytest.mark.parametrize("how", ["cut", "hang up"])
async def test_a_parked_poll_that_is_cut_off_gets_no_task(node: Node, dsn: str, how: str) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    matcher = node.services.matcher
    parked = await poll(node.address, worker.token)
    await until(lambda: matcher.parked == 1)
    parked.cut() if how == "cut" else await parked.hang_up()
    await until(lambda: matcher.parked == 0)
    posted = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    assert queued_and_unheld(dsn, posted["id"])
    claim = await other.ok("GET", "/api/work/next")
    assert (claim["task_id"], claim["attempt"]) == (posted["id"], 1)


@pytest.mark.parametrize("how", ["cut", "hang up"])
async def test_who_is_cut_off_while_it_is_served_keeps_nothing(
    node: Node, dsn: str, how: str
) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    matcher = node.services.matcher
    parked = await poll(node.address, worker.token)
    await until(lambda: matcher.parked == 1)
    async with locked(dsn, "leases"):
        posted = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
        await waits_for_a_lock(dsn)
        parked.cut() if how == "cut" else await parked.hang_up()
        await until(lambda: matcher.parked == 0)
    await until(lambda: told(dsn) == ["task.queued", "task.claimed", "task.queued"])
    assert queued_and_unheld(dsn, posted["id"])
    # It never saw the task, so it may have it yet, as if for the first time.
    claim = await worker.ok("GET", "/api/work/next")
    assert (claim["task_id"], claim["attempt"]) == (posted["id"], 1)


async def test_a_submit_whose_wait_for_the_next_is_cut_off_stands(node: Node, dsn: str) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await buyer.ok("POST", "/api/task", {"prompt": "first"}, 201)
    claim = await worker.ok("GET", "/api/work/next")
    body = {
        "task_id": claim["task_id"],
        "lease_token": claim["lease_token"],
        "status": "completed",
        "result": "done",
    }
    parked = await call(
        node.address, worker.token, "POST", "/api/work/submit", {**body, "next": {"wait": 30}}
    )
    await until(lambda: node.services.matcher.parked == 1)
    parked.cut()
    await until(lambda: node.services.matcher.parked == 0)
    second = await buyer.ok("POST", "/api/task", {"prompt": "second"}, 201)
    assert queued_and_unheld(dsn, second["id"])
    again = await worker.ok("POST", "/api/work/submit", {**body, "next": {"wait": 0}})
    assert (again["duplicate"], again["earned_cents"]) == (True, claim["earning_cents"])
    assert [task["task_id"] for task in again["tasks"]] == [second["id"]]
    await node.prove()


async def test_who_hangs_up_in_the_very_moment_of_its_answer_gives_back() -> None:
    claim, returned = object(), []

    class Matcher:
        async def next(self, *_: object) -> list[object]:
            return [claim]

        def return_claims(self, claims: list[object]) -> None:
            returned.extend(claims)

    class Request:
        worker = None

        def held(self, *_: object) -> AbstractContextManager[None]:
            return nullcontext()

        async def until_hung_up(self) -> None:
            return

    services = SimpleNamespace(matcher=Matcher())
    with pytest.raises(ClientGone):
        await work._claim(Request(), services, 1, 30)  # type: ignore[arg-type]
    assert returned == [claim]


async def test_many_cut_off_at_once_leave_nothing_behind(node: Node, dsn: str) -> None:
    """Half of a crowd vanishes while a batch is matched; the other half gets what there is."""
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=100)
    matcher = node.services.matcher
    calls = [await poll(node.address, worker.token) for _ in range(20)]
    await until(lambda: matcher.parked == 20)
    gone, stays = calls[:10], calls[10:]
    async with locked(dsn, "leases"):
        await asyncio.gather(
            *(buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201) for _ in range(15))
        )
        await waits_for_a_lock(dsn)
        for each in gone:
            each.cut()
        await until(lambda: matcher.parked == 10)
    async with asyncio.timeout(10):
        assert [await each.status() for each in stays] == [200] * 10
    await until(lambda: run(dsn, "SELECT count(*) FROM leases") == [(10,)])
    assert run(dsn, "SELECT count(*) FROM tasks WHERE status = 'queued' AND attempts = 0") == [(5,)]
    for each in stays:
        await each.hang_up()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that this process sends from now on."""
    sent: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        sent.append(str(query))
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    return sent


def all_wait(node: Node, count: int) -> bool:
    """So many polls are parked, and none of them is owed a look."""
    waiters = node.services.matcher._waiters
    return len(waiters) == count and all(waiter.looked_for for waiter in waiters)


def ticks(statements: list[str]) -> int:
    return sum("SELECT EXISTS" in statement for statement in statements)


async def test_waiting_costs_no_statements(
    node: Node, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_jobs.dispatch.matcher._TICK_SECONDS", 0.05)
    buyer = await node.buyer()
    workers = [
        await node.worker(categories=[None, ["data"], ["coding", "data"]][n % 3]) for n in range(10)
    ]
    calls: list[RawCall] = []
    sent: dict[int, list[str]] = {}
    for crowd in (20, 200):
        while len(calls) < crowd:
            calls.append(await poll(node.address, workers[len(calls) % 10].token))
        await until(partial(all_wait, node, crowd))
        statements.clear()
        await until(lambda: ticks(statements) >= 12)
        sent[crowd] = list(statements)
    for found in sent.values():
        # A tick asks one thing; besides, the node says that it lives and looks after its settings.
        assert len(found) - ticks(found) <= 4, found
    # They were awake all the time.
    posted = await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    await until(lambda: node.services.matcher.parked == 199)
    assert posted["status"] == "queued"
    for each in calls:
        each.cut()
    await until(lambda: node.services.matcher.parked == 0)
