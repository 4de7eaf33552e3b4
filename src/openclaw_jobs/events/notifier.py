"""Wake-ups between nodes, over PostgreSQL's LISTEN and NOTIFY.

A NOTIFY takes a lock that is global to the database from its commit's start to its end, so one
in every business transaction makes them queue up. Here a node gathers its wakes and sends them
on a connection of its own, every few milliseconds at most, with no wait for the disk: the events
themselves are durable, the wake-up need not be.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

import structlog

from openclaw_jobs.db.errors import is_unavailable
from openclaw_jobs.db.pool import Connection, Database
from openclaw_jobs.events import rules, store
from openclaw_jobs.events.bus import Bus
from openclaw_jobs.events.models import Wake

# More names than this are not worth sending: they gather only while the database is away.
_MAX_PENDING: Final = 1000
_RETRY_FIRST_S: Final = 0.05
_RETRY_MAX_S: Final = 2.0
_ANSWER_TIMEOUT_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Notifier:
    """Carries the wakes of this node's bus to all other nodes, and theirs to this bus.

    Two connections outside the pool: one that listens, one that sends. Each is replaced when it
    is lost, with growing and jittered pauses; after that everybody here is woken, since wakes may
    have been missed. Behind them stands one small statement every `sweep_s` seconds a node (none
    while nobody waits for events) that finds what a node committed and died before telling.

    A transaction-pooling proxy such as PgBouncer does not pass LISTEN on; give it a direct DSN.

    Args:
        db: Where to connect.
        bus: The bus of this process.
        node_id: Unique among the running processes.
        rng: For the jitter.
        interval_s: The least time between two notifications. The first after a pause goes at once.
        sweep_s: The longest time that a lost wake-up of a buyer's events stays unnoticed.
        ping_s: How often the listening connection is asked for a sign of life.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        node_id: str,
        rng: random.Random,
        interval_s: float = 0.005,
        sweep_s: float = 5.0,
        ping_s: float = 30.0,
    ) -> None:
        """See the class."""
        self._db = db
        self._bus = bus
        self._node_id = node_id
        self._rng = rng
        self._interval_s = interval_s
        self._sweep_s = sweep_s
        self._ping_s = ping_s
        self._buyers: set[str] = set()
        self._queue: set[str] = set()
        self._everything = False
        self._has_work = asyncio.Event()
        self._listening = asyncio.Event()
        self._sending = asyncio.Event()
        self._stopping = False
        self._swept: dict[str, int] = {}
        self._sender: asyncio.Task[None] | None = None
        self._receivers: list[asyncio.Task[None]] = []
        self.sent = 0
        """Payloads sent since the start."""

    async def start(self, *, wait_s: float = 10.0) -> None:
        """Connect, and return once wakes go both ways.

        Raises:
            TimeoutError: The database could not be reached within `wait_s` seconds.
        """
        self._bus.attach_relay(self.offer)
        self._sender = asyncio.create_task(
            self._keep("notify", self._send, synchronous_commit=False)
        )
        self._receivers = [
            asyncio.create_task(self._keep("listen", self._listen, synchronous_commit=True)),
            asyncio.create_task(self._sweep_forever()),
        ]
        try:
            async with asyncio.timeout(wait_s):
                await self._listening.wait()
                await self._sending.wait()
        except BaseException:
            await self.stop(flush_s=0)
            raise

    async def stop(self, *, flush_s: float = 1.0) -> None:
        """Send what is still to be told, for at most `flush_s` seconds, and disconnect."""
        self._bus.detach_relay()
        self._stopping = True
        self._has_work.set()
        tasks = [*self._receivers]
        if self._sender is not None:
            if flush_s > 0:
                await asyncio.wait([self._sender], timeout=flush_s)
            tasks.append(self._sender)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sender = None
        self._receivers = []

    def offer(self, wake: Wake) -> None:
        """Tell the other nodes of `wake` soon, together with whatever else comes by then."""
        self._buyers |= wake.buyers
        self._queue |= wake.queue
        if len(self._buyers) + len(self._queue) > _MAX_PENDING:
            self._buyers.clear()
            self._queue.clear()
            self._everything = True
        self._has_work.set()

    async def _keep(
        self,
        purpose: str,
        session: Callable[[Connection], Awaitable[None]],
        *,
        synchronous_commit: bool,
    ) -> None:
        """Run `session` on a connection, and again on a new one whenever that is lost."""
        pause = _RETRY_FIRST_S
        lost = False
        while not self._stopping:
            started = time.monotonic()
            try:
                async with self._db.dedicated(
                    purpose=purpose, synchronous_commit=synchronous_commit
                ) as conn:
                    _log.info("wakes_connected", connection=purpose, again=lost)
                    lost = False
                    await session(conn)
            except Exception as error:  # noqa: BLE001 - this loop must outlive whatever happens
                if not lost:
                    lost = True
                    known = is_unavailable(error) or isinstance(error, TimeoutError)
                    _log.warning(
                        "wakes_disconnected",
                        connection=purpose,
                        error=str(error).strip() or type(error).__name__,
                        exc_info=None if known else error,
                    )
            if time.monotonic() - started > _RETRY_MAX_S:
                pause = _RETRY_FIRST_S
            if not self._stopping:
                await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
            pause = min(pause * 2, _RETRY_MAX_S)

    async def _send(self, conn: Connection) -> None:
        self._sending.set()
        while True:
            await self._has_work.wait()
            payloads = self._take()
            if payloads:
                try:
                    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                        await store.notify(conn, payloads)
                except BaseException:
                    # Not known which of them went out; twice does no harm.
                    self._everything = True
                    self._has_work.set()
                    raise
                self.sent += len(payloads)
            if self._stopping:
                return
            await asyncio.sleep(self._interval_s)

    def _take(self) -> list[str]:
        payloads = rules.wake_payloads(
            self._node_id, self._queue, self._buyers, everything=self._everything
        )
        self._queue.clear()
        self._buyers.clear()
        self._everything = False
        self._has_work.clear()
        return payloads

    async def _listen(self, conn: Connection) -> None:
        await store.listen(conn)
        self._bus.wake_all()
        self._listening.set()
        while True:
            async with aclosing(conn.notifies(timeout=self._ping_s)) as notifications:
                async for notification in notifications:
                    self._receive(notification.payload)
            # A peer that vanished without a farewell is silent too; only a question tells.
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await store.ping(conn)

    def _receive(self, payload: str) -> None:
        message = rules.read_wake(payload)
        if message is None:
            _log.warning("wake_unreadable", payload_chars=len(payload))
        elif message.n == self._node_id:
            return
        elif message.a:
            self._bus.wake_all()
        else:
            self._bus.deliver(Wake(buyers=frozenset(message.b), queue=frozenset(message.q)))

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_s * self._rng.uniform(0.8, 1.0))
            try:
                await self._sweep()
            except Exception as error:  # noqa: BLE001 - this loop must outlive whatever happens
                # While the database is away the listener says so, and wakes everybody afterwards.
                if not is_unavailable(error):
                    _log.exception("wake_sweep_failed")

    async def _sweep(self) -> None:
        """Wake who waits for a buyer whose sequence has grown since the last sweep."""
        buyers = self._bus.subscribed_buyers()
        if not buyers:
            self._swept = {}
            return
        async with self._db.read() as conn:
            latest = await store.last_seqs(conn, buyers)
        # Who is new here is woken too: what came before its first sweep may have been lost.
        grown = [buyer for buyer, seq in latest.items() if self._swept.get(buyer) != seq]
        self._swept = latest
        self._bus.deliver(Wake(buyers=frozenset(grown)))
