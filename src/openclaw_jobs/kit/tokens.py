"""Secrets that are shown once and stored only as a hash."""

import hashlib
import hmac
import secrets
from typing import Literal

TokenPrefix = Literal["ocb", "ocw", "lease"]

_RANDOM_BYTES = 24  # 192 bits; the least allowed is 128


def new_token(prefix: TokenPrefix) -> str:
    """A new secret of 192 random bits, such as `ocw_…` for a worker."""
    return f"{prefix}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def same_hash(one: bytes, other: bytes) -> bool:
    """Whether two hashes of tokens are the same; takes as long for a near miss as for a far one."""
    return hmac.compare_digest(one, other)


def hash_token(token: str) -> bytes:
    """The SHA-256 under which a token is stored and looked up.

    A plain hash is enough since tokens are random, not chosen by people.
    """
    return hashlib.sha256(token.encode()).digest()
