"""The SQL of the audit log, one function a statement."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from openclaw_jobs.audit.models import AuditEntry


async def insert(
    conn: AsyncConnection[Any], entry_id: str, actor: str, action: str, subject: str, detail: bytes
) -> None:
    """Write one entry; its time is the transaction's."""
    await conn.execute(
        "INSERT INTO audit_log (id, actor, action, subject, detail)"
        " VALUES (%s, %s, %s, %s, %s::jsonb)",
        (entry_id, actor, action, subject, detail.decode()),
    )


async def newest(conn: AsyncConnection[Any], before: str | None, limit: int) -> list[AuditEntry]:
    """Entries newest first, those under the id `before` only if it is given."""
    async with conn.cursor(row_factory=class_row(AuditEntry)) as cur:
        await cur.execute(
            """
            SELECT id, actor, action, subject, detail, created_at FROM audit_log
            WHERE %s::text IS NULL OR id < %s
            ORDER BY id DESC LIMIT %s
            """,
            (before, before, limit),
        )
        return await cur.fetchall()
