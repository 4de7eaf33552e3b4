"""`serve` is killed in the middle of submits: nothing that it acknowledged is lost."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx

from openclaw_jobs.db.embedded import EmbeddedServer
from tests.bad_days.load import Load
from tests.bad_days.programs import behind, postgres_processes, serve, until

WORKERS = 6
KILLS = 2


async def test_a_killed_server_loses_nothing_acknowledged(data_dir: Path) -> None:
    load = Load([_nowhere()])
    # A process beside `serve` that uses the same server, as an operator's command would.
    server = await asyncio.to_thread(EmbeddedServer.start, data_dir)
    try:
        async with behind(server.dsn(), lease_seconds=2, strikes=100, max_attempts=50) as back:
            tokens = [await back.worker() for _ in range(WORKERS)]
            key = await back.buyer()
            lives = [asyncio.create_task(load.work(token)) for token in tokens]
            buying = asyncio.create_task(_buy(load, key, 100))
            for _ in range(KILLS):
                async with serve(data_dir) as running:
                    load.addresses = [running.address]
                    await load.acknowledged(12)
                    running.kill()
                    assert await running.ended() == -9
                    load.addresses = [_nowhere()]
            assert load.away > 0, "the kill was not noticed, so it was none"
            async with serve(data_dir) as running:
                load.addresses = [running.address]
                await asyncio.wait_for(buying, 120)
                await load.all_done(back)
                load.stop.set()
                await asyncio.gather(*lives)
                await load.check_receipts(back)
                await back.prove()
                assert len(load.posted) == 100
                await running.stop()
        assert {status for status, _ in load.answers} <= {200, 201, 204, 404, 409, 503}
    finally:
        assert await asyncio.to_thread(server.stop), "serve still held the server"
    assert postgres_processes(data_dir) == []


async def test_a_killed_server_alone_is_found_again_and_stopped(data_dir: Path) -> None:
    async with serve(data_dir) as running:
        running.kill()
        await running.ended()
    assert postgres_processes(data_dir), "PostgreSQL outlives it"
    async with serve(data_dir) as again:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501
            answer = await client.get(f"{again.address}/api/health")
            assert answer.json()["database"]["ok"] is True
        await again.stop()
    assert postgres_processes(data_dir) == []


async def test_serve_starts_its_ended_database_again(data_dir: Path) -> None:
    async with (
        httpx.AsyncClient(trust_env=False, verify=False) as client,  # noqa: S501
        serve(data_dir) as running,
    ):
        connect = f"{running.address}/api/worker/connect"
        connected = (await client.post(connect, json={})).json()
        pid_file = data_dir / "postgres" / "postmaster.pid"
        ended = pid_file.read_text().split()[0]
        os.kill(int(ended), signal.SIGKILL)
        await until(lambda: pid_file.read_text().split()[0] != ended)
        token = {"Authorization": f"Bearer {connected['token']}"}
        async with asyncio.timeout(60):
            me = await client.get(f"{running.address}/api/worker/me", headers=token)
            while me.status_code == 503:
                await asyncio.sleep(0.1)
                me = await client.get(f"{running.address}/api/worker/me", headers=token)
        assert me.json()["worker_id"] == connected["worker_id"]
        await running.stop()
    assert postgres_processes(data_dir) == []


async def test_two_serves_on_one_data_directory_share_its_server(data_dir: Path) -> None:
    async with (
        httpx.AsyncClient(trust_env=False, verify=False) as client,  # noqa: S501
        serve(data_dir) as first,
        serve(data_dir) as second,
    ):
        assert first.address != second.address
        connected = await client.post(f"{first.address}/api/worker/connect", json={})
        token = {"Authorization": f"Bearer {connected.json()['token']}"}
        me = await client.get(f"{second.address}/api/worker/me", headers=token)
        assert me.json()["worker_id"] == connected.json()["worker_id"]
        # A third that asks for a port that is taken says so and leaves the others alone.
        port = first.address.rsplit(":", 1)[1]
        third = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "openclaw_jobs.cli", "serve"),
            *("--port", port, "--data-dir", str(data_dir)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(third.communicate(), 60)
        assert third.returncode == 1
        assert f"Address already in use: 127.0.0.1 port {port}".encode() in said
        assert b"Traceback" not in said
        await first.stop()
        me = await client.get(f"{second.address}/api/worker/me", headers=token)
        assert me.status_code == 200
        await second.stop()
    await until(lambda: postgres_processes(data_dir) == [], 30)


async def _buy(load: Load, key: str, count: int) -> None:
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
        for first in range(0, count, 5):
            await asyncio.gather(*(load.buy(client, key, f"task {first + n}") for n in range(5)))


def _nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"
