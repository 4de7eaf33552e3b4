"""SQL of what providers tell us: stored once as it came, worked later, kept."""

from openclaw_jobs.db import Connection
from openclaw_jobs.payments.deposits.models import StoredEvent


async def insert_event(
    conn: Connection, source: str, event_id: str, kind: str, payload: str
) -> bool:
    """Keep an event; False if it was told before."""
    cursor = await conn.execute(
        "INSERT INTO webhook_events (source, event_id, type, payload) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (source, event_id) DO NOTHING",
        (source, event_id, kind, payload),
    )
    return cursor.rowcount == 1


async def select_due(conn: Connection, limit: int) -> list[StoredEvent]:
    """Events whose time has come, longest due first."""
    cursor = await conn.execute(
        "SELECT source, event_id, type, payload, attempts FROM webhook_events"
        " WHERE status = 'pending' AND next_try_at <= now() ORDER BY next_try_at LIMIT %s",
        (limit,),
    )
    return [
        StoredEvent(source=row[0], event_id=row[1], type=row[2], payload=row[3], attempts=row[4])
        for row in await cursor.fetchall()
    ]


async def lock_due(conn: Connection, source: str, event_id: str) -> bool:
    """Be the only one to work an event; False if somebody else does, or has."""
    cursor = await conn.execute(
        "SELECT FROM webhook_events WHERE source = %s AND event_id = %s"
        " AND status = 'pending' AND next_try_at <= now() FOR UPDATE SKIP LOCKED",
        (source, event_id),
    )
    return await cursor.fetchone() is not None


async def finish(conn: Connection, source: str, event_id: str, status: str) -> None:
    """An event is `done`, or `ignored`."""
    await conn.execute(
        "UPDATE webhook_events SET status = %s, handled_at = now(), error = NULL"
        " WHERE source = %s AND event_id = %s",
        (status, source, event_id),
    )


async def postpone(conn: Connection, source: str, event_id: str, seconds: int, reason: str) -> None:
    """Try an event again in so many seconds, unless somebody has finished it meanwhile."""
    await conn.execute(
        """
        UPDATE webhook_events SET attempts = attempts + 1, error = %s,
            next_try_at = now() + make_interval(secs => %s)
        WHERE source = %s AND event_id = %s AND status = 'pending'
        """,
        (reason, seconds, source, event_id),
    )


async def give_up(conn: Connection, source: str, event_id: str, status: str, reason: str) -> None:
    """An event is `failed`, or `ignored` since what it is about never became known."""
    await conn.execute(
        """
        UPDATE webhook_events SET status = %(status)s, attempts = attempts + 1, error = %(error)s,
            handled_at = CASE WHEN %(status)s = 'ignored' THEN now() END
        WHERE source = %(source)s AND event_id = %(id)s AND status = 'pending'
        """,
        {"status": status, "error": reason, "source": source, "id": event_id},
    )


async def hasten(conn: Connection, source: str, reasons: list[str]) -> None:
    """Try now what waits for one of these reasons.

    What somebody is working on this moment is left alone: it may be waiting for us.
    """
    await conn.execute(
        """
        UPDATE webhook_events SET next_try_at = now() WHERE (source, event_id) IN (
            SELECT source, event_id FROM webhook_events
            WHERE status = 'pending' AND source = %s AND error = ANY(%s::text[])
            FOR UPDATE SKIP LOCKED)
        """,
        (source, reasons),
    )


async def reopen(conn: Connection, source: str, event_id: str) -> bool:
    """Have an event worked once more from the start; False if there is none."""
    cursor = await conn.execute(
        """
        UPDATE webhook_events SET status = 'pending', attempts = 0, next_try_at = now(),
            handled_at = NULL, error = NULL
        WHERE source = %s AND event_id = %s
        """,
        (source, event_id),
    )
    return cursor.rowcount == 1
