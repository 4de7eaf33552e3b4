"""Twenty workers in twenty processes, five of them bad, each in its own way: who is stopped?

The server is a process as in production, with its background jobs. The workers call with the SDK
from addresses of their own, buyers post questions whose answers can be checked, and honest workers
word and lay out their answers as they like. The rules are those of production, with three rates
raised so that it ends soon: shadows, gold tasks, and the budget of a market in its first days.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from bench import questions
from bench.processes import Client, serving, starting
from bench.report import Figure
from bench.seed import CREDIT_CENTS, Buyer, make_buyers
from bench.stage import SETTINGS, Stage, prove
from openclaw_jobs.app import open_market
from openclaw_jobs.client import AsyncBuyer
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.manage_golds import add_gold
from openclaw_jobs.market.review_standing import stop_suspects

GROUP: Final = "town"
BAD: Final = ("empty", "constant", "copied prompt", "wrong numbers", "turncoat")
QUALITY: Final = {
    "shadow_rate": 0.1,
    "benchmark_rate": 0.1,
    "check_delay_seconds": 2,
    "budget_floor_cents": 1_000_000,
}
_UNLIMITED: Final = {"limit": 1_000_000, "per_seconds": 60}
_LIMITS: Final = ("work_next", "work_submit", "task_submit", "worker_write", "api_read")

_QUEUED: Final = 30
_DRAIN_S: Final = 120
_WAITING: Final = "SELECT count(*) FROM tasks WHERE status = 'queued' AND buyer_id IS NOT NULL"
# A hidden task that nobody may have any more, as all who were left have read it, expires later.
_OPEN: Final = (
    "SELECT (SELECT count(*) FROM tasks WHERE status = 'claimed'"
    " OR (status = 'queued' AND buyer_id IS NOT NULL))"
    " + (SELECT count(*) FROM checks WHERE stage IN ('comparing', 'deciding'))"
)
_CHARGED_FOR_HIDDEN: Final = """
    SELECT count(*) FROM tasks t JOIN postings p ON p.owner = t.id
        JOIN postings b ON b.transfer_id = p.transfer_id AND b.account LIKE 'buyer:%'
    WHERE t.buyer_id IS NULL
"""
_FIGURES: Final = """
    SELECT count(*) FILTER (WHERE buyer_id IS NOT NULL),
        count(*) FILTER (WHERE buyer_id IS NULL AND status IN ('completed', 'credited')),
        (SELECT count(*) FROM checks WHERE stage = 'decided'),
        (SELECT count(*) FROM checks WHERE arbiter_task_id IS NOT NULL),
        (SELECT sum(spent_cents)::bigint FROM checks),
        sum(price_cents) FILTER (WHERE buyer_id IS NOT NULL)::bigint
    FROM tasks
"""


@dataclass(frozen=True)
class Size:
    """How large a town is.

    Attributes:
        honest: How many good workers there are beside the five bad ones.
        task_s: How long a worker needs for a task.
        most_tasks: When to give up: so many tasks were posted.
        golds: How many gold tasks there are.
        at_once: Whether suspects are stopped as soon as they are, and not at a random time after.
    """

    honest: int = 15
    task_s: float = 1.0
    most_tasks: int = 6_000
    golds: int = 60
    at_once: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a town came to.

    Attributes:
        stopped: After how many completed tasks each kind of bad worker was suspended.
        honest: How many good workers there were.
        blamed: How many of them were suspended.
        paid: How many tasks of buyers were completed.
        hidden: How many hidden ones.
        checks: How many checks were decided.
        disputed: How many of them a third had to decide.
        share: The cost of checks as a share of what buyers paid.
        honest_bad: Results of honest workers that were found bad, of all their results.
        seconds: How long it took.
    """

    stopped: dict[str, int]
    honest: int
    blamed: int
    paid: int
    hidden: int
    checks: int
    disputed: int
    share: float
    honest_bad: float
    seconds: float


