"""The whole stack: a server process, and client processes that drive it with the SDK."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from bench.processes import Server, client, serving
from bench.report import Figure, best
from bench.seed import SeededWorker, add_tasks, make_buyers, make_workers
from bench.server import NOOP, NOOP_PUBLIC
from bench.stage import SETTINGS, Stage, hidden_done, prove
from openclaw_jobs.app import open_market
from openclaw_jobs.market.context import Market

GROUP = "HTTP, SDK"
NOOP_NAME = "no-op POST, worker's token"
_BUYERS = 50
_WORKERS = 128
_CLIENTS = 1

_AIMS: dict[str, dict[str, Any]] = {
    NOOP_NAME: {"unit": "requests/s"},
    "no-op POST, public": {"unit": "requests/s"},
    "single: next, submit": {"unit": "tasks/s", "limit": NOOP_NAME},
    "next: each submit brings one": {
        "unit": "tasks/s",
        "limit": NOOP_NAME,
        "aim": 1_000,
        "aim_share": 0.25,
    },
    "batches of 20": {"unit": "tasks/s", "limit": NOOP_NAME, "aim": 2_000},
}
_TASKS: dict[str, dict[str, Any]] = {
    NOOP_NAME: {"mode": "noop", "path": NOOP},
    "no-op POST, public": {"mode": "noop", "path": NOOP_PUBLIC},
    "single: next, submit": {"mode": "single"},
    "next: each submit brings one": {"mode": "next"},
    "batches of 20": {"mode": "batch"},
}
# More than can be done in the time: nobody must wait for work.
_MOST_PER_SECOND = {"single": 3_000, "next": 4_000, "batch": 8_000, "noop": 0}


async def run(stage: Stage) -> list[Figure]:
    """All modes in turn, again and again, so that the noise of the machine meets all alike."""
    seconds, repeats = (1.0, 1) if stage.quick else (5.0, 4)
    rates: dict[str, list[float]] = {name: [] for name in _TASKS}
    for _ in range(repeats):
        with stage.database("bench_http") as dsn:
            async with open_market(SETTINGS, dsn) as market:
                await _round(market, dsn, seconds, rates)
    return [best(GROUP, name, rates[name], **aims) for name, aims in _AIMS.items()]


async def _round(market: Market, dsn: str, seconds: float, rates: dict[str, list[float]]) -> None:
    workers = await make_workers(market, _WORKERS)
    buyers = await make_buyers(market, _BUYERS)
    settled = 0
    async with serving(dsn) as server:
        for name, task in _TASKS.items():
            await asyncio.to_thread(
                add_tasks, market, dsn, buyers, int(_MOST_PER_SECOND[task["mode"]] * seconds)
            )
            done, rate = await drive(server, workers, seconds=seconds, **task)
            rates[name].append(rate)
            if task["mode"] != "noop":
                settled += done
    await prove(market, settled - await hidden_done(market))


async def drive(
    server: Server,
    workers: Sequence[SeededWorker],
    *,
    clients: int = _CLIENTS,
    **task: Any,  # noqa: ANN401 - JSON
) -> tuple[int, float]:
    """How much client processes got done together, and how much that is a second."""
    tokens = [worker.token for worker in workers]
    async with contextlib.AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(
                client(do="rate", url=server.url, tokens=tokens[at::clients], **task)
            )
            for at in range(clients)
        ]
        for process in running:
            await process.go()
        results = [await process.result() for process in running]
    done = sum(result["done"] for result in results)
    return done, done / max(result["seconds"] for result in results)
