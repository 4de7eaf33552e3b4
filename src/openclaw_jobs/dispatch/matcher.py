"""The matcher: one coroutine a process that hands queued tasks to parked polls."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Final

import structlog

from openclaw_jobs.dispatch.commits import ClaimTasks, Commits
from openclaw_jobs.dispatch.models import Claim, ClaimRequest, ClaimResult, Lane, Seeker
from openclaw_jobs.dispatch.waiters import Waiter, Waiters, held_for, waiter_of
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.metrics import Metrics
from openclaw_jobs.kit.timefmt import rfc3339_or_none
from openclaw_jobs.workers import WorkerIdentity
from openclaw_jobs.workers.rules import suspension_detail

_log = structlog.get_logger(__name__)

MAX_BATCH: Final = 100
"""The most tasks that one round hands out: it bounds how long its transaction lasts."""

MAX_PARKED_POLLS: Final = 1000
"""The most polls of one worker that are parked here: as many as the tasks that it may hold."""

_MAX_BATCHES: Final = 100
_TICK_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 0.003
_PATIENT_SECONDS: Final = 1.0


class Matcher:
    """Parks polls and serves them, batch by batch.

    A round starts when a poll arrives, when tasks were queued (`wake`), and at a jittered tick
    of about a second, which finds what no wake-up told of. An idle tick is one statement.

    While the queue is known to be empty, a poll that waits for a while parks without a look: what
    is queued from then on wakes it. Known it is from the statement that found nothing queued until
    the next wake-up is acted upon; every task queued after that statement has one of its own,
    which comes after its commit, so after the round began that sent the statement.

    Args:
        claim: See `commits.ClaimTasks`; in the program `market.claim_tasks`.
        give_back: Puts back tasks whose poll hung up before it could be answered.
        any_queued: Whether any task waits.
        rng: Spreads the ticks of many processes.
        metrics: Where hand-outs are counted.
    """

    def __init__(
        self,
        *,
        claim: ClaimTasks,
        give_back: Callable[[Sequence[Claim]], Coroutine[None, None, None]],
        any_queued: Callable[[], Awaitable[bool]],
        rng: random.Random,
        metrics: Metrics | None = None,
    ) -> None:
        """See the class."""
        self._commits = Commits(claim, self._hand_out, self._take_back, self._ended)
        self._give_back = give_back
        self._any_queued = any_queued
        self._rng = rng
        self._metrics = metrics or Metrics()
        self._waiters = Waiters()
        self._blocked: set[Waiter] = set()
        self._arrived: list[Waiter] = []
        self._crowd = 0
        self._told = 0
        self._expected = 1
        self._holding = False
        self._woken: set[str] = set()
        self._woken_all = False
        self._known_empty = False
        self._tick_due = False
        self._cursors: dict[Lane, tuple[int, str]] = {}
        self._event = asyncio.Event()
        self._round_end: asyncio.Future[None] | None = None
        self._draining = False
        self._running: asyncio.Task[None] | None = None
        self._returns: set[asyncio.Task[None]] = set()

    @property
    def parked(self) -> int:
        """How many polls wait here."""
        return len(self._waiters)

    def parked_workers(self) -> int:
        """How many workers wait here."""
        return len({waiter.worker.worker_id for waiter in self._waiters})

    def start(self) -> None:
        """Begin to serve."""
        self._running = asyncio.create_task(self._serve(), name="matcher")

    def drain(self) -> None:
        """Answer every parked poll with nothing (after a round that runs), new ones at once."""
        self._draining = True
        self._event.set()

    async def stop(self) -> None:
        """Drain, let a round that runs end, and stop."""
        self.drain()
        if self._running is not None:
            await self._running
        await asyncio.gather(*self._returns)

    def wake(self, categories: frozenset[str] | None) -> None:
        """Tasks were queued in these categories; None: perhaps in any."""
        if categories is None:
            self._woken_all = True
        else:
            self._woken.update(categories)
            self._told += 1
        if len(self._waiters):
            self._event.set()

    def unblock(self, worker_ids: frozenset[str]) -> None:
        """These workers have room again: look for them without waiting for a tick."""
        freed = [w for w in self._blocked if w.worker.worker_id in worker_ids]
        for waiter in freed:
            waiter.blocked = False
            self._blocked.discard(waiter)
            self._arrived.append(waiter)
        if freed:
            self._event.set()

    def dismiss(self, worker_id: str) -> None:
        """Answer this worker's parked polls with nothing, so that it asks anew."""
        for waiter in list(self._waiters):
            if waiter.worker.worker_id == worker_id:
                waiter.resolve([])

    async def next(self, worker: WorkerIdentity, want: int, wait_seconds: float) -> list[Claim]:
        """Claim up to `want` tasks, waiting until there is one or the time is up.

        If the caller is cancelled, what had been claimed for it goes back to the queue. A worker
        that has as many polls parked as it could hold tasks has nothing to wait for with more.
        Who waits less than about a tick always looks: it might be gone before it is told of a
        task that another process has just queued.

        Raises:
            Problem: `suspended`.
        """
        if self._draining or self._waiters.polls_of(worker.worker_id) >= MAX_PARKED_POLLS:
            return []
        answer: asyncio.Future[list[Claim]] = asyncio.get_running_loop().create_future()
        waiter = self._waiters.park(worker, want, answer)
        waiter.patient = wait_seconds >= _PATIENT_SECONDS
        if self._may_skip(waiter):
            waiter.looked_for = True
            if self._woken or self._woken_all:
                # Told when nobody waited.
                self._event.set()
        else:
            self._arrived.append(waiter)
            self._event.set()
        try:
            await asyncio.wait((answer,), timeout=held_for(wait_seconds, self._rng))
            return await self._answer_of(waiter)
        except asyncio.CancelledError:
            waiter.hung_up = True
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self.return_claims(answer.result())
            raise
        finally:
            self._waiters.remove(waiter)
            self._blocked.discard(waiter)

    async def _answer_of(self, waiter: Waiter) -> list[Claim]:
        """What a poll has got whose time is up, or that was answered.

        The first look is owed to everybody, and a round that runs may just be claiming for it. One
        that begins after that gives back what it has for it: where rounds follow one another, who
        can have nothing would wait for ever.
        """
        while not waiter.answer.done() and not waiter.looked_for:
            await self._next_round_end()
        if not waiter.answer.done() and self._round_end is not None:
            await self._next_round_end()
        if waiter.promise is not None:
            await asyncio.shield(waiter.promise)
        if waiter.answer.done():
            return waiter.answer.result()
        waiter.hung_up = True
        return []

    def _may_skip(self, waiter: Waiter) -> bool:
        """Whether the queue need not be looked into for this poll, woken lanes apart."""
        return waiter.patient and self._known_empty

    async def _next_round_end(self) -> None:
        if self._round_end is None:
            self._round_end = asyncio.get_running_loop().create_future()
            self._event.set()
        await asyncio.shield(self._round_end)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._tick_after(), self._tick)
        while not self._draining:
            await self._event.wait()
            await self._wait_for_commits()
            if len(self._arrived) < self._crowd:
                await self._linger()
            self._event.clear()
            tick, self._tick_due = self._tick_due, False
            if tick:
                timer = loop.call_later(self._tick_after(), self._tick)
            await self._round(tick=tick)
        timer.cancel()
        await self._commits.all_done()
        for waiter in list(self._waiters):
            waiter.resolve([])

    async def _wait_for_commits(self) -> None:
        """Wait for the commits under way, unless tasks were queued: those never wait.

        Who comes alone meanwhile is looked for together with those who come as they are answered.
        """
        self._holding = True
        while len(self._commits) and not self._is_urgent():
            self._event.clear()
            await self._event.wait()
        self._holding = False

    async def _linger(self) -> None:
        """Wait for as many polls as the last round looked for, but not for long.

        Who was answered together comes again together, and one round for all costs far less than a
        round for each. Nobody waits for a single poll's round, and a queued task for none.
        """
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while len(self._arrived) < self._crowd and not self._is_urgent():
                    self._event.clear()
                    await self._event.wait()
        except TimeoutError:
            return

    def _is_urgent(self) -> bool:
        return bool(self._woken) or self._woken_all or self._tick_due or self._draining

    def _tick(self) -> None:
        self._tick_due = True
        self._event.set()

    def _tick_after(self) -> float:
        return _TICK_SECONDS * self._rng.uniform(0.75, 1.25)

    async def _round(self, *, tick: bool) -> None:
        """Look once for whom the wake-ups concern; never raises."""
        if self._round_end is None:
            self._round_end = asyncio.get_running_loop().create_future()
        arrived, self._arrived = self._arrived, []
        self._crowd = sum(not self._may_skip(waiter) for waiter in arrived)
        try:
            if len(self._waiters):
                await self._look(arrived, tick=tick)
            elif tick:
                # Nobody to look for; but what no wake-up told of must not stay unknown for longer.
                self._known_empty = False
        except Exception as error:  # noqa: BLE001 - a poll's answer, or looked for again by a tick
            self._known_empty = False
            _log.warning("matching_failed", error=type(error).__name__)
            for waiter in arrived:
                if not waiter.looked_for:
                    waiter.fail(error)
        finally:
            for waiter in arrived:
                waiter.looked_for = True
            self._round_end.set_result(None)
            self._round_end = None

    async def _look(self, arrived: Sequence[Waiter], *, tick: bool) -> None:
        looking = [waiter for waiter in arrived if not self._may_skip(waiter)]
        woken, self._woken = frozenset(self._woken), set()
        everywhere, self._woken_all = self._woken_all, False
        told, self._told = self._told, 0
        self._expected = max(1, min(MAX_BATCH, told + len(looking)))
        if woken or everywhere:
            # Unless this round finds it so again: there may be nobody here to look there.
            self._known_empty = False
        if tick:
            for waiter in self._blocked:
                waiter.blocked = False
            self._blocked.clear()
            any_queued = await self._any_queued()
            self._known_empty = not any_queued
            everywhere = everywhere or any_queued
        lanes = set(self._waiters.lanes(None if everywhere else woken))
        for waiter in looking:
            lanes.update(waiter.worker.preferences.categories or (None,))
        await self._serve_lanes(dict.fromkeys(lanes))
        behind = {lane: self._cursors[lane] for lane in lanes & self._cursors.keys()}
        if behind and (tick or arrived):
            await self._serve_lanes(behind)

    async def _serve_lanes(self, lanes: Mapping[Lane, tuple[int, str] | None]) -> None:
        for _ in range(_MAX_BATCHES):
            limit = self._wanted()
            if not lanes or limit == 0 or self._draining:
                return
            result = await self._commits.claim(
                ClaimRequest(
                    lanes=lanes,
                    limit=limit,
                    classes=self._waiters.classes(),
                    expected=self._expected,
                )
            )
            self._known_empty = result.empty
            self._keep_out(result)
            if not result.more:
                self._remember(lanes, result)
                return

    def _remember(self, lanes: Mapping[Lane, tuple[int, str] | None], result: ClaimResult) -> None:
        """Keep how far each lane was read for those who are left.

        The head is read in each round, but only so deep; what is behind it is read step by step
        from round to round, to the end of the lane and then from the head's end again.
        """
        for lane, place in result.lanes.items():
            if place is None:
                self._cursors.pop(lane, None)
            elif lanes[lane] is not None or lane not in self._cursors:
                self._cursors[lane] = place

    def _wanted(self) -> int:
        total = 0
        for waiter in self._waiters:
            if not waiter.gone:
                total += waiter.want
                if total >= MAX_BATCH:
                    return MAX_BATCH
        return total

    def _hand_out(self, result: ClaimResult) -> None:
        """Answer whom committed tasks are for."""
        claims: defaultdict[int, list[Claim]] = defaultdict(list)
        seekers: dict[int, Seeker] = {}
        for assignment in result.assignments:
            claims[id(assignment.seeker)].append(assignment.claim)
            seekers[id(assignment.seeker)] = assignment.seeker
        for key, seeker in seekers.items():
            waiter = waiter_of(seeker)
            if waiter.resolve(claims[key]):
                self._count(waiter, claims[key])
            else:
                self.return_claims(claims[key])

    def _take_back(self, error: Exception, first: Sequence[Waiter]) -> None:
        """A commit has failed: its tasks wait again, and nobody tells of them before a tick."""
        self._known_empty = False
        _log.warning("claims_not_committed", error=type(error).__name__)
        for waiter in first:
            waiter.fail(error)

    def _ended(self) -> None:
        if self._holding:
            self._event.set()

    def _keep_out(self, result: ClaimResult) -> None:
        for suspended in result.suspended:
            until = rfc3339_or_none(suspended.until)
            waiter_of(suspended.seeker).fail(
                Problem("suspended", suspension_detail(until), suspended_until=until)
            )
        for seeker in result.blocked:
            waiter = waiter_of(seeker)
            waiter.blocked = True
            self._blocked.add(waiter)

    def _count(self, waiter: Waiter, claims: Sequence[Claim]) -> None:
        now = time.monotonic()
        for claim in claims:
            if claim.queued_at is None:
                continue
            self._metrics.queue_wait.observe(now - claim.queued_at)
            if waiter.parked_at <= claim.queued_at:
                # The task waited for nobody: this is what we ourselves take.
                self._metrics.wake_up.observe(now - claim.queued_at)

    def return_claims(self, claims: Sequence[Claim]) -> None:
        """Put tasks back soon whose caller went before it could be answered."""
        if claims:
            returning = asyncio.create_task(self._give_back(claims))
            self._returns.add(returning)
            returning.add_done_callback(self._returned)

    def _returned(self, returning: asyncio.Task[None]) -> None:
        self._returns.discard(returning)
        if not returning.cancelled() and (error := returning.exception()) is not None:
            # Their leases run out, and recovery puts the tasks back.
            _log.warning("give_back_failed", error=type(error).__name__)