async def run(stage: Stage) -> list[Figure]:
    """One town."""
    size = Size(honest=6, task_s=0.3, golds=30, at_once=True) if stage.quick else Size()
    with stage.database("bench_town") as dsn:
        found = await live(dsn, size)
    notes = {
        "turncoat": "25 good results first",
        "wrong numbers": "one number, or one word, is another",
    }
    note = (
        f"of {found.honest}; {found.paid:,} paid and {found.hidden:,} hidden tasks in"
        f" {found.seconds:.0f} s, {found.checks:,} checks decided, {found.disputed:,} by a third"
    )
    return [
        *(
            Figure(
                group=GROUP,
                name=f"stopped after: {kind}",
                value=found.stopped[kind],
                unit="tasks",
                note=notes.get(kind, ""),
            )
            for kind in BAD
        ),
        Figure(
            group=GROUP,
            name="honest workers stopped",
            value=found.blamed,
            unit="workers",
            aim=0,
            aim_at_most=True,
            note=note,
        ),
        Figure(
            group=GROUP,
            name="honest results found bad",
            value=found.honest_bad * 100,
            unit="%",
            note="of those that were judged",
        ),
        Figure(
            group=GROUP,
            name="cost of checks",
            value=found.share * 100,
            unit="% of paid work",
            note="all workers are new, and the rates are raised",
        ),
    ]


async def live(dsn: str, size: Size) -> Outcome:
    """Open a town on a fresh database, let it work until every bad worker is stopped, and prove it.

    Raises:
        AssertionError: A bad worker was not stopped in time, or an honest one was; or the money of
            a buyer, or the ledger, does not add up.
    """
    async with open_market(SETTINGS, dsn) as market:
        await change_config(market, "quality", QUALITY, None, "town")
        await change_config(market, "rate_limits", dict.fromkeys(_LIMITS, _UNLIMITED), None, "town")
        rng = random.Random(20)  # noqa: S311 - no secret
        for _ in range(size.golds):
            await add_question_as_gold(market, rng)
        buyers = await make_buyers(market, 3)
        async with serving(dsn) as server, _workers(server.url, size) as workers:
            return await _work(market, server.url, buyers, workers, size)


async def add_question_as_gold(market: Market, rng: random.Random) -> None:
    """Keep a question as a gold task, with some forms of its answer."""
    question = questions.ask(rng)
    answers = sorted({questions.right(question.prompt, rng) for _ in range(3)})
    await add_gold(
        market,
        prompt=question.prompt,
        messages=None,
        category=question.category,
        answers=answers,
        actor="town",
        replay=None,
    )


@dataclass(frozen=True)
class _Worker:
    kind: str
    worker_id: str
    process: Client


@contextlib.asynccontextmanager
async def _workers(url: str, size: Size) -> AsyncIterator[list[_Worker]]:
    kinds = [*BAD, *["honest"] * size.honest]
    async with contextlib.AsyncExitStack() as stack:
        processes = []
        for number, kind in enumerate(kinds):
            task: dict[str, Any] = {
                "url": url,
                "name": f"worker {number}",
                "address": f"127.0.0.{number + 2}",
                "kind": kind,
                "seed": number,
                "seconds": size.task_s,
            }
            processes.append(await stack.enter_async_context(starting("bench.hand", task)))
        ids = await asyncio.gather(*(process.ready() for process in processes))
        yield [_Worker(*each) for each in zip(kinds, ids, processes, strict=True)]


