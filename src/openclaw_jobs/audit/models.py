"""What the audit log holds."""

from datetime import datetime
from typing import Any

import msgspec


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act: who did what to which subject, with the facts that explain it.

    `actor` is an operator's id or `admin-token`; `action` is dotted, such as `config.put`;
    `subject` is the id or key acted upon. `detail` never holds secrets or task texts.
    """

    id: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    created_at: datetime


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries newest first, and the cursor of the next page if there is one."""

    entries: list[AuditEntry]
    next_cursor: str | None
