"""Claims tasks, runs as many jobs at once as there are slots, and stops without losing one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from openclaw_jobs.client.errors import ClientError
from openclaw_jobs.client.models import Assignment, NextTasks
from openclaw_jobs.client.program.job import Company, Job, wait_within
from openclaw_jobs.client.program.link import GiveUpError
from openclaw_jobs.client.worker import AsyncWorker

_MAX_CLAIM: Final = 100
_HANG_UP_S: Final = 2.0
"""How long an answer that is on its way may take when we stop."""
_QUICK_S: Final = 1.0
"""A poll that came back empty sooner than this wasn't held back: don't ask again at once."""


class RunnerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much to do at once, how long stopping may take, how long a poll is held back (0-60 s)."""

    concurrency: int = 1
    grace_s: float = 30.0
    poll_s: int = 60


class Runner:
    """The worker program's heart: `run` works until `stop` is called.

    `poller` is the same worker over connections of its own, because stopping hangs up on them.
    Neither it nor the company's client may retry by itself: this program has its own back-off.
    """

    def __init__(self, company: Company, poller: AsyncWorker, options: RunnerOptions) -> None:
        self._with: Final = company
        self._poller: Final = poller
        self._options: Final = options
        self._free = options.concurrency
        self._slot_freed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self._slots: set[asyncio.Task[None]] = set()
        self._returns: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None

    def stop(self) -> None:
        """Take no more tasks and let the running ones finish; a second call ends them at once."""
        if self._stopping.is_set():
            self._killing.set()
            return
        if self._slots:
            left = f"{len(self._slots)} at work have {self._options.grace_s:g} s to finish"
            self._with.log.say("stopping", f"stopping: {left}")
        self._close_shop()

    def _close_shop(self) -> None:
        self._stopping.set()
        self._slot_freed.set()
        self._poller.hang_up()

    def _give_up(self, reason: Exception) -> None:
        self._failure = self._failure or reason
        self._killing.set()
        self._close_shop()

    async def run(self) -> None:
        """Work until stopped; by then every task has been handed in or put back.

        Raises:
            GiveUpError: the server won't have this worker, whatever it tries.
        """
        polling = asyncio.create_task(self._poll())
        await self._stopping.wait()
        await asyncio.wait({polling}, timeout=_HANG_UP_S)
        polling.cancel()
        await asyncio.wait({polling})
        await self._finish()
        if self._failure is not None:
            raise self._failure

    async def _finish(self) -> None:
        """Wait for the running jobs as long as the grace lasts, then make them end."""
        killing = asyncio.create_task(self._killing.wait())
        deadline = time.monotonic() + self._options.grace_s
        while self._slots and not killing.done() and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(
                {killing, *self._slots}, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        self._killing.set()
        await killing
        await asyncio.gather(*self._slots, *self._returns)

    async def _poll(self) -> None:
        """Ask for as many tasks as there are free slots, until stopped."""
        while not self._stopping.is_set():
            if self._free == 0:
                self._slot_freed.clear()
                await self._slot_freed.wait()
                continue
            try:
                delay = await self._poll_once()
            except ClientError as error:
                delay = self._after(error)
            except Exception as bug:  # noqa: BLE001 - ends the program, which raises it
                self._give_up(bug)
                return
            if delay > 0.0:
                await wait_within(delay, self._stopping)

    async def _poll_once(self) -> float:
        """Claim once; returns the seconds to wait before the next time."""
        started = time.monotonic()
        # not held back after a failure, to learn at once that the server is back
        looking = self._with.link.broken
        offered = await self._poller.next(
            wait=0 if looking else self._options.poll_s, max=min(self._free, _MAX_CLAIM)
        )
        self._with.link.worked()
        self._accept(offered)
        if offered:
            return 0.0
        asked = offered.retry_after_s or 0.0
        if looking:
            return asked
        return asked if time.monotonic() - started >= _QUICK_S else max(asked, _QUICK_S)

    def _after(self, error: ClientError) -> float:
        if self._stopping.is_set():
            return 0.0
        try:
            return self._with.link.failed(error)
        except GiveUpError as reason:
            self._give_up(reason)
            return 0.0

    def _accept(self, offered: Iterable[Assignment]) -> None:
        """Start what there are slots for and put the rest back; while stopping, that is all."""
        for task in offered:
            if self._stopping.is_set() or self._free == 0:
                self._put_back(task)
                continue
            self._free -= 1
            slot = asyncio.create_task(self._work(task))
            self._slots.add(slot)
            slot.add_done_callback(self._freed)
        self._with.log.running(len(self._slots))

    def _freed(self, slot: asyncio.Task[None]) -> None:
        self._slots.discard(slot)
        self._free += 1
        self._slot_freed.set()
        self._with.log.running(len(self._slots))

    async def _work(self, first: Assignment) -> None:
        """Do a task, then the one its receipt brought along, and so on, in one slot."""
        task: Assignment | None = first
        while task is not None:
            try:
                brought = await self._job(task).run()
            except Exception as reason:  # noqa: BLE001 - ends the program, which raises it
                self._give_up(reason)
                return
            if self._stopping.is_set():
                task = None
            else:
                task, *_ = *brought[:1], None
                brought = brought[1:]
            # more than was asked for: not foreseen, but a claimed task is never just dropped
            for unwanted in brought:
                self._put_back(unwanted)

    def _job(self, task: Assignment) -> Job:
        return Job(self._with, task, killing=self._killing, following=self._following)

    def _following(self) -> NextTasks | None:
        """What a submit shall bring along: one task for its slot, as long as we go on.

        Not held back, so that the receipt isn't: when there is none, the poll waits for it.
        """
        return None if self._stopping.is_set() else NextTasks(wait=0, max=1)

    def _put_back(self, task: Assignment) -> None:
        returning = asyncio.create_task(self._job(task).release())
        self._returns.add(returning)
        returning.add_done_callback(self._returns.discard)
