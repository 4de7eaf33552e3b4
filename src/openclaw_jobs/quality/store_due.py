"""SQL of hidden tasks that wait for their time to join the queue."""

from collections.abc import Sequence

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array
from openclaw_jobs.quality.checks import Check
from openclaw_jobs.quality.store_checks import CHECK, check_of
from openclaw_jobs.quality.store_hidden import MAX_EXPOSURES

_DUE = "(c.stage = 'due' OR (c.stage = 'arbitrating' AND c.arbiter_task_id IS NULL))"


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A hidden task that has joined the queue.

    Attributes:
        check_id: Whose it is.
        task_id: The task.
        price_cents: What it costs, as a paid one of this text would now.
        reserved_cents: What the check still sets aside, for an arbiter.
        gold_id: The gold task that is shown by it, if any.
    """

    check_id: str
    task_id: str
    price_cents: int
    reserved_cents: int
    gold_id: str | None


async def select_soon(conn: Connection, seconds: float, limit: int) -> list[tuple[str, float]]:
    """Checks with a hidden task to queue within so many seconds, and in how many; soonest first.

    What is overdue is so by less than none.
    """
    cursor = await conn.execute(
        f"""
        SELECT c.id, extract(epoch FROM c.due_at - clock_timestamp())::float8 FROM checks c
        WHERE {_DUE} AND c.due_at <= clock_timestamp() + make_interval(secs => %s)
        ORDER BY c.due_at LIMIT %s
        """,  # noqa: S608 - own condition
        (seconds, limit),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def lock_due(conn: Connection, check_ids: Sequence[str]) -> list[Check]:
    """Lock those of these checks whose hidden task is to be queued now by the database's clock.

    What somebody else holds is left out, and never waited for.
    """
    cursor = await conn.execute(
        f"""
        SELECT {CHECK} FROM checks c
        WHERE c.id = ANY(%s::text[]) AND {_DUE} AND c.due_at <= now()
        ORDER BY c.id FOR UPDATE SKIP LOCKED
        """,  # noqa: S608 - own column list and condition
        (text_array(check_ids),),
    )
    return [check_of(row) for row in await cursor.fetchall()]


async def spread_late(conn: Connection, late_seconds: float, delay_seconds: float) -> None:
    """Give checks another random time that should have been queued long ago."""
    await conn.execute(
        f"""
        WITH late AS (
            SELECT id FROM checks c
            WHERE {_DUE} AND c.due_at < now() - make_interval(secs => %s)
            ORDER BY c.due_at FOR UPDATE SKIP LOCKED
        )
        UPDATE checks c SET due_at = now() + random() * make_interval(secs => %s)
        FROM late WHERE c.id = late.id
        """,  # noqa: S608 - own condition
        (late_seconds, delay_seconds),
    )


async def set_queued(conn: Connection, joined: Sequence[Joined]) -> None:
    """Note that the copies of checks, or else their arbiters, are in the queue.

    The checks and their gold tasks are locked. A gold task is counted as shown, and retires after
    `MAX_EXPOSURES`. One statement, as what a paid task adds to its buyer's sums is one.
    """
    await conn.execute(
        """
        WITH queued AS (
            SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
                AS q (check_id, task_id, price, reserved, gold_id)
        ), shown AS (
            SELECT gold_id, count(*)::int AS times FROM queued
            WHERE gold_id IS NOT NULL GROUP BY gold_id
        ), golden AS (
            UPDATE golds g SET exposures = g.exposures + s.times, retired_at = CASE
                WHEN g.exposures + s.times >= %s THEN coalesce(g.retired_at, now())
                ELSE g.retired_at END
            FROM shown s WHERE g.id = s.gold_id COLLATE "C"
        )
        UPDATE checks c SET
            copy_task_id = CASE WHEN c.stage = 'due' THEN q.task_id ELSE c.copy_task_id END,
            arbiter_task_id = CASE WHEN c.stage = 'arbitrating' THEN q.task_id END,
            stage = CASE WHEN c.stage = 'due' THEN 'copying' ELSE c.stage END,
            price_cents = q.price,
            reserved_cents = q.reserved,
            spent_cents = c.spent_cents + q.price
        FROM queued q WHERE c.id = q.check_id COLLATE "C"
        """,
        (
            text_array([j.check_id for j in joined]),
            text_array([j.task_id for j in joined]),
            int_array([j.price_cents for j in joined]),
            int_array([j.reserved_cents for j in joined]),
            text_array([j.gold_id for j in joined]),
            MAX_EXPOSURES,
        ),
    )


async def postpone(conn: Connection, later: Sequence[tuple[str, float]]) -> None:
    """Have the hidden tasks of locked checks queued so many seconds later, each its own."""
    await conn.execute(
        """
        UPDATE checks c SET due_at = now() + make_interval(secs => l.seconds)
        FROM unnest(%s::text[], %s::float8[]) AS l (check_id, seconds)
        WHERE c.id = l.check_id COLLATE "C"
        """,
        (
            text_array([check_id for check_id, _ in later]),
            "{" + ",".join(str(seconds) for _, seconds in later) + "}",
        ),
    )
