"""Mail: the codes that prove an address, and letters that leave with the fact they tell of."""

from openclaw_jobs.identity.mail.models import (
    CodeCheck,
    Mail,
    MailError,
    MailRefusedError,
    OutgoingMail,
)
from openclaw_jobs.identity.mail.service import check_code, issue_code, queue_mail

__all__ = [
    "CodeCheck",
    "Mail",
    "MailError",
    "MailRefusedError",
    "OutgoingMail",
    "check_code",
    "issue_code",
    "queue_mail",
]
