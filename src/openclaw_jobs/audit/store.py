"""The SQL of the audit log, one function a statement."""

from openclaw_jobs.audit.models import AuditEntry
from openclaw_jobs.db import Connection


async def insert(
    conn: Connection, entry_id: str, actor: str, action: str, subject: str, detail: bytes
) -> None:
    """Write one entry; its time is the transaction's."""
    await conn.execute(
        """
        INSERT INTO audit_log (id, actor, action, subject, detail)
        VALUES (%s, %s, %s, %s, %s::jsonb)
        """,
        (entry_id, actor, action, subject, detail.decode()),
    )


async def newest(
    conn: Connection,
    before: str | None,
    limit: int,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
) -> list[AuditEntry]:
    """Entries newest first, those under the id `before` only if it is given; so is each filter."""
    cur = await conn.execute(
        """
        SELECT id, actor, action, subject, detail, created_at FROM audit_log
        WHERE (%(before)s::text IS NULL OR id < %(before)s)
            AND (%(actor)s::text IS NULL OR actor = %(actor)s)
            AND (%(action)s::text IS NULL OR starts_with(action, %(action)s))
            AND (%(subject)s::text IS NULL OR subject = %(subject)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {
            "before": before,
            "actor": actor,
            "action": action,
            "subject": subject,
            "limit": limit,
        },
    )
    return [
        AuditEntry(
            id=entry_id,
            actor=actor,
            action=action,
            subject=subject,
            detail=detail,
            created_at=created_at,
        )
        for entry_id, actor, action, subject, detail, created_at in await cur.fetchall()
    ]
