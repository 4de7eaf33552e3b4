"""Sliding windows: never more than the limit, exact where it matters, bounded in memory."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.api.limits import LocalWindows, RateLimiter
from openclaw_jobs.economy import RateLimit
from openclaw_jobs.kit.errors import Problem

KEY = b"192.0.2.1"


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rule(limit: int, per_seconds: int = 60) -> RateLimit:
    return RateLimit(limit=limit, per_seconds=per_seconds)


async def admitted(limiter: RateLimiter, window: RateLimit, *keys: bytes) -> bool:
    try:
        await limiter.admit("connect", window, keys or (KEY,))
    except Problem as problem:
        return problem.code != "rate_limited"
    return True


async def test_as_many_as_the_limit_and_no_more() -> None:
    clock = Time()
    limiter = RateLimiter(clock=clock)
    assert [await admitted(limiter, rule(3)) for _ in range(5)] == [True, True, True, False, False]


async def test_the_window_slides() -> None:
    clock = Time()
    limiter = RateLimiter(clock=clock)
    for at in (0, 20, 40):
        clock.now = 1000 + at
        assert await admitted(limiter, rule(3))
    clock.now = 1059.9
    assert not await admitted(limiter, rule(3))
    clock.now = 1060
    assert await admitted(limiter, rule(3))
    assert not await admitted(limiter, rule(3))
    clock.now = 1080
    assert await admitted(limiter, rule(3))


async def test_the_wait_that_is_told_is_enough_and_needed() -> None:
    clock = Time()
    limiter = RateLimiter(clock=clock)
    await admitted(limiter, rule(2))
    clock.now += 10
    await admitted(limiter, rule(2))
    clock.now += 5.5
    with pytest.raises(Problem) as refused:
        await limiter.admit("connect", rule(2), (KEY,))
    assert refused.value.headers["Retry-After"] == "45"
    clock.now += 44
    assert not await admitted(limiter, rule(2))
    clock.now += 1
    assert await admitted(limiter, rule(2))


async def test_a_refused_call_is_not_counted() -> None:
    clock = Time()
    limiter = RateLimiter(clock=clock)
    assert await admitted(limiter, rule(1))
    for _ in range(10):
        clock.now += 5
        assert not await admitted(limiter, rule(1))
    clock.now += 10
    assert await admitted(limiter, rule(1))


async def test_every_key_needs_room_and_only_then_all_are_counted() -> None:
    limiter = RateLimiter(clock=Time())
    assert await admitted(limiter, rule(1), b"address", b"token one")
    assert not await admitted(limiter, rule(1), b"address", b"token two")
    # The refused call was not held against its token.
    assert await admitted(limiter, rule(1), b"elsewhere", b"token two")


async def test_a_lowered_limit_counts_what_has_been() -> None:
    clock = Time()
    limiter = RateLimiter(clock=clock)
    for _ in range(10):
        assert await admitted(limiter, rule(10))
        clock.now += 1
    with pytest.raises(Problem) as refused:
        await limiter.admit("connect", rule(2), (KEY,))
    # Nine of the ten must be a minute old: the ninth was made two seconds ago.
    assert refused.value.headers["Retry-After"] == "58"


async def test_looking_does_not_count() -> None:
    limiter = RateLimiter(clock=Time())
    for _ in range(5):
        await limiter.admit("work_next", rule(1), (KEY,), count=False)
    await limiter.hit("work_next", rule(1), (KEY,))
    with pytest.raises(Problem):
        await limiter.admit("work_next", rule(1), (KEY,), count=False)


@given(
    limit=st.sampled_from([1, 3, 120, 121, 500]),
    gaps=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=800),
)
def test_no_window_ever_holds_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    windows, window = LocalWindows(), rule(limit, 10)
    now, hits = 0.0, []
    for gap in gaps:
        now += gap / 100
        if windows.wait_s("x", KEY, window, now) == 0:
            windows.hit("x", KEY, window, now)
            hits.append(now)
    for at, first in enumerate(hits):
        assert sum(1 for hit in hits[at:] if hit < first + 10 - 1e-9) <= limit


def test_a_high_limit_takes_little_memory_and_is_nearly_exact() -> None:
    windows, window = LocalWindows(), rule(1_000_000)
    for at in range(100_000):
        windows.hit("x", KEY, window, at * 0.001)
    (kept,) = windows._by_name["x"].values()
    assert len(kept.slices) <= 122
    # 60 of the 100 seconds are in the window, and at most one slice of half a second more.
    assert 60_000 <= kept.total <= 60_501


def test_idle_callers_are_forgotten() -> None:
    windows, window = LocalWindows(), rule(5)
    for at in range(1000):
        windows.hit("x", str(at).encode(), window, float(at))
    assert len(windows._by_name["x"]) <= 61


def test_callers_that_never_idle_are_bounded() -> None:
    windows, window = LocalWindows(max_keys=50), rule(5)
    for at in range(1000):
        windows.hit("x", str(at).encode(), window, 0.0)
    assert len(windows._by_name["x"]) == 50


async def test_counting_is_cheap_at_any_limit() -> None:
    limiter, window = RateLimiter(), rule(1_000_000)
    started = time.process_time()
    for _ in range(20_000):
        await limiter.admit("work_submit", window, (KEY, b"token"))
    each = (time.process_time() - started) / 20_000
    # Measured at 2 microseconds; the bound leaves room for a busy machine.
    assert each < 50e-6
