"""SQL of e-mail codes and of letters that wait."""

from openclaw_jobs.db import Connection
from openclaw_jobs.identity.mail.models import Mail, OutgoingMail


async def put_code(
    conn: Connection, worker_id: str, email: str, code_hash: bytes, minutes: int
) -> None:
    """Make this the one code that a worker can prove an address with."""
    await conn.execute(
        """
        INSERT INTO email_codes (worker_id, email, code_hash, expires_at)
        VALUES (%s, %s, %s, now() + %s * interval '1 minute')
        ON CONFLICT (worker_id) DO UPDATE SET email = EXCLUDED.email,
            code_hash = EXCLUDED.code_hash, expires_at = EXCLUDED.expires_at, attempts = 0,
            created_at = now()
        """,
        (worker_id, email, code_hash, minutes),
    )


async def lock_code(conn: Connection, worker_id: str) -> tuple[str, bytes, int, bool] | None:
    """Address, hash, wrong attempts so far and whether it has expired; held still."""
    cursor = await conn.execute(
        "SELECT email, code_hash, attempts, expires_at <= now() FROM email_codes"
        " WHERE worker_id = %s FOR UPDATE",
        (worker_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], bytes(row[1]), row[2], row[3])


async def count_attempt(conn: Connection, worker_id: str) -> None:
    """Count a wrong code."""
    await conn.execute(
        "UPDATE email_codes SET attempts = attempts + 1 WHERE worker_id = %s", (worker_id,)
    )


async def delete_code(conn: Connection, worker_id: str) -> None:
    """A code proves once."""
    await conn.execute("DELETE FROM email_codes WHERE worker_id = %s", (worker_id,))


async def insert_mail(conn: Connection, mail: Mail) -> None:
    """Have a letter sent once this transaction is committed."""
    await conn.execute(
        "INSERT INTO outgoing_mails (recipient, subject, body) VALUES (%s, %s, %s)",
        (mail.recipient, mail.subject, mail.body),
    )


async def take_due_mails(conn: Connection, limit: int, hold_s: float) -> list[OutgoingMail]:
    """Letters that are due, longest first, not due again for `hold_s`."""
    cursor = await conn.execute(
        """
        UPDATE outgoing_mails SET attempts = attempts + 1,
            next_try_at = now() + %s * interval '1 second'
        WHERE id IN (
            SELECT id FROM outgoing_mails WHERE next_try_at <= now()
            ORDER BY next_try_at, id LIMIT %s FOR UPDATE SKIP LOCKED)
        RETURNING id, recipient, subject, body, attempts
        """,
        (hold_s, limit),
    )
    return [
        OutgoingMail(row[0], Mail(row[1], row[2], row[3]), row[4])
        for row in await cursor.fetchall()
    ]


async def delay_mail(conn: Connection, mail_id: int, delay_s: float) -> None:
    """Try a letter again later."""
    await conn.execute(
        "UPDATE outgoing_mails SET next_try_at = now() + %s * interval '1 second' WHERE id = %s",
        (delay_s, mail_id),
    )


async def delete_mail(conn: Connection, mail_id: int) -> None:
    """Forget a letter that was sent, or never will be."""
    await conn.execute("DELETE FROM outgoing_mails WHERE id = %s", (mail_id,))


async def delete_old_mails(conn: Connection, hours: int) -> int:
    """Give up letters that are too old; returns how many."""
    cursor = await conn.execute(
        "DELETE FROM outgoing_mails WHERE created_at < now() - %s * interval '1 hour'", (hours,)
    )
    return cursor.rowcount


async def delete_old_codes(conn: Connection) -> int:
    """Forget codes that expired a day ago; until then a late one is told so."""
    cursor = await conn.execute(
        "DELETE FROM email_codes WHERE expires_at < now() - interval '1 day'"
    )
    return cursor.rowcount
