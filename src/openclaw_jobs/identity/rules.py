"""Rules of identity: pure functions."""

import re

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,255}", re.ASCII)
MAX_EMAIL_CHARS = 254  # RFC 5321 §4.5.3.1.3 less the angle brackets


def is_email(text: str) -> bool:
    """Whether `text` looks like one address; only a mail that arrives proves it."""
    return len(text) <= MAX_EMAIL_CHARS and _EMAIL.fullmatch(text) is not None
