"""One connection: how it is opened while the server restarts, and whether it is still alive."""

import asyncio
import math
import select
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeAlias, TypeVar

import psycopg
from psycopg import pq
from psycopg.rows import TupleRow

from openclaw_jobs.db.errors import is_unavailable

__all__ = ["Connection", "PooledConnection", "connect_patiently", "has_peer"]

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]
_C = TypeVar("_C", bound=psycopg.AsyncConnection[TupleRow])

# A server that restarts is back within a second or so; these find it within a tenth of that.
_RETRY_FIRST_S = 0.05
_RETRY_MAX_S = 0.5
# The pool's own retries double from one second up and would oversleep a restart, so a connection
# attempt lasts this long before the pool hears of its failure.
_RECONNECT_WINDOW_S = 30.0


class PooledConnection(psycopg.AsyncConnection[TupleRow]):
    """A connection whose `connect` outwaits a restart of the server.

    Attributes:
        used_at: When a transaction ended on it last, by the monotonic clock.
    """

    used_at: float = -math.inf

    @classmethod
    async def connect(  # type: ignore[override]  # `closing` is ours, and required
        cls,
        conninfo: str = "",
        *,
        closing: asyncio.Event,
        **kwargs: Any,  # noqa: ANN401  # passed through to psycopg
    ) -> Self:
        """Connect, or try again for a while if the server is away."""
        connect = super().connect
        return await connect_patiently(
            lambda: connect(conninfo, **kwargs), time.monotonic() + _RECONNECT_WINDOW_S, closing
        )


async def connect_patiently(
    connect: Callable[[], Awaitable[_C]], deadline: float, closing: asyncio.Event
) -> _C:
    """Call `connect` again while the server is away, until `deadline` or `closing`."""
    pause = _RETRY_FIRST_S
    while True:
        try:
            return await connect()
        except psycopg.OperationalError as exc:
            if closing.is_set() or not is_unavailable(exc) or time.monotonic() + pause > deadline:
                raise
        try:
            await asyncio.wait_for(closing.wait(), pause)
        except TimeoutError:
            pause = min(pause * 2, _RETRY_MAX_S)


def has_peer(conn: Connection) -> bool:
    """Tell, without a round trip, whether the server has not closed this idle connection.

    Nothing is due on an idle connection's socket. If there is something to read it is a notice,
    which libpq takes in, or the end: a farewell message, end of file or a reset.
    """
    if conn.closed:
        return False
    poller = select.poll()
    poller.register(conn.pgconn.socket, select.POLLIN)
    if not poller.poll(0):
        return True
    try:
        conn.pgconn.consume_input()
        # The farewell is in the buffer now, and only the next read meets the end of file.
        conn.pgconn.is_busy()
        if poller.poll(0):
            conn.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return conn.pgconn.status == pq.ConnStatus.OK
