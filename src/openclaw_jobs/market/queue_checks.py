"""The hidden tasks of checks join the queue, each at its own random time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from openclaw_jobs.db import is_unavailable
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import AHEAD_S, SPACING_S
from openclaw_jobs.market.end_tasks import refund_tasks
from openclaw_jobs.market.post_task import post_tasks
from openclaw_jobs.market.take_due import HiddenPost, HiddenPosted
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.quality import store_checks, store_due
from openclaw_jobs.tasks import store as tasks

_LATE_S: Final = 60.0
"""What is so late, after a time without a process for it, is spread anew and comes in no burst."""

_SPREAD_S: Final = 1.0
"""What is overdue by less comes at a random time within this, or within as long as it is late."""

_GRAIN_S: Final = 0.002
"""A timer may go off so much too early, and the database would not find its check due."""

_TRY_AGAIN_S: Final = 30.0
"""How long this process leaves a check alone that it could not queue."""

_MOST: Final = 1000
_MAX_BATCHES: Final = 100
_log = structlog.get_logger(__name__)


async def queue_checks(market: Market) -> int:
    """Queue every copy, gold task and arbiter that is due, at once; how many.

    Any number of processes may call this: each takes what nobody else is taking. What is late is
    given another time instead.
    """
    queued = 0
    for _ in range(_MAX_BATCHES):
        due = await _look(market, 0.0)
        joined = 0
        for check_id, _ in due:
            (answer,) = await post_tasks(market, [HiddenPost(check_id)])
            joined += isinstance(answer, HiddenPosted) and answer.task_id is not None
        queued += joined
        if joined == 0:
            break
    return queued


async def _look(market: Market, ahead_seconds: float) -> list[tuple[str, float]]:
    """What is due within so many seconds, and in how many; what is late gets another time."""
    delay = float(market.config.quality.check_delay_seconds)
    async with market.db.read() as conn:
        soon = await store_due.select_soon(conn, ahead_seconds, _MOST)
    if delay <= _LATE_S or not any(seconds < -_LATE_S for _, seconds in soon):
        return soon
    async with begin(market) as unit:
        await store_due.spread_late(unit.conn, _LATE_S, delay)
    return [(check_id, seconds) for check_id, seconds in soon if seconds >= -_LATE_S]


class DueChecks:
    """Has each hidden task queued at its own moment, with what buyers post just then.

    Each web process has one, and looks about once a second what comes next. Several may try the
    same check: the database decides, and it is queued once. In one process it is tried once.
    """

    def __init__(self, market: Market, queue: Callable[[HiddenPost], Awaitable[object]]) -> None:
        """`queue` puts one among buyers' posts, and returns when it is committed."""
        self._market = market
        self._queue = queue
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def wake(self) -> asyncio.Event:
        """Set when this process has made a check that is due soon."""
        return self._market.checks_due

    async def look(self) -> None:
        """Set a timer for each check that is due soon and has none."""
        self.wake.clear()
        if self._stopped:
            return
        for check_id, seconds in await _look(self._market, AHEAD_S):
            if check_id not in self._timers and not self._stopped:
                self._set_timer(check_id, self._wait_s(seconds), self._begin)
        # Looks that are asked for meanwhile share the next one.
        await asyncio.sleep(SPACING_S)

    def stop(self) -> None:
        """Begin nothing more. What is not queued yet stays due, for any process."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()

    async def finish(self) -> None:
        """Stop, and wait for what is being queued."""
        self.stop()
        await asyncio.gather(*self._under_way)

    def _wait_s(self, seconds: float) -> float:
        if seconds < 0:
            seconds = self._market.rng.uniform(0.0, min(_SPREAD_S, -seconds))
        return seconds + _GRAIN_S

    def _set_timer(self, check_id: str, seconds: float, act: Callable[[str], None]) -> None:
        # The check has one until its turn is over, be it that the timer has gone off.
        self._timers[check_id] = asyncio.get_running_loop().call_later(seconds, act, check_id)

    def _begin(self, check_id: str) -> None:
        task = asyncio.create_task(self._try(check_id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _try(self, check_id: str) -> None:
        try:
            await self._queue(HiddenPost(check_id))
        except Exception as error:  # noqa: BLE001 - whatever it was, others must go on
            # It is due as before: the next look finds it, or one after a pause if it is at fault.
            if not is_unavailable(error):
                _log.exception("check_not_queued", check=check_id)
                self._set_timer(check_id, _TRY_AGAIN_S, self._forget)
                return
            _log.warning("check_not_queued", check=check_id, error=type(error).__name__)
        self._forget(check_id)

    def _forget(self, check_id: str) -> None:
        del self._timers[check_id]


async def end_leftovers(unit: Unit, limit: int) -> int:
    """Take copies out of the queue whose check ended before anybody took them; how many."""
    left = await store_checks.lock_leftovers(unit.conn, limit)
    if left:
        ended = await tasks.expire(unit.conn, left)
        await refund_tasks(unit, ended, "expired")
    return len(left)
