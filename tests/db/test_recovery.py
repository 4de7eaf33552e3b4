"""A lost server: nothing that was acknowledged is lost, and work goes on as soon as it is back."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from openclaw_jobs.db import Database, is_unavailable
from openclaw_jobs.db.embedded import EmbeddedServer
from openclaw_jobs.db.revision import current_revision
from tests.conftest import TEST_SETTINGS

WRITERS = 16
# It takes a tenth of a second on an idle machine; this is for one that is busy.
BACK_AFTER_S = 20.0


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedServer]:
    # It will crash, so it syncs what it acknowledges.
    with EmbeddedServer.start(data_dir) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute(
                "CREATE TABLE marks (writer int, number int, PRIMARY KEY (writer, number))"
            )
        yield server


async def until(condition: Callable[[], bool], timeout_s: float, state: Callable[[], str]) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, state()
        await asyncio.sleep(0.005)


def end_all_backends(dsn: str) -> None:
    with psycopg.connect(dsn) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_dead_connections_are_noticed_before_they_are_used(dsn: str) -> None:
    async with await Database.open(dsn, min_size=6, max_size=6) as db:

        async def ask(*, begin: bool) -> object:
            async with db.transaction() if begin else db.read() as conn:
                return await (await conn.execute("SELECT 1")).fetchone()

        for begin in (False, True):
            await asyncio.to_thread(end_all_backends, dsn)
            answers = await asyncio.gather(*(ask(begin=begin) for _ in range(12)))
            assert answers == [(1,)] * 12


async def test_a_begin_that_meets_a_dead_connection_moves_to_another(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server can go between the look at the socket and BEGIN: here it always does.
    monkeypatch.setattr("openclaw_jobs.db.pool.has_peer", lambda _: True)
    async with await Database.open(dsn, min_size=6, max_size=6) as db:
        await asyncio.to_thread(end_all_backends, dsn)
        async with db.transaction() as conn:
            assert await (await conn.execute("SELECT 1")).fetchone() == (1,)


async def test_a_crash_under_load_loses_nothing_acknowledged(server: EmbeddedServer) -> None:
    acknowledged: set[tuple[int, int]] = set()
    last_success = 0.0
    failures: list[BaseException] = []
    stop, begun, crashed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def write(writer: int) -> None:
        nonlocal last_success
        number = 0
        while not stop.is_set():
            number += 1
            try:
                async with db.transaction() as conn:
                    await conn.execute("INSERT INTO marks VALUES (%s, %s)", (writer, number))
            except psycopg.Error as exc:
                failures.append(exc)
            else:
                acknowledged.add((writer, number))
                last_success = time.monotonic()

    async def span_the_crash() -> None:
        async with db.transaction() as conn:
            await conn.execute("SELECT 1")
            begun.set()
            await crashed.wait()
            await conn.execute("SELECT 1")

    async with await Database.open(server.dsn(), role=None, max_size=8) as db:

        def state() -> str:
            return f"{len(acknowledged)} written, {failures[-3:]}, {db.stats()}"

        writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
        await until(lambda: len(acknowledged) > 50 * WRITERS, 30, state)
        spanning = asyncio.create_task(span_the_crash())
        await begun.wait()
        await asyncio.to_thread(server.restart, immediate=True)
        back = time.monotonic()
        crashed.set()
        with pytest.raises(psycopg.OperationalError):
            await spanning
        await until(lambda: last_success > back, BACK_AFTER_S, state)
        before = set(acknowledged)
        await until(
            lambda: {w for w, _ in acknowledged - before} == set(range(WRITERS)),
            BACK_AFTER_S,
            state,
        )
        stop.set()
        await asyncio.gather(*writers)
        async with db.read() as conn:
            rows = await (await conn.execute("SELECT writer, number FROM marks")).fetchall()
    assert [exc for exc in failures if not is_unavailable(exc)] == []
    stored = {(writer, number) for writer, number in rows}
    assert acknowledged <= stored
    # A COMMIT whose answer was lost may stand: at most one for each connection of the pool.
    assert len(stored - acknowledged) <= 8


async def test_a_stopped_server_is_reported_in_time_and_found_again(data_dir: Path) -> None:
    keeper = EmbeddedServer.start(data_dir, settings=TEST_SETTINGS)
    try:
        async with await Database.open(
            keeper.dsn(), role=None, acquire_timeout_s=0.2, min_size=2
        ) as db:
            assert await asyncio.to_thread(keeper.stop)
            with pytest.raises(psycopg.OperationalError) as caught:
                await db.latency_ms()
            assert is_unavailable(caught.value)
            keeper = await asyncio.to_thread(EmbeddedServer.start, data_dir)
            started = time.monotonic()
            while True:
                try:
                    await db.latency_ms()
                    break
                except psycopg.OperationalError:
                    assert time.monotonic() - started < BACK_AFTER_S
    finally:
        keeper.stop()


async def test_closing_does_not_wait_for_a_server_that_is_gone(data_dir: Path) -> None:
    server = EmbeddedServer.start(data_dir, settings=TEST_SETTINGS)
    try:
        db = await Database.open(server.dsn(), role=None, acquire_timeout_s=0.1)
        await asyncio.to_thread(server.stop)
        with pytest.raises(psycopg.OperationalError):
            await db.latency_ms()
        started = time.monotonic()
        await db.close()
        assert time.monotonic() - started < 2
    finally:
        server.stop()


def test_a_server_that_recovers_is_waited_for_and_one_that_is_not_there_is_not() -> None:
    fields = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
    turned_away = 0

    def turn_away(listener: socket.socket) -> None:
        nonlocal turned_away
        for _ in range(3):
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(b"E" + (4 + len(fields)).to_bytes(4) + fields)
            turned_away += 1
        listener.close()

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serving = threading.Thread(target=turn_away, args=(listener,))
    serving.start()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        current_revision(f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable")
    serving.join()
    assert turned_away == 3
