"""What anybody may see of the marketplace: a few figures, and the tasks that were just done.

Nothing in it names a buyer, a worker or a text: a category is told only if the price list has it,
since buyers may write what they like there. It costs the database the same however many look.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
import psycopg
import structlog

from openclaw_jobs.db.errors import is_unavailable
from openclaw_jobs.dispatch.store import nodes
from openclaw_jobs.economy.models import DEFAULT_CATEGORY
from openclaw_jobs.events import Wake
from openclaw_jobs.events.bus import Subscription
from openclaw_jobs.market import store_public, store_stats
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.public_quality import QualityFigures, read_quality
from openclaw_jobs.market.read_tasks import NODE_SILENT_SECONDS

__all__ = ["DoneTask", "PublicActivity", "PublicFigures"]

KEPT: Final = 8
"""How many of the last tasks are told to who comes new."""
POLL_S: Final = 2.0
"""How often the database is asked, while anybody follows."""
FIGURES_S: Final = 10.0
"""How old the figures may be."""
FRESH_FIGURES_S: Final = 3.0
"""How old they may be once another task was done."""
QUALITY_S: Final = 600.0
"""How old the figures of quality may be; so rarely that no single result shows in them."""

_LISTENERS: Final = "activity"
_FIRST_LOOK_S: Final = 7 * 86_400.0
_LATENCY_WINDOW_S: Final = 86_400
# A transfer bears the time at which its transaction began; it is seen when that has committed.
_OVERLAP_S: Final = 30.0
_SCANNED: Final = 1_000
_ENOUGH_FOR_A_SHARE: Final = 20
_REST_PER_WORK: Final = 20

_log = structlog.get_logger(__name__)


class DoneTask(msgspec.Struct, frozen=True):
    """A task that somebody's agent has done.

    Attributes:
        seq: When it was done in microseconds, made unique: alike on all nodes, or nearly.
        category: Of the price list; None where the buyer made up one.
        seconds: From claim to submission.
        at: When it was done.
    """

    seq: int
    category: str | None
    seconds: float
    at: datetime


class PublicFigures(msgspec.Struct, frozen=True):
    """How the marketplace does.

    Attributes:
        tasks_done: Tasks completed ever.
        earned_cents: What workers have earned with them.
        workers_online: Workers that wait for a task or have one.
        median_wait_s: Seconds from posting to claim, of the last day's tasks; None without any.
        kept_share: The share of results for which no money was asked back; None while they are few.
    """

    tasks_done: int
    earned_cents: int
    workers_online: int
    median_wait_s: float | None
    kept_share: float | None


class PublicActivity:
    """Reads what is public: when asked, and while somebody follows every two seconds.

    Args:
        market: Where.
    """

    def __init__(self, market: Market) -> None:
        """Nothing read yet."""
        self._market = market
        self._figures: PublicFigures | None = None
        self._figures_at = self._figures_until = 0.0
        self._work = (0, 0, 0)
        self._work_until = 0.0
        self._quality: QualityFigures | None = None
        self._quality_until = 0.0
        self._reading = asyncio.Lock()
        self._reading_quality = asyncio.Lock()
        self._done: deque[DoneTask] = deque(maxlen=KEPT)
        self._seen: deque[str] = deque(maxlen=_SCANNED)
        self._looked_until = 0.0
        self._seq = 0
        self._followers = 0
        self._poller: asyncio.Task[None] | None = None

    async def figures(self) -> PublicFigures:
        """The figures, a few seconds old at most; one reads them for all that ask."""
        async with self._reading:
            if self._figures is None or self._market.monotonic() >= self._figures_until:
                self._figures = await self._read_figures()
                self._figures_at = self._market.monotonic()
                self._figures_until = self._figures_at + FIGURES_S
            return self._figures

    async def quality(self) -> QualityFigures:
        """How results are checked; while one reads it anew, others are told what was known."""
        known = self._quality
        if known is not None and (
            self._reading_quality.locked() or self._market.monotonic() < self._quality_until
        ):
            return known
        async with self._reading_quality:
            if self._quality is None or self._market.monotonic() >= self._quality_until:
                started = self._market.monotonic()
                self._quality = await read_quality(self._market)
                now = self._market.monotonic()
                self._quality_until = now + max(QUALITY_S, (now - started) * _REST_PER_WORK)
            return self._quality

    async def done(self) -> list[DoneTask]:
        """The last tasks done, newest first, as of at most `POLL_S` ago."""
        async with self._reading:
            if self._market.monotonic() >= self._looked_until:
                await self._look()
            return list(reversed(self._done))

    @property
    def known(self) -> PublicFigures | None:
        """The figures as they were last read; who follows is told when others have been."""
        return self._figures

    @property
    def latest(self) -> int:
        """The `seq` of the last task that is known; 0 for none."""
        return self._seq

    def done_after(self, seq: int) -> list[DoneTask]:
        """What was found after `seq`, oldest first, as far as it is still kept."""
        return [task for task in self._done if task.seq > seq]

    @contextlib.contextmanager
    def follow(self) -> Iterator[Subscription]:
        """Have the subscription woken when there is something new, for the length of the block."""
        self._followers += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            with self._market.bus.subscribe(_LISTENERS) as subscription:
                yield subscription
        finally:
            self._followers -= 1
            if self._followers == 0 and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            before, figures = self._seq, self._figures
            try:
                await self.done()
                await self.figures()
            except psycopg.Error as error:
                # Who follows sees nothing new meanwhile; the next look may find the database back.
                if not is_unavailable(error):
                    _log.exception("activity_unread")
                continue
            if self._seq != before or self._figures != figures:
                self._market.bus.deliver(Wake(buyers=frozenset({_LISTENERS})))

    async def _look(self) -> None:
        first = not self._seen
        async with self._market.db.read() as conn:
            found = await store_public.select_done(
                conn, _FIRST_LOOK_S if first else _OVERLAP_S, _SCANNED, KEPT
            )
        known = self._market.config.pricing.base_cents
        for task_id, category, seconds, at in reversed(found):
            if task_id not in self._seen:
                self._seen.append(task_id)
                self._seq = max(self._seq + 1, int(at.timestamp() * 1_000_000))
                told = category if category in known and category != DEFAULT_CATEGORY else None
                self._done.append(DoneTask(self._seq, told, max(0.0, seconds), at))
                self._figures_until = min(self._figures_until, self._figures_at + FRESH_FIGURES_S)
        self._looked_until = self._market.monotonic() + POLL_S / 2

    async def _read_figures(self) -> PublicFigures:
        completed, credited, earned_cents = await self._recent_work()
        async with self._market.db.read() as conn:
            online = await nodes.count_online(conn, NODE_SILENT_SECONDS)
            _, waits, _ = await store_stats.select_latencies(
                conn, _LATENCY_WINDOW_S, _SCANNED, (0.5,)
            )
        return PublicFigures(
            tasks_done=completed,
            earned_cents=earned_cents,
            workers_online=online,
            median_wait_s=waits[0] if waits else None,
            kept_share=1 - credited / completed if completed >= _ENOUGH_FOR_A_SHARE else None,
        )

    async def _recent_work(self) -> tuple[int, int, int]:
        """The sums over all workers, no more often than their cost allows."""
        started = self._market.monotonic()
        if started >= self._work_until:
            async with self._market.db.read() as conn:
                self._work = await store_public.sum_work(conn)
            now = self._market.monotonic()
            self._work_until = now + (now - started) * _REST_PER_WORK
        return self._work
