"""A buyer's events as Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import psycopg

from openclaw_jobs.db.errors import is_unavailable
from openclaw_jobs.db.pool import Connection, Database
from openclaw_jobs.events import rules, service
from openclaw_jobs.events.bus import Bus, Signal
from openclaw_jobs.events.models import BROWSER_TYPES, TERMINAL_TYPES

HEARTBEAT_S: Final = 15.0
"""The longest silence of a stream, in seconds; proxies cut a connection silent for a minute."""

PAGE_SIZE: Final = 100
"""The most events in one read, and so in one chunk of memory a stream."""

_HEARTBEAT: Final = b": heartbeat\n\n"
# How long a client waits before it comes back when a stream ended, as when a node drains.
_OPENING: Final = b"retry: 1000\n\n"

# While the database is away: how long a read may hang, and how soon it is tried again. Together
# they are the silence then, and shorter than a heartbeat.
_READ_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 1.0


async def stream(
    db: Database,
    bus: Bus,
    buyer_id: str,
    after: int | None,
    task_id: str | None = None,
    *,
    ended: bool = False,
    browser: bool = False,
    heartbeat_s: float = HEARTBEAT_S,
    page_size: int = PAGE_SIZE,
) -> AsyncGenerator[bytes, None]:
    """Yield a buyer's events as they are committed on any node, in frames ready to send.

    While nothing happens it costs a heartbeat, and no SQL. While the database is away it stays
    open, and goes on where it was. It ends when the bus closes; a task's stream also once the
    task's terminal event (one of `TERMINAL_TYPES`) is sent: a credit that comes later is on the
    buyer's stream. Close the generator (or cancel it) when the client is gone.

    Args:
        db: Where the events are.
        bus: Tells when there are new ones.
        buyer_id: Whose events; the caller has authorized that.
        after: The last number that the client has (its `Last-Event-ID`). None for a new client: a
            buyer's stream starts with what comes from now on, a task's with all its events so far.
        task_id: Only the events of this task of the buyer.
        ended: The task has ended already, so the stream ends once it is at the present.
        browser: A page follows, which gets the events of `BROWSER_TYPES` as well.
        heartbeat_s: The longest silence, in seconds.
        page_size: The most events in one read and one chunk.

    Raises:
        psycopg.Error: The database refuses for a reason that time does not mend.
    """
    cursor = _Cursor(buyer_id, after, task_id, ended=ended, browser=browser, page_size=page_size)
    with bus.subscribe(buyer_id) as subscription:
        yield _OPENING
        while not bus.closed:
            chunk = await _read(db, bus, cursor)
            if chunk is None:
                await subscription.wait(_RETRY_S)
                yield _HEARTBEAT
                continue
            if chunk:
                yield chunk
            if cursor.more:
                continue
            if cursor.ended:
                return
            signal = await subscription.wait(heartbeat_s)
            while signal is Signal.TIMEOUT:
                yield _HEARTBEAT
                signal = await subscription.wait(heartbeat_s)


async def _read(db: Database, bus: Bus, cursor: "_Cursor") -> bytes | None:
    """What comes next; None while the database cannot say."""
    try:
        # A few at a time: hundreds of woken streams must leave the pool to others. With a time
        # limit, since while the database is away those few hold the others up.
        async with asyncio.timeout(_READ_TIMEOUT_S), bus.reading, db.read() as conn:
            return await cursor.advance(conn)
    except TimeoutError:
        return None
    except psycopg.Error as error:
        if is_unavailable(error):
            return None
        raise


class _Cursor:
    """How far one stream has read."""

    def __init__(
        self,
        buyer_id: str,
        after: int | None,
        task_id: str | None,
        *,
        ended: bool,
        browser: bool,
        page_size: int,
    ) -> None:
        self._buyer_id = buyer_id
        self._after = after
        self._task_id = task_id
        self._unwanted = frozenset[str]() if browser else BROWSER_TYPES
        self._page_size = page_size
        self._seq: int | None = None
        self.ended = ended
        """Nothing can follow, once `more` is false."""
        self.more = True
        """There may be more to read at once."""

    async def advance(self, conn: Connection) -> bytes:
        """Read on, and return what to send of it."""
        if self._seq is None:
            return await self._start(conn)
        events = await service.read_after(
            conn, self._buyer_id, self._seq, self._page_size, self._task_id
        )
        self.more = len(events) == self._page_size
        if events:
            self._seq = events[-1].seq
        if self._task_id is not None and any(e.type in TERMINAL_TYPES for e in events):
            self.ended = True
        return rules.frames([event for event in events if event.type not in self._unwanted])

    async def _start(self, conn: Connection) -> bytes:
        latest = await service.last_seq(conn, self._buyer_id)
        if self._after is not None:
            # A number that was never given out must not hide what comes next.
            self._seq = min(self._after, latest)
            return b""
        if self._task_id is not None:
            self._seq = 0
            return b""
        self._seq = latest
        # An id without data is no event, but a client that is cut off before its first event
        # comes back with it and misses nothing.
        return f"id: {latest}\n\n".encode()
