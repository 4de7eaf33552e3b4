"""The dispatch kernel: claim and submit through the use cases, everything but HTTP included."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from bench import limits
from bench.report import Figure, best
from bench.seed import RESULT, SeededWorker, add_tasks, make_buyers, make_workers
from bench.stage import SETTINGS, Stage, prove
from openclaw_jobs.app import open_market
from openclaw_jobs.dispatch.models import Claim, ClaimRequest, Lane, SeekerClass
from openclaw_jobs.market.claim_tasks import claim_tasks
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.submit_work import Receipt, Submission, submit_work
from openclaw_jobs.workers import WorkerIdentity

GROUP = "kernel"
BATCH = 50
_BUYERS = 50


class OneSeeker(msgspec.Struct, frozen=True):
    """A worker that wants tasks now."""

    worker: WorkerIdentity
    want: int
    arrival: int = 1
    gone: bool = False


async def claim(market: Market, worker: SeededWorker, want: int, lane: Lane = None) -> list[Claim]:
    """Claim up to `want` tasks for one worker, as the matcher does."""
    seekers = [OneSeeker(worker.identity, want)]
    everybody = SeekerClass(
        worker.identity.tier, worker.identity.preferences, lambda: iter(seekers)
    )
    request = ClaimRequest(lanes={lane: None}, limit=want, classes=[everybody])
    result = await claim_tasks(market, request)
    return [assignment.claim for assignment in result.assignments]


async def submit(market: Market, claims: Sequence[Claim]) -> int:
    """Submit results for claims; returns how many were settled."""
    answers = await submit_work(
        market,
        [
            Submission(
                worker_id=claim.worker_id,
                task_id=claim.task_id,
                lease_token=claim.lease_token,
                status="completed",
                result=RESULT,
                error=None,
                usage=None,
            )
            for claim in claims
        ],
    )
    return sum(isinstance(answer, Receipt) and answer.earned_cents > 0 for answer in answers)


async def run(stage: Stage) -> list[Figure]:
    """Settle tasks with 1, 2 and 4 drivers at once, in this one process."""
    count, repeats = (2_000, 1) if stage.quick else (20_000, 3)
    figures = []
    for drivers in (1, 2, 4):
        rates = []
        for _ in range(repeats):
            with stage.database("bench_kernel") as dsn:
                rates.append(await measure(dsn, drivers, count))
        figures.append(
            best(
                GROUP,
                f"claim → settle, batches of 50, {drivers} drivers",
                rates,
                "tasks/s",
                limit=limits.name(drivers),
                aim=5_000 if drivers > 1 else None,
            )
        )
    return figures


async def measure(dsn: str, drivers: int, count: int) -> float:
    """Settled tasks per second of `drivers` coroutines until the queue is empty."""
    async with open_market(SETTINGS, dsn) as market:
        workers = await make_workers(market, drivers)
        add_tasks(market, dsn, await make_buyers(market, _BUYERS), count)

        async def drive(worker: SeededWorker) -> int:
            settled = 0
            while claims := await claim(market, worker, BATCH):
                settled += await submit(market, claims)
            return settled

        started = time.perf_counter()
        settled = sum(await asyncio.gather(*map(drive, workers)))
        elapsed = time.perf_counter() - started
        assert settled == count, (settled, count)
        await prove(market, settled)
    return settled / elapsed
