"""Rules of mail: pure functions."""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec

from openclaw_jobs.identity.rules import MAX_EMAIL_CHARS
from openclaw_jobs.kit.tokens import hash_token

CODE_DIGITS: Final = 8
"""Enough that five guesses at each of the codes that a worker may ask for find none."""
CODE_ATTEMPTS: Final = 5
CODE_MINUTES: Final = 10
"""Long enough for a slow mail server, and too short for who finds the letter later."""

GIVE_UP_HOURS: Final = 72
"""How long a letter is tried; RFC 5321 §4.5.4.1 asks senders for days."""
_FIRST_RETRY_S: Final = 15.0
_LAST_RETRY_S: Final = 3600.0

# ASCII only: an address beyond it needs SMTPUTF8, which PayPal and many servers lack. No address
# starts like a spreadsheet's formula, so that a list of them can be opened in one.
_LOCAL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_+'&~-]|\.(?=[A-Za-z0-9_+'&~-])){0,63}"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(
    rf"{_LOCAL}@(?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|xn--[A-Za-z0-9-]{{1,59}})"
)


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server that `SMTP_URL` names.

    Attributes:
        encrypted: TLS from the first byte; else STARTTLS, and without it no password is sent.
        sender: What stands in `From:`.
    """

    host: str
    port: int
    encrypted: bool
    username: str | None
    password: str | None
    sender: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"SmtpServer({self.host}:{self.port})"


def is_mailable(text: str) -> bool:
    """Whether `text` is one address in the form that any mail server takes."""
    return len(text) <= MAX_EMAIL_CHARS and _ADDRESS.fullmatch(text) is not None


def code_hash(worker_id: str, email: str, code: str) -> bytes:
    """What is kept of a code.

    A plain hash of so few digits can be undone by who reads the table; it holds for 15 minutes,
    and keeps the code out of logs and backups.
    """
    return hash_token(f"{worker_id}\n{email}\n{code}")


def code_text(code: str) -> str:
    """The letter that brings a code."""
    return (
        f"Your code is {code}\n\n"
        f"It proves to OpenClaw.jobs that this address is yours, for {CODE_MINUTES} minutes.\n"
        "If you did not ask for it, somebody mistyped an address; nothing has to be done.\n"
    )


def retry_delay_s(attempts: int) -> float:
    """Seconds until a letter is tried again that was tried so often: ever longer, to an hour."""
    return float(min(_FIRST_RETRY_S * 2.0 ** min(attempts - 1, 16), _LAST_RETRY_S))


def parse_smtp_url(url: str, public_url: str | None = None) -> SmtpServer:
    """Read `smtp://user:password@host:587?from=Name <address>`, or `smtps://…:465`.

    Without `from` the user is the sender if it is an address, else `no-reply` at the host of
    `public_url`.

    Raises:
        ValueError: It is no such URL; the message never repeats a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("SMTP_URL is not a URL") from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("SMTP_URL must be smtp://user:password@host:587, or smtps://…:465")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("SMTP_URL needs both a user and a password, or neither")
    encrypted = parts.scheme == "smtps"
    return SmtpServer(
        host=parts.hostname,
        port=port or (465 if encrypted else 587),
        encrypted=encrypted,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        sender=_sender(parts, public_url),
    )


def _sender(parts: SplitResult, public_url: str | None) -> str:
    given = parse_qs(parts.query).get("from")
    if given:
        text = given[0].strip()
        address = text[text.rfind("<") + 1 :].removesuffix(">")
        if "\n" in text or "\r" in text or "@" not in address:
            raise ValueError("from in SMTP_URL must be an address, or Name <address>")
        return text
    user = unquote(parts.username or "")
    if is_mailable(user):
        return user
    host = urlsplit(public_url or "").hostname or parts.hostname
    return f"OpenClaw.jobs <no-reply@{host}>"
