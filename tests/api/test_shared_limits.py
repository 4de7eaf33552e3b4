"""Limits that several processes count in together, in a real Redis and while it is away."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from limits.aio.storage import MemoryStorage

from openclaw_jobs.api.limits import RateLimiter
from openclaw_jobs.api.shared_limits import LimitStoreError, StoredWindows, open_limiter
from openclaw_jobs.economy import RateLimit
from openclaw_jobs.kit.errors import Problem
from tests.api.real_redis import Redis
from tests.market.steps import refused, until
from tests.running import Node, Party, running_node

KEY = b"192.0.2.1"
AWAY = "does not answer"
BACK = "answers again"


def rule(limit: int, per_seconds: int = 60) -> RateLimit:
    return RateLimit(limit=limit, per_seconds=per_seconds)


async def admitted(limiter: RateLimiter, window: RateLimit, *keys: bytes) -> bool:
    try:
        await limiter.admit("connect", window, keys or (KEY,))
    except Problem as problem:
        return problem.code != "rate_limited"
    return True


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    server = Redis(tmp_path)
    await server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def limiters(redis: Redis) -> AsyncIterator[list[RateLimiter]]:
    """Two, as two processes open them."""
    opened = [open_limiter(redis.url) for _ in range(2)]
    try:
        yield opened
    finally:
        for limiter in opened:
            await limiter.close()


class TestRedis:
    async def test_two_processes_share_one_window(
        self, limiters: list[RateLimiter], redis: Redis
    ) -> None:
        one, two = limiters
        assert [await admitted(each, rule(4)) for each in (one, two) * 3] == [True] * 4 + [
            False
        ] * 2
        # What is stored says neither whose it is in clear nor stays for ever.
        assert all(key.startswith(b"openclaw:limits") for key in await redis.keys())

    async def test_who_asks_at_the_same_moment_does_not_get_the_last_place_twice(
        self, limiters: list[RateLimiter]
    ) -> None:
        keys = (KEY, b"token")
        answers = await asyncio.gather(
            *(admitted(limiters[n % 2], rule(10), *keys) for n in range(60))
        )
        assert sum(answers) <= 10
        assert sum(answers) >= 5

    async def test_the_window_slides_and_the_wait_that_is_told_is_enough(
        self, limiters: list[RateLimiter]
    ) -> None:
        limiter, window = limiters[0], rule(2, 1)
        assert [await admitted(limiter, window) for _ in range(3)] == [True, True, False]
        with pytest.raises(Problem) as full:
            await limiter.admit("connect", window, (KEY,))
        wait = int(full.value.headers["Retry-After"])
        assert 1 <= wait <= 2
        # Real time: the store's clock is not ours to move.
        await asyncio.sleep(wait)
        assert await admitted(limiter, window)
        # A part of the window before still counts.
        assert [await admitted(limiter, window) for _ in range(2)].count(True) <= 1

    async def test_every_key_needs_room_and_only_then_all_are_counted(
        self, limiters: list[RateLimiter]
    ) -> None:
        limiter = limiters[0]
        assert await admitted(limiter, rule(1), b"address", b"token one")
        assert not await admitted(limiter, rule(1), b"address", b"token two")
        assert await admitted(limiter, rule(1), b"elsewhere", b"token two")

    async def test_a_frozen_store_holds_nobody_up(
        self, limiters: list[RateLimiter], redis: Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        limiter = limiters[0]
        assert await admitted(limiter, rule(3))
        redis.freeze()
        started = time.monotonic()
        answers = [await admitted(limiter, rule(3)) for _ in range(10)]
        # The first waited for the time-out; the others did not ask.
        assert time.monotonic() - started < 3
        assert answers == [True] * 3 + [False] * 7
        assert [r.levelname for r in caplog.records if AWAY in r.message] == ["WARNING"]
        redis.thaw()


@contextlib.asynccontextmanager
async def two_nodes(dsn: str, redis: Redis) -> AsyncIterator[tuple[Node, Node]]:
    async with (
        running_node(dsn, background=False, rate_limit_storage=redis.url) as one,
        running_node(dsn, background=False, rate_limit_storage=redis.url) as two,
    ):
        yield one, two


async def _connect(node: Node) -> httpx.Response:
    return await node.anyone().post("/api/worker/connect", {})


async def test_two_nodes_share_the_limits_and_live_through_a_lost_store(
    dsn: str, redis: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_jobs.api.shared_limits._RETRY_S", 0.2)
    async with two_nodes(dsn, redis) as (one, two):
        three = {"limit": 3, "per_seconds": 60}
        await one.configure("rate_limits", connect=three, api_read=three)
        await until(lambda: two.market.configuration.current.rate_limits.connect.limit == 3)

        answers = [await _connect(node) for node in (one, two, one)]
        assert [answer.status_code for answer in answers] == [201] * 3
        for node in (one, two):
            full = await _connect(node)
            refused(full, 429, "rate_limited")
            assert full.headers["ratelimit-limit"] == "3"
            assert 1 <= int(full.headers["retry-after"]) <= 120
        buyer = await one.buyer()
        same = two.party(buyer.id, buyer.token)
        # By token as well: one buyer, two nodes.
        assert [(await _balance(p)).status_code for p in (buyer, same, buyer, same)] == [
            *(200, 200, 200),
            429,
        ]

        redis.kill()
        # Each node counts alone: the limit holds, there is no 500, and no waiting for the store.
        for node in (one, two):
            answers = [await _connect(node) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        told = [record for record in caplog.records if AWAY in record.message]
        assert len(told) == 2, "once for each of the two nodes"

        await redis.start()
        await _until_back(buyer, caplog)
        assert len([record for record in caplog.records if AWAY in record.message]) == 2


async def _balance(party: Party) -> httpx.Response:
    return await party.get("/api/balance")


async def _until_back(buyer: Party, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(10):
        while not any(BACK in record.message for record in caplog.records):
            assert (await _balance(buyer)).status_code in {200, 429}
            await asyncio.sleep(0.02)


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class BrokenStorage(MemoryStorage):
    """A store that is away until `works`."""

    works = False
    asked = 0

    def __init__(self) -> None:
        super().__init__(wrap_exceptions=True)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ConnectionError

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        self.asked += 1
        if not self.works:
            raise ConnectionError("away")
        return await super().get_sliding_window(key, expiry)


async def test_looking_and_counting() -> None:
    limiter = RateLimiter(StoredWindows(MemoryStorage()))
    for _ in range(3):
        await limiter.admit("work_next", rule(1), (KEY,), count=False)
    await limiter.hit("work_next", rule(1), (KEY,))
    with pytest.raises(Problem) as full:
        await limiter.admit("work_next", rule(1), (KEY,), count=False)
    assert 1 <= int(full.value.headers["Retry-After"]) <= 120


async def test_while_the_store_is_away_it_is_not_asked_at_every_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, store = Time(), BrokenStorage()
    limiter = RateLimiter(StoredWindows(store, clock=clock), clock=clock)
    assert await admitted(limiter, rule(1))
    for _ in range(3):
        assert not await admitted(limiter, rule(1))
    assert (store.asked, caplog.text.count(AWAY)) == (1, 1)
    clock.now += 6
    assert not await admitted(limiter, rule(1))
    # Asked once more, and not told of again.
    assert (store.asked, caplog.text.count(AWAY)) == (2, 1)
    store.works = True
    clock.now += 6
    assert await admitted(limiter, rule(1))
    assert not await admitted(limiter, rule(1))
    assert caplog.text.count(BACK) == 1


@pytest.mark.parametrize("uri", ["nonsense://x", "redis://user:hunter2@host:port", "no uri", ""])
def test_a_store_that_cannot_be_used_is_told_without_its_password(uri: str) -> None:
    with pytest.raises(LimitStoreError) as error:
        open_limiter(uri)
    assert "RATE_LIMIT_STORAGE" in str(error.value)
    assert "hunter2" not in str(error.value)
