import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any, TypeAlias

import psycopg
import pytest
import structlog
from psycopg import conninfo, sql
from structlog.testing import LogCapture

from openclaw_jobs.db import Database
from openclaw_jobs.events import Bus, NewEvent, Notifier, Signal, Wake, notifier, rules, store
from openclaw_jobs.events.models import WakeMessage
from tests.conftest import Postgres
from tests.events.conftest import StartNode

_LONG_S = 15.0

Observer: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]


def _event(buyer_id: str) -> NewEvent:
    return NewEvent(buyer_id, "balance", None, {"balance_cents": 1})


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[MutableMapping[str, Any]]:
    capture = LogCapture()
    logger = structlog.wrap_logger(structlog.PrintLogger(), processors=[capture])
    monkeypatch.setattr(notifier, "_log", logger)
    return capture.entries


@pytest.fixture
async def observer(dsn: str) -> AsyncIterator[Observer]:
    """A superuser's connection that hears all notifications."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await store.listen(conn)
        yield conn


async def _heard(observer: Observer, last: str) -> list[WakeMessage]:
    """All notifications, up to and with the one that names `last` or everything."""
    messages = []
    async for notification in observer.notifies(timeout=_LONG_S):
        assert len(notification.payload.encode()) < 8000
        message = rules.read_wake(notification.payload)
        assert message is not None
        messages.append(message)
        if message.a or last in message.b:
            return messages
    raise AssertionError(f"{last} was never told")


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LONG_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


def _of(*buyers: str) -> Wake:
    return Wake(buyers=frozenset(buyers))


async def test_another_node_is_woken_within_milliseconds(start_node: StartNode) -> None:
    here, there = await start_node("node-1"), await start_node("node-2")
    delays_ms = []
    with there.bus.subscribe("byr_a") as subscription:
        await subscription.wait(0)
        for _ in range(20):
            wait = asyncio.create_task(subscription.wait(_LONG_S))
            await here.post(_event("byr_a"))
            started = time.perf_counter()
            assert await wait is Signal.WOKEN
            delays_ms.append((time.perf_counter() - started) * 1000)

    # Back to back, so that most wait for the rest of the interval of 5 ms.
    assert sorted(delays_ms)[10] < 50, delays_ms


async def test_another_node_hears_which_categories_have_work(start_node: StartNode) -> None:
    here, there = await start_node("node-1"), await start_node("node-2")
    heard: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
    there.bus.on_queue(heard.put_nowait)

    here.bus.publish(Wake(queue=frozenset({"general", "größe"})))

    assert await asyncio.wait_for(heard.get(), _LONG_S) == frozenset({"general", "größe"})


async def test_a_node_does_not_hear_itself(start_node: StartNode) -> None:
    here, there = await start_node("node-1"), await start_node("node-2")
    own: list[frozenset[str] | None] = []
    echo: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
    here.bus.on_queue(own.append)
    there.bus.on_queue(echo.put_nowait)
    here.bus.publish(Wake(queue=frozenset({"mine"})))
    await asyncio.wait_for(echo.get(), _LONG_S)

    # What node 2 says next reaches node 1 after node 1's own words would have.
    answered = asyncio.Event()
    here.bus.on_queue(lambda _: answered.set())
    there.bus.publish(Wake(queue=frozenset({"yours"})))
    await asyncio.wait_for(answered.wait(), _LONG_S)

    assert own == [frozenset({"mine"}), frozenset({"yours"})]


async def test_a_thousand_publications_are_few_notifications(
    start_node: StartNode, observer: Observer
) -> None:
    node = await start_node("node-1")
    buyers = [f"byr_{n % 50:026d}" for n in range(1000)]
    started = time.monotonic()
    for n, buyer in enumerate(buyers):
        node.bus.publish(Wake(buyers=frozenset({buyer}), queue=frozenset({"general"})))
        if n % 20 == 19:
            await asyncio.sleep(0.001)
    node.bus.publish(_of("byr_end"))
    messages = await _heard(observer, "byr_end")
    elapsed_s = time.monotonic() - started

    assert {b for m in messages for b in m.b} == {*buyers, "byr_end"}
    # One at once, and then at most one an interval.
    assert 1 <= len(messages) <= elapsed_s / 0.005 + 2


async def test_an_idle_node_sends_nothing(start_node: StartNode, observer: Observer) -> None:
    node = await start_node("node-1", interval_s=0.001)
    await asyncio.sleep(0.1)
    node.bus.publish(_of("byr_end"))

    assert await _heard(observer, "byr_end") == [WakeMessage(n="node-1", b=("byr_end",))]


async def test_many_buyers_are_several_payloads_and_too_many_are_everything(
    start_node: StartNode, observer: Observer
) -> None:
    node = await start_node("node-1")
    buyers = [f"byr_{n:026d}" for n in range(900)]
    node.bus.publish(_of(*buyers))
    await _until(lambda: node.notifier.sent > 0)
    node.bus.publish(_of("byr_end"))
    several = await _heard(observer, "byr_end")
    node.bus.publish(_of(*(f"byr_{n:026d}" for n in range(5000))))
    everything = await _heard(observer, "byr_end")

    assert len(several) == 4 + 1
    assert {b for m in several for b in m.b} == {*buyers, "byr_end"}
    assert everything == [WakeMessage(n="node-1", a=True)]


async def test_a_foreign_notification_is_reported_and_does_no_harm(
    start_node: StartNode,
    observer: Observer,
    log: list[MutableMapping[str, Any]],
) -> None:
    here, there = await start_node("node-1"), await start_node("node-2")
    with there.bus.subscribe("byr_a") as subscription:
        await observer.execute("SELECT pg_notify(%s, 'secret text')", (store.CHANNEL,))
        await here.post(_event("byr_a"))
        assert await subscription.wait(_LONG_S) is Signal.WOKEN

    warnings = [entry for entry in log if entry["event"] == "wake_unreadable"]
    assert len(warnings) == 2
    assert "secret" not in str(warnings)


@pytest.mark.parametrize("lost", ["listen", "notify"])
async def test_a_lost_connection_is_replaced_and_reported_once(
    start_node: StartNode,
    observer: Observer,
    log: list[MutableMapping[str, Any]],
    lost: str,
) -> None:
    here, there = await start_node("node-1"), await start_node("node-2")
    victim = f"node-2-{lost}" if lost == "listen" else f"node-1-{lost}"
    log.clear()
    with there.bus.subscribe("byr_a") as subscription:
        killed = await observer.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s",
            (victim,),
        )
        assert await killed.fetchall() == [(True,)]
        # At once, so that it falls into the gap.
        await here.post(_event("byr_a"))
        assert await subscription.wait(_LONG_S) is Signal.WOKEN
        await _until(lambda: len(log) >= 2)
        # And it works as before.
        await subscription.wait(0)
        wait = asyncio.create_task(subscription.wait(_LONG_S))
        await here.post(_event("byr_a"))
        assert await wait is Signal.WOKEN

    assert [(e["event"], e["connection"]) for e in log] == [
        ("wakes_disconnected", lost),
        ("wakes_connected", lost),
    ]


async def test_everybody_is_woken_when_the_listener_is_back(
    start_node: StartNode, observer: Observer
) -> None:
    node = await start_node("node-1")
    heard: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
    node.bus.on_queue(heard.put_nowait)
    with node.bus.subscribe("byr_a") as subscription:
        await observer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'node-1-listen'"
        )
        assert await subscription.wait(_LONG_S) is Signal.WOKEN
        assert await asyncio.wait_for(heard.get(), _LONG_S) is None


async def test_a_commit_whose_node_died_before_telling_is_found(start_node: StartNode) -> None:
    here = await start_node("node-1", sweep_s=0.05)
    dead = await start_node("node-2")
    with here.bus.subscribe("byr_a") as subscription:
        await dead.post(_event("byr_a"), tell=False)
        assert await subscription.wait(_LONG_S) is Signal.WOKEN
        await dead.post(_event("byr_a"), _event("byr_b"), tell=False)
        assert await subscription.wait(_LONG_S) is Signal.WOKEN
        # With nothing new, sweeps wake nobody.
        assert await subscription.wait(0.2) is Signal.TIMEOUT


async def test_the_listener_s_sign_of_life_loses_nothing(start_node: StartNode) -> None:
    here, there = await start_node("node-1"), await start_node("node-2", ping_s=0.005)
    with there.bus.subscribe("byr_a") as subscription:
        await subscription.wait(0)
        for _ in range(50):
            wait = asyncio.create_task(subscription.wait(_LONG_S))
            here.bus.publish(_of("byr_a"))
            assert await wait is Signal.WOKEN


async def test_stopping_sends_what_is_still_to_be_told(
    start_node: StartNode, observer: Observer
) -> None:
    node = await start_node("node-1", interval_s=0.2)
    node.bus.publish(_of("byr_a"))
    await _until(lambda: node.notifier.sent == 1)
    node.bus.publish(_of("byr_b"))
    await node.notifier.stop()

    assert [m.b for m in await _heard(observer, "byr_b")] == [("byr_a",), ("byr_b",)]
    # The bus goes on alone.
    node.bus.publish(_of("byr_c"))
    assert node.notifier.sent == 2


async def test_a_start_without_a_database_fails_in_time(postgres: Postgres, dsn: str) -> None:
    name = sql.Identifier(str(conninfo.conninfo_to_dict(dsn)["dbname"]))
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    async with await Database.open(dsn, min_size=1, max_size=2) as db:
        rng = random.Random(1)  # noqa: S311 - jitter
        node = Notifier(db, Bus(), node_id="node-1", rng=rng)
        before = asyncio.all_tasks()
        postgres.run(allow.format(name, sql.SQL("false")))
        with pytest.raises(TimeoutError):
            await node.start(wait_s=0.3)

        assert asyncio.all_tasks() == before
