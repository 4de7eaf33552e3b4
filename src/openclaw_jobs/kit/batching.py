"""Group commit: concurrent callers share one run of a batch function."""

import asyncio
import contextvars
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Collects items from concurrent callers and handles them together.

    While a batch runs, further items gather and form the next one; so an idle system adds no
    waiting, and a busy one does less work an item.

    Args:
        handle: Takes the items and returns one answer (or exception) for each, in order. An
            exception that it raises itself goes to every caller of that batch.
        max_batch: The most items in one call of `handle`.
        concurrency: How many calls of `handle` may run at once.
        linger_s: How long a batch waits for as many items as the one before had. Callers that
            were answered together soon come again together, and one run for all costs far less
            than a run for each. After a batch of one item nothing is waited for, so a caller
            that is alone never waits.
        spacing_s: The least time from the beginning of one batch to that of the next, unless as
            many wait as one may hold: callers who come faster than that share. It gives up a
            little of each caller's time for much of everybody's: use it where nobody hurries.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        max_batch: int,
        concurrency: int = 1,
        linger_s: float = 0.0,
        spacing_s: float = 0.0,
    ) -> None:
        """See the class."""
        self._handle = handle
        self._max_batch = max_batch
        self._concurrency = concurrency
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._runners: set[asyncio.Task[None]] = set()
        # Not the number of `_runners`: a task that has ended stands there for a moment more, in
        # which a caller that it has just answered may come again.
        self._running = 0
        self._linger_s = linger_s
        self._spacing_s = spacing_s
        self._began = -math.inf
        self._expected = 1
        # How many items end a wait for more of them.
        self._wanted = 1
        self._enough = asyncio.Event()

    async def submit(self, item: Item) -> Answer:
        """Have `item` handled with whatever else waits, and return its own answer."""
        return await self._enqueue(item)

    async def submit_many(self, items: Sequence[Item]) -> list[Answer | Exception]:
        """Have all `items` handled; answers and exceptions come back in order."""
        futures = [self._enqueue(item) for item in items]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        return [a for a in answers if not isinstance(a, BaseException) or isinstance(a, Exception)]

    def _enqueue(self, item: Item) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._wanted:
            self._enough.set()
        if self._running < self._concurrency:
            self._running += 1
            # It works for many callers, so it is in the context of none of them.
            runner = asyncio.create_task(self._run(), context=contextvars.Context())
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)
        return future

    async def _run(self) -> None:
        try:
            await self._run_batches()
        finally:
            self._running -= 1

    async def _run_batches(self) -> None:
        # The runner is a task of its own: a caller that goes away cancels only its own waiting,
        # never the transaction that it shares with others.
        while batch := await self._next_batch():
            try:
                answers = await self._handle([item for item, _ in batch])
                if len(answers) != len(batch):
                    answers = [AssertionError("a batch is answered item by item")] * len(batch)
            except Exception as error:  # noqa: BLE001 - handed to every caller of the batch
                answers = [error] * len(batch)
            except asyncio.CancelledError:
                for _, future in batch:
                    future.cancel()
                raise
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _next_batch(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """What waits now; empty if nothing does, or another run took it meanwhile."""
        if self._linger_s and 0 < len(self._waiting) < self._expected:
            await self._wait_for(self._expected, self._linger_s)
        left = self._began + self._spacing_s - time.monotonic()
        if left > 0 and 0 < len(self._waiting) < self._max_batch:
            await self._wait_for(self._max_batch, left)
        take = min(self._max_batch, len(self._waiting))
        if take:
            self._expected = take
            self._began = time.monotonic()
        return [self._waiting.popleft() for _ in range(take)]

    async def _wait_for(self, items: int, seconds: float) -> None:
        """Wait until so many items are there, but no longer than that."""
        self._wanted = items
        self._enough.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._enough.wait()
        except TimeoutError:
            return
