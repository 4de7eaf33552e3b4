"""A buyer shows one result to whoever has the link, until it takes the link back."""

import secrets
from typing import Final

import msgspec

from openclaw_jobs.chat import store, store_shares
from openclaw_jobs.chat.models import Share, SharedResult
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.ids import is_id, new_id
from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.tell_browsers import tell_change
from openclaw_jobs.market.unit import Unit, run

_RANDOM_BYTES: Final = 32
_MAX_TOKEN_CHARS: Final = 64
_MAX_LINKS: Final = 20


class NewShare(msgspec.Struct, frozen=True):
    """A link that was just made; its token is not kept and cannot be told again."""

    share: Share
    token: str


async def share_result(market: Market, buyer_id: str, task_id: str) -> NewShare:
    """Make a link to a result.

    Raises:
        Problem: `not_found`; `wrong_state`: there is no result; `limit_exceeded`: more links to
            one result than anybody can tell apart.
    """
    token = secrets.token_urlsafe(_RANDOM_BYTES)

    async def effect(unit: Unit) -> NewShare:
        await store.wait_for_chat(unit.conn, buyer_id)
        there = None
        if is_id("task", task_id):
            there = await store_shares.has_result(unit.conn, buyer_id, task_id)
        if there is None:
            raise not_found("task")
        if not there:
            raise Problem("wrong_state", "There is no result yet to share.")
        if len(await store_shares.select_shares(unit.conn, buyer_id, task_id)) >= _MAX_LINKS:
            raise Problem("limit_exceeded", "This result has many links already; revoke them.")
        share = Share(new_id("shr"), task_id, unit.now)
        await store_shares.insert_share(unit.conn, buyer_id, share, hash_token(token))
        await tell_change(unit, buyer_id, task_id)
        return NewShare(share, token)

    return await run(market, effect, None)


async def revoke_shares(market: Market, buyer_id: str, task_id: str) -> int:
    """End every link to a result; returns how many there were.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> int:
        there = None
        if is_id("task", task_id):
            there = await store_shares.has_result(unit.conn, buyer_id, task_id)
        if there is None:
            raise not_found("task")
        revoked = await store_shares.revoke_shares(unit.conn, buyer_id, task_id, unit.now)
        await tell_change(unit, buyer_id, task_id)
        return revoked

    return await run(market, effect, None)


async def read_shared(market: Market, token: str) -> SharedResult:
    """What a link leads to.

    Raises:
        Problem: `not_found`: there never was such a link, or it was taken back.
    """
    shared = None
    if len(token) <= _MAX_TOKEN_CHARS and token.isascii():
        async with market.db.read() as conn:
            shared = await store_shares.select_shared(conn, hash_token(token))
    if shared is None:
        raise not_found("shared result")
    return shared
