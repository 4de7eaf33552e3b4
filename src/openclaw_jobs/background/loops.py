"""Periodic jobs: each in a loop of its own, jittered, and none stopped by a failure."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from openclaw_jobs.db import is_unavailable
from openclaw_jobs.kit.log_context import begin_context
from openclaw_jobs.kit.metrics import Metrics
from openclaw_jobs.kit.tracing import OFF, Tracing

_log = structlog.get_logger(__name__)

_JITTER: Final = 0.2
_MAX_PAUSE_FACTOR: Final = 8


class Periodic(msgspec.Struct, frozen=True):
    """A job and how often it runs.

    Attributes:
        name: What it is called in the log.
        every_seconds: The pause between the end of a run and the next.
        run: Does the work; idempotent, and safe in any number of processes at once.
        wake: Ends the pause when set; `run` clears it.
    """

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]
    wake: asyncio.Event | None = None


async def repeat(
    job: Periodic,
    rng: random.Random,
    stop: asyncio.Event,
    *,
    metrics: Metrics | None = None,
    tracing: Tracing = OFF,
) -> None:
    """Run a job again and again until `stop` is set; a run that is under way ends first.

    A failure is logged once, the job tried again after a growing pause, and logged again when it
    works. Runs are counted in `metrics`, and each is a span of `tracing`.
    """
    begin_context(job=job.name)
    failures = 0
    while not stop.is_set():
        started = time.monotonic()
        try:
            with tracing.span(f"job {job.name}"):
                await job.run()
        except Exception as error:  # noqa: BLE001 - whatever it was, the job must go on
            failures += 1
            if failures == 1:
                known = is_unavailable(error)
                _log.warning("job_failed", job=job.name, exc_info=None if known else error)
        else:
            if failures:
                _log.info("job_recovered", job=job.name, failures=failures)
            failures = 0
        if metrics is not None:
            took = time.monotonic() - started
            metrics.job(job.name, ok=not failures, seconds=took, at=time.time())
        pause = job.every_seconds * min(_MAX_PAUSE_FACTOR, 1 + failures)
        jittered = pause * rng.uniform(1 - _JITTER, 1 + _JITTER)
        # A job that fails is not woken: it would fail again at once.
        await _pause(jittered, stop, None if failures else job.wake)


async def _pause(seconds: float, stop: asyncio.Event, wake: asyncio.Event | None) -> None:
    """Wait for so long, or until one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in (stop, wake) if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
