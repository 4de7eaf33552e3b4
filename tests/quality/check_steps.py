"""The steps that the tests of checks are made of."""

from dataclasses import dataclass
from typing import LiteralString

from openclaw_jobs.market.judge_checks import judge_checks
from openclaw_jobs.market.queue_checks import queue_checks
from tests.market.steps import claim, complete, post, sql
from tests.running import Json, Node, Party

RIGHT = "The capital of Australia is Canberra, and it was chosen as a compromise."
WRONG = "There are 17 planets, and Pluto is the largest one of them all."
TOTAL = "What is the total of {}, 17 and 4?"
OTHER = "Bread is baked from flour, water, salt and yeast in a hot oven."

QUIET = {
    "enabled": True,
    "shadow_rate": 0,
    "spot_check_rate": 0,
    "benchmark_rate": 0,
    "check_delay_seconds": 0,
    "daily_budget_percent": 0,
    "budget_floor_cents": 100_000,
}
"""No check happens but those that a test asks for, and each at once."""


async def quality(node: Node, **fields: Json) -> None:
    """Set the configuration of quality, the rest of it as in `QUIET`."""
    await node.configure("quality", **{**QUIET, **fields})


async def do_next(worker: Party, result: str) -> Json:
    """Claim one task that must be there, and complete it."""
    claimed = await claim(worker)
    return await complete(worker, claimed, result)


async def settle(node: Node) -> None:
    """Have everything that is due queued, and everything that can be judged, judged."""
    while await queue_checks(node.market) or await judge_checks(node.market):
        pass


async def rows(node: Node, query: LiteralString, *values: object) -> list[tuple[object, ...]]:
    """Rows of the database."""
    return await sql(node, query, *values)


async def checks(node: Node) -> list[tuple[object, ...]]:
    """Kind, stage, both verdicts of every check, oldest first."""
    return await rows(
        node, "SELECT kind, stage, first_verdict, second_verdict FROM checks ORDER BY id"
    )


async def record_of(node: Node, worker: Party) -> tuple[object, ...]:
    """Good, bad and streak of a worker."""
    found = await rows(
        node, "SELECT good, bad, streak FROM worker_records WHERE worker_id = %s", worker.id
    )
    return found[0] if found else (0, 0, 0)


@dataclass
class Disputed:
    """A spot-checked task whose copy says something else, with an arbiter that waits for it."""

    buyer: Party
    task_id: str
    first: Party
    second: Party
    third: Party


async def dispute(node: Node, first: str = WRONG, second: str = RIGHT) -> Disputed:
    """Have a task done and done again, with results that differ; a third is in the queue."""
    await quality(node, spot_check_rate=1)
    buyer = await node.buyer()
    workers = [await node.worker() for _ in range(3)]
    posted = await post(buyer)
    await do_next(workers[0], first)
    await quality(node)
    await settle(node)
    await do_next(workers[1], second)
    await settle(node)
    return Disputed(buyer, posted["id"], *workers)


async def add_gold(node: Node, number: int = 0) -> None:
    body = {"prompt": TOTAL.format(number * 30), "answers": [str(number * 30 + 21)]}
    await node.operator().ok("POST", "/api/admin/benchmarks", body, 201)


async def answer_gold(node: Node, worker: Party, result: str) -> None:
    """Show one gold task to this worker; `{}` in its answer is a number that is wrong."""
    await node.operator().ok("POST", "/api/cron/benchmark-inject")
    claimed = await claim(worker)
    number = int(claimed["prompt"].split()[5].rstrip(","))
    await complete(worker, claimed, result.format(number + 500))
