"""Sessions: whose a browser is, until it is told otherwise. The caller commits.

A session is a random secret in a cookie, of which only the SHA-256 is stored. Nothing about it is
remembered anywhere else, so one that is revoked stops at once, on every node. It ends two weeks
after it was last used, and in any case ninety days after the sign-in.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.identity import store_sessions as store
from openclaw_jobs.identity.models import SessionEntry, SessionIdentity, SignIn
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.tokens import hash_token

IDLE: Final = timedelta(days=14)
LONGEST: Final = timedelta(days=90)
_FRESH_FOR: Final = timedelta(minutes=5)
_SIGN_IN_GOOD_FOR: Final = timedelta(minutes=10)
_KEPT_AFTER_END: Final = timedelta(days=7)
_SECRET_BYTES: Final = 32
_MAX_AGENT_CHARS: Final = 200
_MAX_LISTED: Final = 100


class NewSession(msgspec.Struct, frozen=True):
    """A session just opened, with the secret that goes into the cookie and nowhere else."""

    id: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"NewSession(id={self.id!r})"


async def open_session(
    conn: Connection,
    *,
    user_id: str | None,
    worker: tuple[str, bytes] | None = None,
    instead_of: str | None = None,
    user_agent: str | None,
) -> NewSession:
    """Open a session with a secret of its own, so that nobody knows it from before the sign-in.

    Args:
        conn: The transaction.
        user_id: Who signed in.
        worker: The id of the worker that the browser holds, and the hash of its token.
        instead_of: The session that the browser had, which ends; a worker that it held is taken
            over unless another is given.
        user_agent: What the browser calls itself, for the list on the account page.
    """
    if instead_of is not None:
        worker = worker or await store.select_worker_of(conn, instead_of)
        await store.revoke_session(conn, instead_of)
    session = NewSession(new_id("ses"), secrets.token_urlsafe(_SECRET_BYTES))
    await store.insert_session(
        conn,
        token_hash=hash_token(session.secret),
        session_id=session.id,
        user_id=user_id,
        worker=worker,
        user_agent=None if user_agent is None else user_agent[:_MAX_AGENT_CHARS],
        idle=IDLE,
    )
    return session


async def sessions_by_hash(
    conn: Connection, hashes: Sequence[bytes]
) -> dict[bytes, SessionIdentity]:
    """The live session of each hash that has one."""
    return dict(await store.select_sessions(conn, hashes, _FRESH_FOR))


async def touch_session(conn: Connection, session_id: str) -> None:
    """Note that a stale session was just seen; it lives on from now."""
    await store.touch_session(conn, session_id, _FRESH_FOR, IDLE, LONGEST)


async def end_session(conn: Connection, session_id: str) -> bool:
    """End a session at once; False if it had ended."""
    return await store.revoke_session(conn, session_id)


async def end_session_of(conn: Connection, user_id: str, session_id: str) -> bool:
    """End a session at once; False if this user has no such live one."""
    return await store.revoke_session_of(conn, user_id, session_id)


async def end_sessions_of(conn: Connection, user_id: str) -> int:
    """Sign a user out everywhere; how many sessions that ended."""
    return await store.revoke_sessions_of(conn, user_id)


async def release_worker(conn: Connection, session_id: str) -> None:
    """Let the browser hold its worker no more."""
    await store.drop_worker(conn, session_id)


async def list_sessions(conn: Connection, user_id: str) -> list[SessionEntry]:
    """A user's live sessions, the last seen first; a hundred at most."""
    return await store.select_sessions_of(conn, user_id, _MAX_LISTED)


async def remember_sign_in(conn: Connection, state: str, provider: str, sign_in: SignIn) -> None:
    """Keep what a sign-in sends along until it comes back with this state."""
    await store.insert_sign_in(conn, hash_token(state), provider, sign_in)


async def take_sign_in(conn: Connection, state: str, provider: str) -> SignIn | None:
    """What was kept under this state, once and within ten minutes; else None."""
    return await store.take_sign_in(conn, hash_token(state), provider, _SIGN_IN_GOOD_FOR)


async def sweep(conn: Connection, limit: int) -> int:
    """Delete what ended long ago, at most `limit` of each kind; how many rows."""
    old = await store.delete_old_sessions(conn, _KEPT_AFTER_END, limit)
    return old + await store.delete_old_sign_ins(conn, _SIGN_IN_GOOD_FOR, limit)
