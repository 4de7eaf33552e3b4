"""The secret under which the pages sign."""

import hashlib
import secrets
from typing import Final

from openclaw_jobs.identity import store_users
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin

__all__ = ["site_secret"]

_NAME: Final = "session"
_BYTES: Final = 32


async def site_secret(market: Market, given: str | None) -> bytes:
    """The secret of `SESSION_SECRET`, or one that the site made for itself and keeps.

    Every node on the same database has the same one; production always gives its own.
    """
    if given is not None:
        return hashlib.sha256(given.encode()).digest()
    async with begin(market) as unit:
        return await store_users.insert_secret(unit.conn, _NAME, secrets.token_bytes(_BYTES))
