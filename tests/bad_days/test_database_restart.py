"""PostgreSQL crashes and comes back under load: 503 at the worst, and everything goes on."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from openclaw_jobs.db.embedded import EmbeddedServer
from tests.bad_days.load import Load
from tests.bad_days.programs import background, behind, together, until, web
from tests.dispatch.sockets import RawCall, poll

WORKERS = 6
PARKED = 5
TASKS = 120


@dataclass
class Listener:
    """A buyer's event stream, resumed from where it was whenever it ends."""

    address: str
    key: str
    seqs: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    opened: int = 0
    position: str | None = None

    async def listen(self) -> None:
        async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
            while True:
                headers = {"Authorization": f"Bearer {self.key}"}
                if self.position is not None:
                    headers["Last-Event-ID"] = self.position
                # A stream that breaks off is opened again from its position: that is the test.
                with contextlib.suppress(httpx.TransportError):
                    async with client.stream(
                        "GET", f"{self.address}/api/events", headers=headers
                    ) as answer:
                        if answer.status_code == 200:
                            self.opened += 1
                            async for line in answer.aiter_lines():
                                self._hear(line)
                        else:
                            assert answer.status_code == 503
                await asyncio.sleep(0.05)

    def _hear(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self.position = value
        elif name == "event":
            self.kinds.append(value)
        elif name == "data":
            assert self.position is not None
            self.seqs.append(int(self.position))


async def _buy(load: Load, key: str) -> None:
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
        for first in range(0, TASKS, 4):
            await asyncio.gather(*(load.buy(client, key, f"task {first + n}") for n in range(4)))


async def _serve_parked(load: Load, key: str, parked: list[RawCall]) -> None:
    """Those that were parked through the crash get what is posted for them now."""
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
        for _ in parked:
            answer = await load.call(
                client, "POST", "/api/task", key, json={"prompt": "x", "category": "quiet"}
            )
            assert answer is not None
            assert answer.status_code == 201
    async with asyncio.timeout(30):
        assert [await each.status() for each in parked] == [200] * PARKED
    for each in parked:
        await each.hang_up()


async def test_a_crash_of_postgresql_under_load(data_dir: Path) -> None:
    server = await asyncio.to_thread(EmbeddedServer.start, data_dir)
    try:
        await _crash_under_load(server)
    finally:
        await asyncio.to_thread(server.stop)


async def _crash_under_load(server: EmbeddedServer) -> None:
    dsn = server.dsn()
    async with (
        behind(dsn, lease_seconds=2, strikes=100, max_attempts=100) as back,
        together(web(dsn), web(dsn), background(dsn)) as (first, second, third),
    ):
        load = Load([first.address, second.address])
        key = await back.buyer()
        quiet = await back.worker(categories=["quiet"], max_concurrent=100)
        busy = [await back.worker(categories=["general"]) for _ in range(WORKERS)]
        listener = Listener(second.address, key)
        listening = asyncio.create_task(listener.listen())
        parked = [await poll((first, second)[n % 2].address, quiet, wait=60) for n in range(PARKED)]
        await until(lambda: listener.position is not None)
        start = int(listener.position or 0)
        lives = [asyncio.create_task(load.work(token)) for token in busy]
        buying = asyncio.create_task(_buy(load, key))
        for _ in range(2):
            await load.acknowledged(15)
            await asyncio.to_thread(server.restart, immediate=True)
        await load.acknowledged(20, timeout_s=60)
        await asyncio.wait_for(buying, 120)
        assert len(load.posted) == TASKS
        await until(lambda: back.statuses() == {"completed": TASKS}, 120)
        load.stop.set()
        await asyncio.gather(*lives)
        assert load.away == 0, "a process went away with its database"
        assert {status for status, _ in load.answers} <= {200, 201, 204, 409, 503}
        await _serve_parked(load, key, parked)
        await load.check_receipts(back)
        await back.prove()

        (last,) = back.rows("SELECT max(seq) FROM events")[0]
        await until(lambda: bool(listener.seqs) and listener.seqs[-1] == last, 30)
        listening.cancel()
        assert listener.seqs == list(range(start + 1, last + 1))
        assert listener.kinds.count("task.completed") == TASKS
        await asyncio.gather(*(each.stop() for each in (first, second, third)))
        for each in (first, second, third):
            assert "wakes_disconnected" in each.text(), "the crash was not noticed, so it was none"
            assert "Traceback" not in each.text(), each.text()
