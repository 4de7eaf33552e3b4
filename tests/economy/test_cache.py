"""The configuration in memory: at hand, followed on every node, kept through an outage."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import psycopg
import pytest
from structlog.testing import capture_logs

from openclaw_jobs.db import Connection, Database
from openclaw_jobs.economy import Config, ConfigCache, StoredConfigError, service, store
from openclaw_jobs.economy.cache import MAX_INTERVAL_S

IN_FORCE_WITHIN_S = 5.0


class Hurried(random.Random):
    """Makes a cache look for changes without pause, so that a test need not wait."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - the signature of Random
        return 0.0


class Faulty:
    """A database whose reads fail with `error` while there is one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.error: Exception | None = None
        self.reads = 0

    def read(self) -> AbstractAsyncContextManager[Connection]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self._db.read()


@pytest.fixture
async def seeded(db: Database) -> Database:
    async with db.transaction() as conn:
        await service.seed(conn)
    return db


async def set_bonus(db: Database, cents: int) -> None:
    async with db.transaction() as conn:
        await service.put(conn, "signup", {"bonus_cents": cents}, "ann")


async def until(condition: Callable[[], bool], within_s: float = IN_FORCE_WITHIN_S) -> float:
    """Wait for something that happens in the background; how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within_s, "it did not happen in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


@asynccontextmanager
async def running(cache: ConfigCache) -> AsyncIterator[ConfigCache]:
    await cache.start()
    try:
        yield cache
    finally:
        await cache.stop()


async def test_a_change_is_in_force_on_every_node_in_time(seeded: Database, dsn: str) -> None:
    async with (
        await Database.open(dsn, min_size=1, max_size=2) as other_node,
        running(ConfigCache(seeded)) as here,
        running(ConfigCache(other_node)) as there,
    ):
        before = there.current
        await set_bonus(seeded, 4_321)
        assert await here.refresh()
        assert here.current.signup.bonus_cents == 4_321
        await until(lambda: there.current.signup.bonus_cents == 4_321)
        assert there.current == here.current
        assert there.current.versions["signup"] == 2
        # What a caller holds is a snapshot and doesn't change under its hands.
        assert before.signup.bonus_cents != 4_321


def test_the_longest_pause_leaves_room_for_the_look_up() -> None:
    assert MAX_INTERVAL_S * 2 < IN_FORCE_WITHIN_S


async def test_nothing_is_at_hand_before_the_start(seeded: Database) -> None:
    cache = ConfigCache(seeded)
    with pytest.raises(RuntimeError, match="not started"):
        _ = cache.current


async def test_starting_twice_is_a_mistake_and_stopping_twice_is_not(seeded: Database) -> None:
    async with running(ConfigCache(seeded)) as cache:
        with pytest.raises(RuntimeError, match="already started"):
            await cache.start()
    await cache.stop()
    assert cache.current.versions["signup"] == 1
    async with running(cache):
        await set_bonus(seeded, 1)
        await cache.refresh()
        assert cache.current.signup.bonus_cents == 1


async def test_a_start_without_a_configuration_fails(db: Database) -> None:
    with pytest.raises(StoredConfigError, match="never seeded"):
        await ConfigCache(db).start()


async def test_looking_costs_one_small_statement_while_nothing_changes(
    seeded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(ConfigCache(seeded)) as cache:
        before = cache.current

        async def too_much(*_: object) -> None:
            raise AssertionError("read the sections again though nothing had changed")

        monkeypatch.setattr(store, "latest", too_much)
        assert await cache.refresh()
        assert cache.current is before


async def test_refreshing_at_once_from_many_sides_ends_at_the_newest(seeded: Database) -> None:
    async with running(ConfigCache(seeded, rng=Hurried())) as cache:

        async def change(cents: int) -> None:
            await set_bonus(seeded, cents)
            await cache.refresh()
            assert cache.current.versions["signup"] >= 2

        await asyncio.gather(*(change(cents) for cents in range(20)))
        assert cache.current.versions["signup"] == 21


async def test_an_older_look_up_never_overwrites_a_newer_one(
    seeded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, have_read, go_on = service.load_all, asyncio.Event(), asyncio.Event()

    async def slow_at_first(conn: Connection) -> Config:
        config = await load(conn)
        if not have_read.is_set():
            have_read.set()
            await go_on.wait()
        return config

    async with running(ConfigCache(seeded)) as cache:
        monkeypatch.setattr(service, "load_all", slow_at_first)
        await set_bonus(seeded, 2)
        older = asyncio.create_task(cache.refresh())
        await have_read.wait()
        await set_bonus(seeded, 3)
        newer = asyncio.create_task(cache.refresh())
        await asyncio.wait({newer}, timeout=0.2)  # room for it to overtake, if it could
        go_on.set()
        assert all(await asyncio.gather(older, newer))
        assert cache.current.signup.bonus_cents == 3


async def test_an_outage_keeps_the_last_known_and_is_logged_once(seeded: Database) -> None:
    db = Faulty(seeded)
    with capture_logs() as logs:
        async with running(ConfigCache(db, rng=Hurried())) as cache:
            known = cache.current
            db.error = psycopg.OperationalError("the server is away")
            seen = db.reads
            await until(lambda: db.reads > seen + 20)
            assert cache.current is known
            assert not await cache.refresh()
            await set_bonus(seeded, 99)
            db.error = None
            await until(lambda: cache.current.signup.bonus_cents == 99)
    events = [entry["event"] for entry in logs if entry["event"] != "config_loaded"]
    assert events == ["config_refresh_failed", "config_refresh_recovered"]


async def test_a_real_outage_is_survived(seeded: Database, dsn: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    async with (
        await Database.open(dsn, min_size=1, max_size=2, acquire_timeout_s=0.2) as node,
        running(ConfigCache(node)) as cache,
    ):
        known = cache.current
        with psycopg.connect(dsn, dbname="postgres", autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            assert not await cache.refresh()
            assert cache.current is known
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        await set_bonus(seeded, 77)
        await until(lambda: cache.current.signup.bonus_cents == 77, within_s=15)


async def test_a_stored_value_of_no_use_keeps_the_last_known(seeded: Database, dsn: str) -> None:
    async with running(ConfigCache(seeded)) as cache:
        known = cache.current
        with psycopg.connect(dsn) as admin:
            admin.execute(
                "INSERT INTO config_versions (key, version, value, actor)"
                " VALUES ('signup', 2, '{\"bonus_cents\": -3}', 'by hand')"
            )
        assert not await cache.refresh()
        assert cache.current is known


async def test_even_a_defect_does_not_end_the_following(seeded: Database) -> None:
    db = Faulty(seeded)
    with capture_logs() as logs:
        async with running(ConfigCache(db, rng=Hurried())) as cache:
            db.error = ZeroDivisionError("a defect")
            seen = db.reads
            await until(lambda: db.reads > seen + 2)
            db.error = None
            await set_bonus(seeded, 5)
            await until(lambda: cache.current.signup.bonus_cents == 5)
    assert "config_refresh_crashed" in [entry["event"] for entry in logs]
