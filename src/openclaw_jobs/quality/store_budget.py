"""SQL of the budget: the volume of each process, and what each may still spend on checks."""

from openclaw_jobs.db import Connection
from openclaw_jobs.quality.budget import Volume

_ALLOTMENTS = "check_allotments"


async def lock_allotments(conn: Connection) -> None:
    """Let one process at a time be granted anything; held until the transaction ends."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", (_ALLOTMENTS,))


async def add_volume(conn: Connection, node_id: str, volume: Volume) -> None:
    """Add to what this process has seen in this hour."""
    await conn.execute(
        """
        INSERT INTO volume_hours AS v (node_id, hour, paid_cents, paid_claims, refused_checks)
        VALUES (%s, date_trunc('hour', now(), 'UTC'), %s, %s, %s)
        ON CONFLICT (hour, node_id) DO UPDATE SET
            paid_cents = v.paid_cents + excluded.paid_cents,
            paid_claims = v.paid_claims + excluded.paid_claims,
            refused_checks = v.refused_checks + excluded.refused_checks
        """,
        (node_id, volume.paid_cents, volume.paid_claims, volume.refused),
    )


async def select_day(conn: Connection) -> tuple[int, int, int]:
    """Of the last 24 hours: what buyers paid, what checks cost or have reserved, and refusals.

    Paid volume is kept by the hour: the oldest hour is not counted once a part of it is older.
    """
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(paid_cents), 0)::bigint, (
                SELECT coalesce(sum(spent_cents + reserved_cents), 0)::bigint FROM checks
                WHERE created_at > now() - interval '24 hours'),
            coalesce(sum(refused_checks), 0)::bigint
        FROM volume_hours WHERE hour > now() - interval '24 hours'
        """
    )
    row = await cursor.fetchone()
    return (0, 0, 0) if row is None else (row[0], row[1], row[2])


async def select_allotted(conn: Connection, node_id: str, stale_seconds: float) -> tuple[int, int]:
    """What the other processes hold, and how many processes there are with this one."""
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(cents), 0)::bigint, count(*) + 1 FROM check_allotments
        WHERE node_id <> %s AND granted_at > now() - make_interval(secs => %s)
        """,
        (node_id, stale_seconds),
    )
    row = await cursor.fetchone()
    return (0, 1) if row is None else (row[0], row[1])


async def set_allotment(conn: Connection, node_id: str, cents: int) -> None:
    """Note what this process holds from now on."""
    await conn.execute(
        "INSERT INTO check_allotments (node_id, cents) VALUES (%s, %s)"
        " ON CONFLICT (node_id) DO UPDATE SET cents = excluded.cents, granted_at = now()",
        (node_id, cents),
    )


async def delete_allotments(conn: Connection, node_id: str | None, stale_seconds: float) -> None:
    """Take back what a process holds that stops, and what those hold that are silent."""
    await conn.execute(
        "DELETE FROM check_allotments"
        " WHERE node_id = %s OR granted_at < now() - make_interval(secs => %s)",
        (node_id, stale_seconds),
    )


async def delete_volume(conn: Connection, keep_hours: int) -> None:
    """Forget hours that no figure goes by any more."""
    await conn.execute(
        "DELETE FROM volume_hours WHERE hour < now() - make_interval(hours => %s)", (keep_hours,)
    )
