import asyncio
import gc
import time
import tracemalloc

import pytest

from openclaw_jobs.events import Bus, Signal, Wake
from openclaw_jobs.events import bus as bus_module

_LONG_S = 30.0


def _wake(*buyers: str) -> Wake:
    return Wake(buyers=frozenset(buyers))


async def test_a_wake_between_the_read_and_the_wait_is_not_lost() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as subscription:
        bus.publish(_wake("byr_a"))

        assert await subscription.wait(_LONG_S) is Signal.WOKEN
        assert await subscription.wait(0) is Signal.TIMEOUT


async def test_many_wakes_before_a_wait_are_one() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as subscription:
        for _ in range(3):
            bus.publish(_wake("byr_a"))

        assert await subscription.wait(_LONG_S) is Signal.WOKEN
        assert await subscription.wait(0) is Signal.TIMEOUT


async def test_a_wake_ends_a_running_wait_of_its_buyer_only() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as mine, bus.subscribe("byr_b") as other:
        waits = [asyncio.create_task(mine.wait(_LONG_S)), asyncio.create_task(other.wait(_LONG_S))]
        await asyncio.sleep(0)
        bus.publish(_wake("byr_a"))

        assert await waits[0] is Signal.WOKEN
        assert not waits[1].done()
        bus.publish(_wake("byr_b"))
        assert await waits[1] is Signal.WOKEN


async def test_a_wait_ends_in_time() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as subscription:
        started = time.monotonic()

        assert await subscription.wait(0.02) is Signal.TIMEOUT
        assert 0.015 < time.monotonic() - started < 5


async def test_a_wake_in_the_moment_of_the_time_out_is_kept() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as subscription:
        wait = asyncio.create_task(subscription.wait(0.001))
        await asyncio.sleep(0)
        # The loop is held until the timer is overdue, and the wake comes in the same turn.
        time.sleep(0.005)  # noqa: ASYNC251 - blocking the loop is the point
        bus.publish(_wake("byr_a"))

        assert await wait is Signal.WOKEN


async def test_a_cancelled_wait_leaves_the_subscription_usable() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as subscription:
        wait = asyncio.create_task(subscription.wait(_LONG_S))
        await asyncio.sleep(0)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        bus.publish(_wake("byr_a"))

        assert await subscription.wait(_LONG_S) is Signal.WOKEN


async def test_who_left_is_forgotten() -> None:
    bus = Bus()
    with bus.subscribe("byr_a"):
        with bus.subscribe("byr_a"), bus.subscribe("byr_b"):
            assert sorted(bus.subscribed_buyers()) == ["byr_a", "byr_b"]
        assert bus.subscribed_buyers() == ["byr_a"]
    assert bus.subscribed_buyers() == []
    bus.publish(_wake("byr_a"))


async def test_closing_ends_every_wait_present_and_future() -> None:
    bus = Bus()
    with bus.subscribe("byr_a") as first, bus.subscribe("byr_b") as second:
        waits = [asyncio.create_task(s.wait(_LONG_S)) for s in (first, second)]
        await asyncio.sleep(0)
        bus.close()

        assert await asyncio.gather(*waits) == [Signal.CLOSED, Signal.CLOSED]
        with bus.subscribe("byr_c") as late:
            assert await late.wait(_LONG_S) is Signal.CLOSED


async def test_waking_all_wakes_all_and_says_that_any_category_may_be_meant() -> None:
    bus = Bus()
    heard: list[frozenset[str] | None] = []
    bus.on_queue(heard.append)
    with bus.subscribe("byr_a") as first, bus.subscribe("byr_b") as second:
        bus.wake_all()

        assert await first.wait(_LONG_S) is Signal.WOKEN
        assert await second.wait(_LONG_S) is Signal.WOKEN
    assert heard == [None]


async def test_the_queue_s_listeners_hear_of_categories_only() -> None:
    bus = Bus()
    heard: list[frozenset[str] | None] = []
    bus.on_queue(heard.append)

    bus.publish(_wake("byr_a"))
    bus.publish(Wake(queue=frozenset({"code", "general"})))

    assert heard == [frozenset({"code", "general"})]


async def test_who_waits_for_a_task_sleeps_through_what_is_about_others() -> None:
    bus = Bus()
    with bus.subscribe("byr_a", "task_1") as one, bus.subscribe("byr_a") as all_of_them:
        bus.publish(Wake(buyers=frozenset({"byr_a"}), tasks=frozenset({"task_2"})))
        assert await one.wait(0) is Signal.TIMEOUT
        assert await all_of_them.wait(0) is Signal.WOKEN
        bus.publish(Wake(buyers=frozenset({"byr_a"}), tasks=frozenset({"task_2", "task_1"})))
        assert await one.wait(0) is Signal.WOKEN
        # Another node does not say which tasks its wake is about.
        bus.deliver(Wake(buyers=frozenset({"byr_a"})))
        assert await one.wait(0) is Signal.WOKEN


async def test_a_listener_that_fails_stops_neither_the_publisher_nor_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults: list[str] = []

    class Log:
        def exception(self, event: str, **_: object) -> None:
            faults.append(event)

    monkeypatch.setattr(bus_module, "_log", Log())
    bus = Bus()
    heard: list[frozenset[str] | None] = []
    relayed: list[Wake] = []

    def broken(_: frozenset[str] | None) -> None:
        raise RuntimeError("broken")

    bus.on_queue(broken)
    bus.on_queue(heard.append)
    bus.attach_relay(relayed.append)
    wake = Wake(queue=frozenset({"general"}))
    bus.publish(wake)

    assert heard == [frozenset({"general"})]
    assert relayed == [wake]
    assert faults == ["queue_listener_failed"]


async def test_what_comes_from_another_node_is_not_relayed_again() -> None:
    bus = Bus()
    relayed: list[Wake] = []
    bus.attach_relay(relayed.append)

    bus.deliver(_wake("byr_a"))
    bus.publish(_wake("byr_b"))
    bus.detach_relay()
    bus.publish(_wake("byr_c"))

    assert relayed == [_wake("byr_b")]


async def test_a_subscription_is_small_and_a_publication_cheap() -> None:
    bus = Bus()
    names = [f"byr_{n:026d}" for n in range(2000)]
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        subscriptions = [bus.subscribe(name).__enter__() for name in names]
        each = (tracemalloc.get_traced_memory()[0] - before) / len(names)
    finally:
        tracemalloc.stop()
    wakes = [_wake(name) for name in names]
    started = time.process_time()
    for wake in wakes:
        bus.publish(wake)
    publication_us = (time.process_time() - started) / len(wakes) * 1e6

    assert each < 1024
    # It measures about 0.5 µs; the bound leaves room for a slow machine, not for O(streams).
    assert publication_us < 50
    for subscription in subscriptions:
        subscription.__exit__(None, None, None)