async def _work(
    market: Market, url: str, buyers: list[Buyer], workers: list[_Worker], size: Size
) -> Outcome:
    started = market.monotonic()
    for worker in workers:
        await worker.process.go()
    running = {
        worker.kind: asyncio.create_task(worker.process.result())
        for worker in workers
        if worker.kind != "honest"
    }
    all_stopped = asyncio.gather(*running.values())
    posted = await _post_until(market, url, buyers, all_stopped, size)
    late = [kind for kind, result in running.items() if not result.done()]
    assert not late, f"still at work after {posted} tasks: {late}"
    assert all(result["suspended"] for result in all_stopped.result()), all_stopped.result()
    await _drained(market)
    honest = [worker for worker in workers if worker.kind == "honest"]
    for worker in honest:
        await worker.process.go()
    results = await asyncio.gather(*(worker.process.result() for worker in honest))
    seconds = market.monotonic() - started
    await _prove_buyers(market, url, buyers, posted)
    await prove(market)
    blamed = sum(result["suspended"] for result in results)
    assert blamed == 0, results
    return await _outcome(market, workers, seconds)


async def _post_until(
    market: Market, url: str, buyers: list[Buyer], done: asyncio.Future[Any], size: Size
) -> int:
    """Keep some tasks in the queue until all bad workers are stopped; how many were posted."""
    rng = random.Random(7)  # noqa: S311 - no secret
    posted = 0
    async with contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(AsyncBuyer(url, b.key)) for b in buyers]
        while not done.done() and posted < size.most_tasks:
            for _ in range(_QUEUED - await _count(market, _WAITING)):
                question = questions.ask(rng)
                await rng.choice(callers).post_task(question.prompt, category=question.category)
                posted += 1
            if size.at_once:
                await stop_suspects(market, at_once=True)
            await asyncio.wait([done], timeout=0.1)
    return posted


async def _count(market: Market, query: LiteralString) -> int:
    async with market.db.read() as conn:
        row = await (await conn.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


async def _drained(market: Market) -> None:
    """Wait until every task of a buyer is over, and what was judged."""
    async with asyncio.timeout(_DRAIN_S):
        while await _count(market, _OPEN):  # noqa: ASYNC110 - it happens in the server's process
            await asyncio.sleep(0.2)


async def _prove_buyers(market: Market, url: str, buyers: list[Buyer], posted: int) -> None:
    """Every buyer paid for its own tasks, each at its price, and for nothing else."""
    seen = 0
    for each in buyers:
        async with AsyncBuyer(url, each.key) as buyer:
            tasks = [task async for task in buyer.list_tasks(page=100)]
            balance = await buyer.balance()
        assert {task.status for task in tasks} <= {"completed", "credited"}, tasks
        prices = sum(task.price_cents for task in tasks)
        back = sum(task.credited_cents or 0 for task in tasks)
        assert balance.balance_cents == CREDIT_CENTS - prices + back, (balance, prices, back)
        assert balance.lifetime.spent_cents == prices, (balance, prices)
        assert balance.lifetime.credited_cents == back, (balance, back)
        seen += len(tasks)
    assert seen == posted, (seen, posted)
    assert await _count(market, _CHARGED_FOR_HIDDEN) == 0


async def _outcome(market: Market, workers: list[_Worker], seconds: float) -> Outcome:
    kinds = {worker.worker_id: worker.kind for worker in workers}
    async with market.db.read() as conn:
        cursor = await conn.execute("SELECT worker_id, completed FROM suspensions")
        stops = {kinds[worker_id]: completed for worker_id, completed in await cursor.fetchall()}
        records = await conn.execute("SELECT worker_id, good, bad FROM worker_records")
        honest = [(good, bad) for w, good, bad in await records.fetchall() if kinds[w] == "honest"]
        figures: Any = await (await conn.execute(_FIGURES)).fetchone()
    judged, bad = sum(map(sum, honest)), sum(bad for _, bad in honest)
    return Outcome(
        stopped=stops,
        honest=sum(kind == "honest" for kind in kinds.values()),
        blamed=stops.get("honest", 0),
        paid=figures[0],
        hidden=figures[1],
        checks=figures[2],
        disputed=figures[3],
        share=figures[4] / figures[5],
        honest_bad=bad / judged,
        seconds=seconds,
    )
