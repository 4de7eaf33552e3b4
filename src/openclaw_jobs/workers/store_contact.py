"""SQL of how a worker is reached and paid."""

from datetime import timedelta
from typing import Literal, LiteralString

from openclaw_jobs.db import Connection
from openclaw_jobs.workers.models import Contact

_LOCK: dict[str, LiteralString] = {
    "none": "",
    "share": " FOR SHARE",
    "update": " FOR NO KEY UPDATE",
}


async def select_contact(
    conn: Connection, worker_id: str, lock: Literal["none", "share", "update"] = "none"
) -> Contact | None:
    """A worker's contact, its row held still if asked."""
    query: LiteralString = (
        "SELECT email, email_verified_at IS NOT NULL, payout_method, payout_address,"
        " payout_blocked_until, standing, suspended_until, now() FROM workers WHERE id = %s"
    )
    cursor = await conn.execute(query + _LOCK[lock], (worker_id,))
    row = await cursor.fetchone()
    if row is None:
        return None
    return Contact(**dict(zip(Contact.__struct_fields__, row, strict=True)))


async def set_unproven_email(conn: Connection, worker_id: str, email: str) -> None:
    """Show the address that a worker gave, unless it has proven another."""
    await conn.execute(
        "UPDATE workers SET email = %s WHERE id = %s AND email_verified_at IS NULL",
        (email, worker_id),
    )


async def set_proven_email(conn: Connection, worker_id: str, email: str) -> None:
    """The worker reads mail at this address."""
    await conn.execute(
        "UPDATE workers SET email = %s, email_verified_at = now() WHERE id = %s",
        (email, worker_id),
    )


async def set_payout(
    conn: Connection, worker_id: str, method: str, address: str, blocked_for: timedelta | None
) -> None:
    """Say where a worker is paid, and for how long nothing can be withdrawn there."""
    await conn.execute(
        """
        UPDATE workers SET payout_method = %s, payout_address = %s, payout_changed_at = now(),
            payout_blocked_until = now() + %s::interval
        WHERE id = %s
        """,
        (method, address, blocked_for, worker_id),
    )


async def note_payout_change(conn: Connection, worker_id: str, within: timedelta) -> int:
    """Note that a worker changed where it is paid; how often it did so lately."""
    await conn.execute("INSERT INTO payout_changes (worker_id) VALUES (%s)", (worker_id,))
    cursor = await conn.execute(
        "SELECT count(*) FROM payout_changes WHERE worker_id = %s AND changed_at > now() - %s",
        (worker_id, within),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
