"""Puts the worker program together, enters the marketplace, and runs until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from openclaw_jobs.client.errors import ClientError
from openclaw_jobs.client.models import Preferences, WorkerProfile
from openclaw_jobs.client.program import state
from openclaw_jobs.client.program.command import CommandEngine
from openclaw_jobs.client.program.engine import Engine
from openclaw_jobs.client.program.job import Company
from openclaw_jobs.client.program.link import GiveUpError, Link
from openclaw_jobs.client.program.log import WorkerLog
from openclaw_jobs.client.program.openai import OpenAiEngine
from openclaw_jobs.client.program.runner import Runner, RunnerOptions
from openclaw_jobs.client.retry import NO_RETRY
from openclaw_jobs.client.worker import AsyncWorker

T = TypeVar("T")

_UNAUTHENTICATED: Final = 401
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class ProgramOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of `openclaw-jobs worker`, checked.

    One of `command` and `openai_url` (with `model`) is set. Without a `token` the one in
    `state_file` is used, and if there is none the worker connects and puts it there.
    `categories` None leaves the worker's profile as it is.
    """

    url: str
    token: str | None = None
    state_file: Path = Path(state.DEFAULT_FILE)
    command: str | None = None
    openai_url: str | None = None
    model: str | None = None
    concurrency: int = 1
    categories: tuple[str, ...] | None = None
    name: str | None = None
    as_json: bool = False
    timeout_s: float | None = None
    grace_s: float = 30.0
    show_stderr: bool = False


def engine_for(options: ProgramOptions) -> Engine:
    """Make what does the work."""
    if options.openai_url is not None and options.model is not None:
        return OpenAiEngine(
            options.openai_url,
            options.model,
            api_key=os.environ.get("OPENAI_API_KEY") or None,
            timeout_s=options.timeout_s,
        )
    return CommandEngine(
        options.command or "", timeout_s=options.timeout_s, show_stderr=options.show_stderr
    )


class Program:
    """One run of the worker program."""

    def __init__(self, options: ProgramOptions, log: WorkerLog) -> None:
        self._options: Final = options
        self._log: Final = log
        self._link: Final = Link(log)
        self._stopped = asyncio.Event()
        self._runner: Runner | None = None

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; a second signal ends running tasks at once.

        Raises:
            GiveUpError: the server won't have this worker; the message says why.
            StateError: the state file can't be used.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop)
        async with AsyncExitStack() as stack:
            entering = asyncio.create_task(self._enter(stack))
            stopped = asyncio.create_task(self._stopped.wait())
            await asyncio.wait({entering, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if entering.done():
                worker = entering.result()
                stopped.cancel()
                await self._work(worker, stack)
            else:
                entering.cancel()
                await asyncio.wait({entering})
        self._log.say("stopped", "stopped")

    def _stop(self) -> None:
        self._stopped.set()
        if self._runner is not None:
            self._runner.stop()

    async def _work(self, worker: AsyncWorker, stack: AsyncExitStack) -> None:
        engine = engine_for(self._options)
        stack.push_async_callback(engine.close)
        poller = await stack.enter_async_context(worker.twin())
        company = Company(worker, self._link, engine, self._log)
        options = RunnerOptions(
            concurrency=self._options.concurrency, grace_s=self._options.grace_s
        )
        self._runner = Runner(company, poller, options)
        if self._stopped.is_set():
            self._runner.stop()
        await self._runner.run()

    async def _enter(self, stack: AsyncExitStack) -> AsyncWorker:
        """Become a worker of this server, however long it takes to answer."""
        options = self._options
        token, stored = options.token, False
        if token is None:
            known = state.load(options.state_file, options.url)
            token, stored = (known.token, True) if known else (None, False)
        if token is None:
            worker = await self._connect(stack)
        else:
            worker = await stack.enter_async_context(
                AsyncWorker(options.url, token, retry=NO_RETRY)
            )
        try:
            profile = await self._patiently(worker.me)
            await self._adjust(worker, profile)
        except GiveUpError as error:
            if error.status == _UNAUTHENTICATED and stored:
                raise GiveUpError(
                    f"{error} (from {options.state_file}); delete that file to connect as a new"
                    " worker, or give the right one with --token",
                    status=error.status,
                ) from error
            raise
        self._log.say(
            "ready",
            f"{profile.worker_id} ({profile.tier}) works for {options.url},"
            f" {options.concurrency} at once",
        )
        return worker

    async def _connect(self, stack: AsyncExitStack) -> AsyncWorker:
        options = self._options

        async def connect() -> AsyncWorker:
            return await AsyncWorker.connect(
                options.url,
                name=options.name,
                model=options.model,
                preferences=self._wanted(options.concurrency),
                retry=NO_RETRY,
            )

        worker = await stack.enter_async_context(await self._patiently(connect))
        made = worker.connected
        assert made is not None  # noqa: S101 - what `connect` leaves behind
        state.save(
            options.state_file,
            state.WorkerState(url=options.url, worker_id=made.worker_id, token=made.token),
        )
        self._log.say("connected", f"connected as {made.worker_id}; {options.state_file} keeps it")
        return worker

    async def _adjust(self, worker: AsyncWorker, profile: WorkerProfile) -> None:
        """Bring the profile in line with the command line, if it isn't."""
        options, known = self._options, profile.preferences
        at_once = known.max_concurrent
        too_few = at_once is not None and at_once < options.concurrency
        others = options.categories is not None and options.categories != known.categories
        renamed = options.name is not None and options.name != profile.name
        remodelled = options.model is not None and options.model != profile.model
        if not (too_few or others or renamed or remodelled):
            return
        await self._patiently(
            lambda: worker.update_profile(
                name=options.name,
                model=options.model,
                preferences=self._wanted(options.concurrency if too_few else None),
            )
        )

    def _wanted(self, max_concurrent: int | None) -> Preferences | None:
        wanted = Preferences(categories=self._options.categories, max_concurrent=max_concurrent)
        return None if wanted == Preferences() else wanted

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                result = await attempt()
            except ClientError as error:
                await asyncio.sleep(self._link.failed(error))
            else:
                self._link.worked()
                return result


def run(options: ProgramOptions) -> None:
    """Run the worker program to its end; raises as `Program.run`."""

    async def main() -> None:
        with WorkerLog(as_json=options.as_json) as log:
            await Program(options, log).run()

    asyncio.run(main())
