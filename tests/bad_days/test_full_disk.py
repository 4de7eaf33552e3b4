"""PostgreSQL's disk is full: 503 at the worst, and everything goes on once there is room."""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from openclaw_jobs.db.embedded import EmbeddedServer
from tests.bad_days.load import Load
from tests.bad_days.programs import Back, background, behind, together, until, web

SIZE = "160m"
SMALL = {"min_wal_size": "32MB", "max_wal_size": "64MB", "shared_buffers": "32MB", "fsync": "off"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of `SIZE`."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        ("/bin/mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        yield tmp_path
    finally:
        subprocess.run(("/bin/umount", "--lazy", str(tmp_path)), check=True)


def fill(disk: Path) -> Path:
    """Leave no room at all."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        block = bytes(1 << 20)
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]
    return path


async def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    """With no room in the tables statements fail; with none in the log PostgreSQL itself ends."""
    server = await asyncio.to_thread(EmbeddedServer.start, small_disk, settings=SMALL)
    try:
        async with (
            behind(server.dsn(), lease_seconds=2, strikes=100, max_attempts=100) as back,
            together(web(server.dsn()), background(server.dsn())) as (node, jobs),
        ):
            load = Load([node.address])
            await _trade(load, back, server, small_disk)
            await back.prove()
            assert load.away == 0, "a process went away with the disk"
            assert {status for status, _ in load.answers} <= {200, 201, 204, 409, 503}
            await asyncio.gather(node.stop(), jobs.stop())
            assert "Traceback" not in node.text() + jobs.text()
    finally:
        await asyncio.to_thread(server.stop)


async def _trade(load: Load, back: Back, server: EmbeddedServer, disk: Path) -> None:
    key, stop = await back.buyer(), asyncio.Event()
    lives = [asyncio.create_task(load.work(await back.worker())) for _ in range(3)]
    buying = [asyncio.create_task(_buy(load, key, f"b{n}", stop)) for n in range(4)]
    await load.acknowledged(5)

    filler = fill(disk)
    await _refused(load, 10)
    assert "PANIC" not in server_log(disk)
    filler.unlink()
    await load.acknowledged(5)

    filler = fill(disk)
    await asyncio.to_thread(_use_up_the_log, server.dsn())
    await _refused(load, 3)
    assert "PANIC" in server_log(disk)
    filler.unlink()
    # As systemd or a container does: PostgreSQL ended when it could not write.
    await asyncio.to_thread(server.restart)
    await load.acknowledged(5)

    stop.set()
    await asyncio.gather(*buying)
    await load.all_done(back)
    load.stop.set()
    await asyncio.gather(*lives)
    await load.check_receipts(back)


async def _refused(load: Load, more: int) -> None:
    """Wait until so many more calls were refused, each as it should be."""
    goal = load.answers[503, "unavailable"] + more
    await until(lambda: load.answers[503, "unavailable"] >= goal, 30)


def _use_up_the_log(dsn: str) -> None:
    """Go on to segments of the write-ahead log that there is no room for."""
    # It writes to the log alone: a table would be refused first.
    fill_up = "SELECT pg_logical_emit_message(false, 'x', repeat('x', 4000000))"
    try:
        with psycopg.connect(dsn, autocommit=True) as conn:
            for _ in range(100):
                conn.execute(fill_up)
    except psycopg.OperationalError:
        return
    pytest.fail("the log found room")


def server_log(disk: Path) -> str:
    """What PostgreSQL said."""
    return "".join(path.read_text() for path in (disk / "postgres" / "log").glob("*.log"))


async def _buy(load: Load, key: str, name: str, stop: asyncio.Event) -> None:
    """Post long tasks, each with a text that can't be made shorter."""
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
        number = 0
        while not stop.is_set():
            number += 1
            await load.buy(client, key, f"{name} {number}", secrets.token_hex(10_000))
