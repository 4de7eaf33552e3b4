"""Who did what as operator: an append-only log, written in the transaction of the act itself."""

from openclaw_jobs.audit.models import AuditEntry, AuditPage
from openclaw_jobs.audit.service import list_entries, record

__all__ = ["AuditEntry", "AuditPage", "list_entries", "record"]
