"""Writing and reading the outbox, within a transaction or connection of the caller."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db.pool import Connection
from openclaw_jobs.events import rules, store
from openclaw_jobs.events.models import Event, NewEvent
from openclaw_jobs.kit.timefmt import rfc3339


async def append(conn: Connection, events: Sequence[NewEvent], now: datetime) -> frozenset[str]:
    """Write `events` in the transaction of what they tell, numbered in the given order.

    Call it once a transaction and as its last statement: it holds the sequence of every buyer
    concerned until COMMIT, so that each buyer's numbers are gapless and in the order of commits.

    Args:
        conn: In a transaction.
        events: What happened, to any number of buyers; may be empty.
        now: The `at` of all of them.

    Returns:
        The buyers concerned, for the `Wake` to publish after the commit.
    """
    if not events:
        return frozenset()
    at = rfc3339(now)
    await store.append(conn, events, [rules.event_json(event, at) for event in events], now)
    return frozenset([event.buyer_id for event in events])


async def read_after(
    conn: Connection, buyer_id: str, seq: int, limit: int, task_id: str | None = None
) -> list[Event]:
    """Up to `limit` of a buyer's events numbered above `seq`, in order.

    Args:
        conn: Any connection.
        buyer_id: Whose events.
        seq: The last number already known; 0 for all that are still kept.
        limit: How many at most, so that a caller's memory is bounded.
        task_id: Only the events about this task.
    """
    return await store.read_after(conn, buyer_id, seq, limit, task_id)


async def last_seq(conn: Connection, buyer_id: str) -> int:
    """The number of the buyer's latest committed event; 0 if there never was one."""
    return (await store.last_seqs(conn, [buyer_id])).get(buyer_id, 0)


async def purge(conn: Connection, before: datetime, limit: int) -> int:
    """Delete up to `limit` events written before `before`; call it again while it returns `limit`.

    The numbers go on from where they were. A stream that resumes from before what was deleted
    continues with the oldest event that is left.
    """
    return await store.purge(conn, before, limit)
