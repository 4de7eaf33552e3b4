"""The SQL of the outbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from openclaw_jobs.db.pool import Connection
from openclaw_jobs.events.models import Event, NewEvent

CHANNEL: Final = "openclaw_wakes"

# Lists travel as one text each, parted by a control character that neither an id nor JSON can
# hold: the driver's own arrays cost 18 µs of client CPU an event, this 3 µs.
_SEPARATOR: Final = "\x1f"
_NO_TASK: Final = "-"

_APPEND: Final = """
    WITH counts AS (
        SELECT * FROM unnest(
            string_to_array(%s, E'\\x1f'), string_to_array(%s, E'\\x1f')::int[]
        ) AS c (buyer_id, added)
    ), fresh AS (
        SELECT * FROM unnest(
            string_to_array(%s, E'\\x1f'), string_to_array(%s, E'\\x1f')::int[],
            string_to_array(%s, E'\\x1f'), string_to_array(%s, E'\\x1f'),
            string_to_array(%s, E'\\x1f')
        ) AS f (buyer_id, followers, type, task_id, data)
    ), bumped AS (
        -- In one order, so that two writers of the same buyers queue up and never deadlock.
        INSERT INTO event_sequences AS s (buyer_id, last_seq)
        SELECT buyer_id, added FROM counts ORDER BY buyer_id
        ON CONFLICT (buyer_id) DO UPDATE SET last_seq = s.last_seq + excluded.last_seq
        RETURNING buyer_id, last_seq
    )
    INSERT INTO events (buyer_id, seq, type, task_id, data, created_at)
    SELECT buyer_id, last_seq - followers, type, nullif(task_id, '-'), data, %s
    FROM fresh JOIN bumped USING (buyer_id)
"""

_READ_AFTER: Final = """
    SELECT seq, type, task_id, data FROM events
    WHERE buyer_id = %s AND seq > %s
    ORDER BY seq LIMIT %s
"""

_READ_TASK_AFTER: Final = """
    SELECT seq, type, task_id, data FROM events
    WHERE buyer_id = %s AND task_id = %s AND seq > %s
    ORDER BY seq LIMIT %s
"""


async def append(
    conn: Connection, events: Sequence[NewEvent], data: Sequence[str], now: datetime
) -> None:
    """Number and insert `events` (with `data`, their JSON) in the given order, in one statement.

    Locks each buyer's sequence row until the transaction ends.
    """
    # How many events of the same buyer come after each one; counted here since a window function
    # over them costs the server a third more.
    counts: dict[str, int] = {}
    followers: list[str] = []
    for event in reversed(events):
        later = counts.get(event.buyer_id, 0)
        followers.append(str(later))
        counts[event.buyer_id] = later + 1
    followers.reverse()
    await conn.execute(
        _APPEND,
        (
            _joined(list(counts)),
            _joined([str(count) for count in counts.values()]),
            _joined([event.buyer_id for event in events]),
            _joined(followers),
            _joined([event.type for event in events]),
            _joined([event.task_id or _NO_TASK for event in events]),
            _joined(data),
            now,
        ),
    )


async def read_after(
    conn: Connection, buyer_id: str, seq: int, limit: int, task_id: str | None
) -> list[Event]:
    """Up to `limit` of a buyer's events after `seq`, in order; of one task only if it is given."""
    cursor = (
        await conn.execute(_READ_AFTER, (buyer_id, seq, limit))
        if task_id is None
        else await conn.execute(_READ_TASK_AFTER, (buyer_id, task_id, seq, limit))
    )
    return [Event(*row) for row in await cursor.fetchall()]


async def last_seqs(conn: Connection, buyer_ids: Sequence[str]) -> dict[str, int]:
    """The number of each buyer's latest committed event; who has none is not in it."""
    cursor = await conn.execute(
        "SELECT buyer_id, last_seq FROM event_sequences "
        "WHERE buyer_id = ANY (string_to_array(%s, E'\\x1f'))",
        (_joined(buyer_ids),),
    )
    return dict(await cursor.fetchall())


async def purge(conn: Connection, before: datetime, limit: int) -> int:
    """Delete up to `limit` events written before `before`; returns how many."""
    cursor = await conn.execute(
        "DELETE FROM events WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM events WHERE created_at < %s LIMIT %s))",
        (before, limit),
    )
    return cursor.rowcount


async def listen(conn: Connection) -> None:
    """Receive on `conn` what any node sends by `notify`."""
    await conn.execute(f"LISTEN {CHANNEL}")


async def notify(conn: Connection, payloads: Sequence[str]) -> None:
    """Send each of `payloads` (under 8000 bytes) to all nodes, in one statement and one commit."""
    await conn.execute(
        "SELECT pg_notify(%s, payload) FROM unnest(string_to_array(%s, E'\\x1f')) AS p (payload)",
        (CHANNEL, _joined(payloads)),
    )


async def ping(conn: Connection) -> None:
    """Have the server answer something, to know that it is there."""
    await conn.execute("SELECT 1")


def _joined(values: Sequence[str]) -> str:
    text = _SEPARATOR.join(values)
    if text.count(_SEPARATOR) != len(values) - 1:
        raise ValueError("there is nothing to send, or a value holds the separator")
    return text
