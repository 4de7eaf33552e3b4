"""Group commit: who shares a run, and who waits for whom."""

import asyncio
from collections.abc import Sequence

from openclaw_jobs.kit.batching import Coalescer

LONG_S = 60.0


class Recorder:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()

    async def handle(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        await asyncio.sleep(0)
        return [item * 10 for item in items]


async def test_what_gathers_while_a_batch_runs_is_the_next() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=10)
    first = asyncio.create_task(coalescer.submit(1))
    await recorder.begun.wait()
    assert await coalescer.submit_many([2, 3]) == [20, 30]
    assert await first == 10
    assert recorder.batches == [[1], [2, 3]]


async def test_who_is_alone_never_lingers() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=10, linger_s=LONG_S)
    async with asyncio.timeout(LONG_S / 4):
        assert [await coalescer.submit(item) for item in (1, 2, 3)] == [10, 20, 30]
    assert recorder.batches == [[1], [2], [3]]


async def test_after_several_the_next_batch_waits_for_as_many() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=10, linger_s=LONG_S)
    async with asyncio.timeout(LONG_S / 4):
        await coalescer.submit_many([1, 2])
        lone = asyncio.create_task(coalescer.submit(3))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not lone.done()
        assert await coalescer.submit(4) == 40
        assert await lone == 30
    assert recorder.batches == [[1, 2], [3, 4]]


async def test_it_waits_for_others_only_so_long_and_only_once() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=10, linger_s=0.001)
    async with asyncio.timeout(LONG_S / 4):
        await coalescer.submit_many([1, 2])
        assert await coalescer.submit(3) == 30
        coalescer = Coalescer(recorder.handle, max_batch=10, linger_s=LONG_S)
        assert await coalescer.submit(4) == 40
    assert recorder.batches == [[1, 2], [3], [4]]


async def test_a_batch_is_never_larger_than_the_most() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=2, linger_s=LONG_S)
    async with asyncio.timeout(LONG_S / 4):
        assert await coalescer.submit_many([1, 2, 3, 4]) == [10, 20, 30, 40]
    assert recorder.batches == [[1, 2], [3, 4]]


async def test_who_comes_too_soon_after_a_batch_waits_until_the_next_is_full() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=2, spacing_s=LONG_S)
    async with asyncio.timeout(LONG_S / 4):
        assert await coalescer.submit(1) == 10
        early = asyncio.create_task(coalescer.submit(2))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not early.done()
        assert await coalescer.submit(3) == 30
        assert await early == 20
    assert recorder.batches == [[1], [2, 3]]


async def test_who_comes_too_soon_waits_no_longer_than_the_space() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.handle, max_batch=2, spacing_s=0.001, concurrency=2)
    async with asyncio.timeout(LONG_S / 4):
        assert [await coalescer.submit(item) for item in (1, 2, 3)] == [10, 20, 30]
    assert recorder.batches == [[1], [2], [3]]
