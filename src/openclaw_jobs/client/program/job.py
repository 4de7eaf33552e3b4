"""One task from its assignment to its receipt, under its lease all the while."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final, TypeGuard

import msgspec

from openclaw_jobs.client.errors import ApiError, ClientError
from openclaw_jobs.client.models import Assignment, NextTasks, Receipt
from openclaw_jobs.client.program.engine import Engine, Outcome, clean
from openclaw_jobs.client.program.link import Link
from openclaw_jobs.client.program.log import TaskLine, WorkerLog
from openclaw_jobs.client.worker import AsyncWorker

_RELEASE_S: Final = 5.0
"""How long putting a task back may take, retries included."""
_RETRY_S: Final = 0.2
_BEATS_PER_LEASE: Final = 3
_MIN_GAP_S: Final = 1.0
"""The least time between two heartbeats, however much progress there is to tell."""
_PROGRESS_CHARS: Final = 500
"""Keeps a heartbeat well under the 4 KiB the server takes."""

_REFUSED: Final = range(400, 500)
_LINK_KNOWS: Final = frozenset({401, 403, 429})
_BAD_RESULT: Final = frozenset({413, 422})


class Company(msgspec.Struct, frozen=True):
    """Whom a job works with: the client (which must not retry by itself) and its surroundings."""

    worker: AsyncWorker
    link: Link
    engine: Engine
    log: WorkerLog


class _LostError(Exception):
    """The task is no longer ours; the message is the reason, as a label for the log."""


class Job:
    """Does one task. `following` says which next tasks the submit shall ask for, if any."""

    def __init__(
        self,
        company: Company,
        task: Assignment,
        *,
        killing: asyncio.Event,
        following: Callable[[], NextTasks | None],
    ) -> None:
        self._with: Final = company
        self._task: Final = task
        self._killing: Final = killing
        self._following: Final = following
        self._started: Final = time.monotonic()
        self._news = asyncio.Event()
        self._progress: str | None = None

    async def run(self) -> tuple[Assignment, ...]:
        """Do the task and hand it in; returns the next tasks that the receipt brought along.

        A lease that is lost ends the work and drops its result. Once `killing` is set, the work
        ends and the task is put back.

        Raises:
            GiveUpError: the server won't have this worker, whatever it tries.
        """
        work = asyncio.create_task(self._work())
        beats = asyncio.create_task(self._beat())
        killing = asyncio.create_task(self._killing.wait())
        everything: set[asyncio.Task[object]] = {work, beats, killing}
        try:
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in everything:
                part.cancel()
            # gathered, so that no part's failure goes unnoticed or is complained about later
            await asyncio.gather(*everything, return_exceptions=True)
        try:
            if not work.cancelled():
                return work.result()
            if not beats.cancelled():
                beats.result()
        except _LostError as reason:
            self._tell("lost", label=str(reason))
            return ()
        await self.release()
        return ()

    async def release(self) -> None:
        """Put the task back unfinished, as well as the server can be reached; never raises."""
        label = "the lease will run out"
        # Once the time is up the label says what came of it, as far as it is known.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                while True:
                    try:
                        await self._with.worker.release(self._task, reason="worker is stopping")
                    except ClientError as error:
                        # A server that can't be reached is asked again, like one that can't now.
                        if isinstance(error, ApiError):
                            label = error.code
                            if error.status in _REFUSED:
                                break
                    else:
                        label = ""
                        break
                    await asyncio.sleep(_RETRY_S)
        self._tell("released" if not label else "lost", label=label)

    async def _work(self) -> tuple[Assignment, ...]:
        outcome = await self._with.engine.run(self._task, self._note)
        outcome, receipt = await self._submit(outcome)
        if outcome.error is None:
            self._tell("done", earned_cents=receipt.earned_cents)
        else:
            self._tell("failed", label=outcome.label)
        return receipt.tasks or ()

    async def _submit(self, outcome: Outcome) -> tuple[Outcome, Receipt]:
        """Hand in until there is a receipt: a result is worth waiting for a server that is away."""
        company = self._with
        while True:
            try:
                receipt = await company.worker.submit(
                    self._task,
                    result=outcome.result,
                    error=outcome.error,
                    usage=outcome.usage,
                    next=self._following(),
                )
            except ClientError as error:
                if _final(error):
                    # a failure at least puts the task back at once, for another worker
                    plainer = _plainer(outcome, error.code)
                    if error.status not in _BAD_RESULT or plainer == outcome:
                        raise _LostError(error.code) from error
                    outcome = plainer
                    continue
                await asyncio.sleep(self._wait(error))
            else:
                company.link.worked()
                return outcome, receipt

    async def _beat(self) -> None:
        """Extend the lease and tell progress, until cancelled; only ever ends by raising."""
        interval = self._task.lease_seconds / _BEATS_PER_LEASE
        gap = min(_MIN_GAP_S, interval)
        while True:
            await wait_within(interval - gap, self._news)
            self._news.clear()
            progress, self._progress = self._progress, None
            delay = gap
            try:
                await self._with.worker.heartbeat(self._task, progress=progress)
                self._with.link.worked()
            except ClientError as error:
                if not _final(error):
                    delay = min(self._wait(error), interval)
                elif error.status not in _BAD_RESULT:
                    raise _LostError(error.code) from error
            await asyncio.sleep(delay)

    def _note(self, progress: str) -> None:
        """Take a line of progress; of several between two heartbeats the last one counts."""
        line = " ".join(clean(progress).split())
        self._progress = line[:_PROGRESS_CHARS]
        self._news.set()

    def _wait(self, error: ClientError) -> float:
        wait = self._with.link.failed(error)
        if isinstance(error, ApiError) and error.code == "suspended":
            # the server takes nothing from us until it is lifted, by when the lease has run out
            raise _LostError(error.code) from error
        return wait

    def _tell(self, outcome: str, *, earned_cents: int = 0, label: str = "") -> None:
        self._with.log.task(
            TaskLine(
                task_id=self._task.task_id,
                category=self._task.category,
                outcome=outcome,
                earned_cents=earned_cents,
                seconds=round(time.monotonic() - self._started, 3),
                label=label,
            )
        )


def _final(error: ClientError) -> TypeGuard[ApiError]:
    """Whether the server refused this very request for good, and not this worker or this moment."""
    return (
        isinstance(error, ApiError) and error.status in _REFUSED and error.status not in _LINK_KNOWS
    )


def _plainer(outcome: Outcome, code: str) -> Outcome:
    """What to say when the server refuses what an outcome holds: that it failed, and no more."""
    if outcome.error is None:
        return Outcome.failure("result refused", code)
    return Outcome.failure(outcome.label)


async def wait_within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
