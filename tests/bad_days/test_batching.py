"""A batch shared by many: who goes away while it runs takes nobody else's answer along."""

import asyncio
from collections.abc import Sequence

import pytest

from openclaw_jobs.kit.batching import Coalescer
from openclaw_jobs.market.submit_work import Answer, Submission
from tests.dispatch.sockets import call
from tests.dispatch.test_parked import locked, until, waits_for_a_lock
from tests.running import Node


class Doubling:
    """Doubles numbers, as soon as it is let; refuses 13 and cannot do 99."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()
        self.begun = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(numbers))
        self.begun.set()
        await self.let.wait()
        if 99 in numbers:
            raise RuntimeError("99")
        return [ValueError("13") if n == 13 else 2 * n for n in numbers]


async def test_a_caller_that_goes_away_leaves_the_batch_whole() -> None:
    double = Doubling()
    shared: Coalescer[int, int] = Coalescer(double, max_batch=10)
    callers = [asyncio.create_task(shared.submit(n)) for n in range(5)]
    await double.begun.wait()
    later = [asyncio.create_task(shared.submit(n)) for n in range(5, 8)]
    await asyncio.sleep(0)
    callers[0].cancel()
    later[0].cancel()
    double.let.set()
    answers = await asyncio.gather(*callers, *later, return_exceptions=True)
    assert [type(a) for a in answers if isinstance(a, BaseException)] == [
        asyncio.CancelledError
    ] * 2
    assert [a for a in answers if not isinstance(a, BaseException)] == [2, 4, 6, 8, 12, 14]
    # What was asked for is done even if nobody waits for it any more.
    assert sorted(n for batch in double.batches for n in batch) == list(range(8))


async def test_a_refusal_is_its_callers_own_and_a_failure_everybodys() -> None:
    double = Doubling()
    double.let.set()
    shared: Coalescer[int, int] = Coalescer(double, max_batch=10)
    answers = await shared.submit_many([1, 13, 3])
    assert [repr(a) for a in answers] == ["2", "ValueError('13')", "6"]
    answers = await shared.submit_many([1, 99])
    assert [type(a) for a in answers] == [RuntimeError, RuntimeError]
    assert await shared.submit(5) == 10


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_who_asks_again_in_the_moment_of_its_answer_is_heard(concurrency: int) -> None:
    double = Doubling()
    double.let.set()
    shared: Coalescer[int, int] = Coalescer(double, max_batch=10, concurrency=concurrency)

    async def ask(first: int) -> None:
        for n in range(first, first + 20):
            assert await shared.submit(n) == 2 * n

    async with asyncio.timeout(5):
        await asyncio.gather(*(ask(1_000 * n) for n in range(1, 1 + concurrency)))


async def test_runs_that_linger_together_leave_no_empty_batch() -> None:
    double = Doubling()
    double.let.set()
    shared: Coalescer[int, int] = Coalescer(double, max_batch=100, concurrency=2, linger_s=0.02)
    await shared.submit_many(range(10))
    for n in range(4):
        assert await shared.submit_many([n, n + 1]) == [2 * n, 2 * n + 2]
    assert [] not in double.batches


async def test_batches_are_bounded_and_many_at_once() -> None:
    double = Doubling()
    shared: Coalescer[int, int] = Coalescer(double, max_batch=3, concurrency=2)
    many = asyncio.create_task(shared.submit_many(range(10)))
    await double.begun.wait()
    await asyncio.sleep(0)
    assert len(double.batches) == 2
    double.let.set()
    assert await many == [2 * n for n in range(10)]
    assert max(map(len, double.batches)) == 3


async def test_a_handler_that_answers_too_few_is_told_to_all() -> None:
    async def forgetful(numbers: Sequence[int]) -> Sequence[int]:
        return numbers[1:]

    shared: Coalescer[int, int] = Coalescer(forgetful, max_batch=10)
    async with asyncio.timeout(5):
        answers = await shared.submit_many([1, 2, 3])
    assert [type(a) for a in answers] == [AssertionError] * 3


async def test_clients_that_go_away_in_the_middle_of_a_batch_of_submits(
    node: Node, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=100)
    for n in range(12):
        await buyer.ok("POST", "/api/task", {"prompt": f"task {n}"}, 201)
    claims = (await worker.ok("GET", "/api/work/next?max=12"))["tasks"]
    assert len(claims) == 12
    bodies = [
        {
            "task_id": claim["task_id"],
            "lease_token": claim["lease_token"],
            "status": "completed",
            "result": claim["prompt"],
        }
        for claim in claims
    ]
    arrived: list[object] = []
    enqueue = node.services.submissions._enqueue

    def counted(item: Submission) -> "asyncio.Future[Answer]":
        arrived.append(item)
        return enqueue(item)

    monkeypatch.setattr(node.services.submissions, "_enqueue", counted)
    async with locked(dsn, "task_results"):
        calls = [
            await call(node.address, worker.token, "POST", "/api/work/submit", body)
            for body in bodies
        ]
        await waits_for_a_lock(dsn)
        await until(lambda: len(arrived) == 12)
        for each in calls[::2]:
            each.cut()
    async with asyncio.timeout(10):
        assert [await each.status() for each in calls[1::2]] == [200] * 6
    for each in calls[1::2]:
        await each.hang_up()
    # Those that were cut off had arrived, so they count; their clients ask again and are told.
    receipts = [await worker.ok("POST", "/api/work/submit", body) for body in bodies]
    assert [receipt["task_id"] for receipt in receipts] == [body["task_id"] for body in bodies]
    assert all(receipt["duplicate"] for receipt in receipts)
    await until(lambda: node.services.matcher.parked == 0)
    await node.prove()


@pytest.mark.parametrize("size", [1, 20])
async def test_a_batch_of_submissions_answers_each_on_its_own(node: Node, size: int) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=100)
    for n in range(size):
        await buyer.ok("POST", "/api/task", {"prompt": f"task {n}"}, 201)
    claims = (await worker.ok("GET", f"/api/work/next?max={size}"))["tasks"]
    good = [
        {
            "task_id": claim["task_id"],
            "lease_token": claim["lease_token"],
            "status": "completed",
            "result": "x",
        }
        for claim in claims
    ]
    foreign = {**good[0], "task_id": "task_00000000000000000000000000"}
    wrong = {**good[0], "lease_token": "nobody's"}
    # The same twice in one call, too.
    sent = [foreign, *good, wrong, good[0]]
    answer = await worker.ok("POST", "/api/work/submit", {"submissions": sent})
    receipts = answer["receipts"]
    assert [r.get("code") for r in receipts] == ["not_found", *[None] * size, "lease_lost", None]
    assert receipts[-1]["duplicate"] is True
    assert receipts[-1]["earned_cents"] == receipts[1]["earned_cents"]
    await node.prove()
