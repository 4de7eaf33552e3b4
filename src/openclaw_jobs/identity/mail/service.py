"""Codes and letters: functions over a connection; the caller commits."""

import hmac
import secrets

from openclaw_jobs.db import Connection
from openclaw_jobs.identity.mail import store
from openclaw_jobs.identity.mail.models import CodeCheck, Mail
from openclaw_jobs.identity.mail.rules import (
    CODE_ATTEMPTS,
    CODE_DIGITS,
    CODE_MINUTES,
    code_hash,
    code_text,
)


async def issue_code(conn: Connection, worker_id: str, email: str) -> None:
    """Mail a new code to an address; an earlier one of this worker stops working."""
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    await store.put_code(conn, worker_id, email, code_hash(worker_id, email, code), CODE_MINUTES)
    await store.insert_mail(conn, Mail(email, "Your code for OpenClaw.jobs", code_text(code)))


async def check_code(conn: Connection, worker_id: str, code: str) -> CodeCheck:
    """Whether this is the code that was mailed; a right one works once, a wrong one is counted."""
    found = await store.lock_code(conn, worker_id)
    if found is None:
        return CodeCheck("none")
    email, kept, attempts, expired = found
    if expired:
        return CodeCheck("expired", email)
    if attempts >= CODE_ATTEMPTS:
        return CodeCheck("spent", email)
    if not hmac.compare_digest(kept, code_hash(worker_id, email, code)):
        await store.count_attempt(conn, worker_id)
        return CodeCheck("wrong", email, CODE_ATTEMPTS - attempts - 1)
    await store.delete_code(conn, worker_id)
    return CodeCheck("right", email)


async def queue_mail(conn: Connection, recipient: str, subject: str, body: str) -> None:
    """Have a letter sent if and only if this transaction is committed."""
    await store.insert_mail(conn, Mail(recipient, subject, body))
