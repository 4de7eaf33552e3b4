"""Buyers and workers with the SDK, who go on whatever happens and remember what they were told."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from openclaw_jobs.client import ApiError, AsyncBuyer, AsyncWorker, NextTasks, TransportError
from openclaw_jobs.client.models import Assignment
from tests.bad_days.programs import Back

T = TypeVar("T")

BUYERS = 24
"""So many that none comes to the number of waiting reads that one caller may have, and 429."""

WORKERS = 16
CREDIT_CENTS = 100_000_000
AT_ONCE = 32
"""How many tasks wait at once while the capacity is measured."""

_EVERY = 10
_MOST_WAITING = 2_000
_PAUSE_S = 0.05
_AGAIN = frozenset({502, 503})


@dataclass(frozen=True)
class Lived:
    """One task's life, in seconds of the monotonic clock: due, and what it took from then."""

    due: float
    posted_s: float
    done_s: float


@dataclass
class Crowd:
    """All clients of a soak.

    Attributes:
        url: Where the marketplace answers.
        keys: The buyers' keys.
        tokens: The workers' tokens.
        posted: The prompt of each task, by buyer and id.
        receipts: What each acknowledged submission earned, by task: the worker and the cents.
        unsure: Submissions that were refused in the end, or never answered.
        lived: The life of each task.
        heard: How often each buyer was told of a task's completion.
        refused: What was answered in place of what was asked, by status and code.
        repeated: How many posts and submissions were made twice on purpose.
        skipped: Posts that were not made, since too many waited.
    """

    url: str
    keys: list[str]
    tokens: list[str]
    posted: dict[str, dict[str, str]] = field(default_factory=dict)
    receipts: dict[str, tuple[str, int]] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    lived: list[Lived] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _made: int = 0
    _submitted: int = 0
    _buyers: list[AsyncBuyer] = field(default_factory=list)
    _waiting: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    async def gather(cls, back: Back, url: str) -> "Crowd":
        """Open their accounts."""
        keys = [await back.buyer(CREDIT_CENTS) for _ in range(BUYERS)]
        tokens = [await back.worker(max_concurrent=50) for _ in range(WORKERS)]
        return cls(url, keys, tokens, {key: {} for key in keys})

    async def enter(self, stack: AsyncExitStack) -> list[asyncio.Task[None]]:
        """Begin to work and to listen; the tasks end when `stop` is set."""
        self._buyers = [
            await stack.enter_async_context(AsyncBuyer(self.url, key)) for key in self.keys
        ]
        working = [asyncio.create_task(self._work(token)) for token in self.tokens]
        listening = [asyncio.create_task(self._listen(key)) for key in self.keys]
        return working + listening

    @property
    def waiting(self) -> int:
        """How many tasks have not ended yet."""
        return len(self._waiting)

    async def at_full_speed(self, seconds: float) -> float:
        """Have tasks done as fast as they are, so many at once; returns how many a second."""
        started, before = time.monotonic(), len(self.lived)

        async def go_on() -> None:
            while time.monotonic() < started + seconds:
                await self._order(time.monotonic())

        await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
        return (len(self.lived) - before) / (time.monotonic() - started)

    async def at_rate(self, rate: float, until: float) -> None:
        """Post at this rate, however long each takes, until that time of the monotonic clock."""
        started = time.monotonic()
        number = 0
        while (due := started + number / rate) < until:
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            number += 1
            if len(self._waiting) >= _MOST_WAITING:
                self.skipped += 1
                continue
            ordering = asyncio.create_task(self._order(due))
            self._waiting.add(ordering)
            ordering.add_done_callback(self._ended)

    def _ended(self, ordering: asyncio.Task[None]) -> None:
        self._waiting.discard(ordering)
        if not ordering.cancelled() and ordering.exception() is not None:
            self.refused[0, repr(ordering.exception())] += 1

    async def all_done(self, timeout_s: float) -> None:
        """Wait until every task that was posted has ended.

        Raises:
            TimeoutError: Some have not; so they are lost.
        """
        async with asyncio.timeout(timeout_s):
            while self._waiting:
                await asyncio.wait(self._waiting)

    async def all_heard(self, timeout_s: float) -> None:
        """Wait until every completion was told of."""
        async with asyncio.timeout(timeout_s):
            while len(self.heard) < sum(map(len, self.posted.values())):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE_S)

    async def _order(self, due: float) -> None:
        """Post a task, every tenth twice, and wait for its result."""
        self._made += 1
        number = self._made
        key, buyer = self.keys[number % BUYERS], self._buyers[number % BUYERS]
        prompt = f"task {number}"

        async def post() -> str:
            return (await buyer.post_task(prompt, idempotency_key=f"soak-{number}")).id

        if number % _EVERY == 0:
            self.repeated["post"] += 1
            if number % (2 * _EVERY) == 0:
                first, second = await asyncio.gather(self._insist(post), self._insist(post))
            else:
                first, second = await self._insist(post), await self._insist(post)
            assert first == second, "one key made two tasks"
            task_id = first
        else:
            task_id = await self._insist(post)
        posted = time.monotonic()
        assert task_id not in self.posted[key]
        self.posted[key][task_id] = prompt
        task = await self._insist(lambda: buyer.wait_for(task_id))
        assert (task.status, task.result) == ("completed", f"did {prompt}"), task.status
        self.lived.append(Lived(due, posted - due, time.monotonic() - due))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it is answered with what was asked for."""
        while True:
            try:
                return await call()
            except TransportError:
                self.refused[0, "no answer"] += 1
            except ApiError as error:
                self.refused[error.status, error.code] += 1
                if error.status not in _AGAIN and error.code != "idempotency_in_progress":
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def _work(self, token: str) -> None:
        async with AsyncWorker(self.url, token) as worker:
            tasks: list[Assignment] = []
            while tasks or not self.stop.is_set():
                if tasks:
                    task = tasks.pop()
                    # Who has tasks asks for no more: they would wait for it, and leases end.
                    wanted = None if tasks or self.stop.is_set() else NextTasks(wait=1, max=2)
                    tasks += await self._submit(worker, token, task, wanted)
                else:
                    tasks += await self._next(worker)

    async def _next(self, worker: AsyncWorker) -> list[Assignment]:
        try:
            return list(await worker.next(wait=2, max=2))
        except (TransportError, ApiError) as error:
            # What it may have claimed comes back to the queue when its lease is over.
            status = (error.status, error.code) if isinstance(error, ApiError) else (0, "no answer")
            self.refused[status] += 1
            if isinstance(error, ApiError) and error.status not in _AGAIN:
                raise
            await asyncio.sleep(_PAUSE_S)
            return []

    async def _submit(
        self, worker: AsyncWorker, token: str, task: Assignment, wanted: NextTasks | None
    ) -> tuple[Assignment, ...]:
        self._submitted += 1
        result = f"did {task.prompt}"
        try:
            receipt = await self._insist(lambda: worker.submit(task, result=result, next=wanted))
            assert receipt.accepted
            told = (token, receipt.earned_cents)
            assert self.receipts.setdefault(task.task_id, told) == told, "settled twice"
            if self._submitted % _EVERY == 0:
                self.repeated["submission"] += 1
                again = await self._insist(lambda: worker.submit(task, result=result))
                assert again.duplicate
                assert again.earned_cents == receipt.earned_cents
        except ApiError as error:
            if error.code != "lease_lost":
                raise
            self.unsure.add(task.task_id)
            return ()
        return receipt.tasks or ()

    async def _listen(self, key: str) -> None:
        last = "0"
        async with AsyncBuyer(self.url, key) as buyer:
            while True:
                try:
                    async for event in buyer.events(last_event_id=last):
                        last = event.id or last
                        if event.type == "task.completed" and event.task_id is not None:
                            self.heard[event.task_id] += 1
                except (TransportError, ApiError) as error:
                    if isinstance(error, ApiError) and error.status not in _AGAIN:
                        raise
                    await asyncio.sleep(_PAUSE_S)
