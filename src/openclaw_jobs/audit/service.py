"""Writing and reading the audit log. Nothing here commits."""

from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw_jobs.audit import store
from openclaw_jobs.audit.models import AuditPage
from openclaw_jobs.db import Connection
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id, new_id


async def record(
    conn: Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> str:
    """Write one entry in the caller's transaction, so that it stands if and only if the act does.

    Args:
        conn: The connection whose transaction performs the act.
        actor: Who acts: an operator's id or `admin-token`.
        action: What is done, dotted: `config.put`, `worker.suspend`.
        subject: The id or key acted upon.
        detail: Facts that explain it, encodable as JSON; no secrets and no task texts.

    Returns:
        The entry's id, `aud_…`.
    """
    entry_id = new_id("aud")
    await store.insert(conn, entry_id, actor, action, subject, msgspec.json.encode(detail))
    return entry_id


async def list_entries(
    conn: Connection,
    limit: int,
    cursor: str | None = None,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
) -> AuditPage:
    """A page of entries, newest first.

    Args:
        conn: Any connection.
        limit: At most this many, 1 or more.
        cursor: The `next_cursor` of the page before.
        actor: Only the acts of this one.
        action: Only acts that begin so.
        subject: Only acts upon this.

    Raises:
        Problem: `validation_failed` for a cursor that was never given out.
    """
    if cursor is not None and not is_id("aud", cursor):
        raise invalid("cursor", "Not a cursor of this list")
    found = await store.newest(conn, cursor, limit + 1, actor=actor, action=action, subject=subject)
    page = found[:limit]
    return AuditPage(entries=page, next_cursor=page[-1].id if len(found) > limit else None)
