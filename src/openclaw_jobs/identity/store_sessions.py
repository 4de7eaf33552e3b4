"""SQL of sessions and sign-ins.

All times are the database's, so that nodes whose clocks differ agree on who is signed in.
"""

from collections.abc import Sequence
from datetime import timedelta

from openclaw_jobs.db import Connection
from openclaw_jobs.identity.models import SessionEntry, SessionIdentity, SignIn


async def insert_session(
    conn: Connection,
    *,
    token_hash: bytes,
    session_id: str,
    user_id: str | None,
    worker: tuple[str, bytes] | None,
    user_agent: str | None,
    idle: timedelta,
) -> None:
    """Insert a session; `worker` is its id and the hash of its token."""
    worker_id, worker_token = (None, None) if worker is None else worker
    await conn.execute(
        """
        INSERT INTO sessions (
            token_hash, id, user_id, worker_id, worker_token, user_agent, expires_at
        )
        VALUES (%b, %s, %s, %s, %b, %s, now() + %s)
        """,
        (token_hash, session_id, user_id, worker_id, worker_token, user_agent, idle),
    )


async def select_sessions(
    conn: Connection, hashes: Sequence[bytes], fresh_for: timedelta
) -> list[tuple[bytes, SessionIdentity]]:
    """The live sessions among `hashes`; a rotated worker's token ends the hold on it."""
    cursor = await conn.execute(
        """
        SELECT s.token_hash, s.id, u.id, u.email, u.name, coalesce(u.is_operator, false),
            b.id, w.id, s.seen_at < now() - %s
        FROM sessions s
        LEFT JOIN users u ON u.id = s.user_id AND u.deleted_at IS NULL
        LEFT JOIN buyers b ON b.user_id = u.id
        LEFT JOIN workers w ON w.id = s.worker_id AND w.token_hash = s.worker_token
        WHERE s.token_hash = ANY(%b) AND s.revoked_at IS NULL AND s.expires_at > now()
        """,
        (fresh_for, list(hashes)),
    )
    return [(bytes(row[0]), SessionIdentity(*row[1:])) for row in await cursor.fetchall()]


async def touch_session(
    conn: Connection, session_id: str, fresh_for: timedelta, idle: timedelta, longest: timedelta
) -> None:
    """Note that a session was just seen, and let it live on, but never past its longest life."""
    await conn.execute(
        """
        UPDATE sessions SET seen_at = now(), expires_at = least(now() + %s, created_at + %s)
        WHERE id = %s AND revoked_at IS NULL AND seen_at < now() - %s
        """,
        (idle, longest, session_id, fresh_for),
    )


async def select_worker_of(conn: Connection, session_id: str) -> tuple[str, bytes] | None:
    """The worker that a live session holds, with the hash of its token of then."""
    cursor = await conn.execute(
        "SELECT worker_id, worker_token FROM sessions"
        " WHERE id = %s AND revoked_at IS NULL AND worker_id IS NOT NULL FOR UPDATE",
        (session_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], bytes(row[1]))


async def revoke_session(conn: Connection, session_id: str) -> bool:
    """End a session; False if it had ended."""
    cursor = await conn.execute(
        "UPDATE sessions SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL",
        (session_id,),
    )
    return cursor.rowcount == 1


async def revoke_session_of(conn: Connection, user_id: str, session_id: str) -> bool:
    """End a session of this user; False if there is no such live one."""
    cursor = await conn.execute(
        "UPDATE sessions SET revoked_at = now()"
        " WHERE id = %s AND user_id = %s AND revoked_at IS NULL",
        (session_id, user_id),
    )
    return cursor.rowcount == 1


async def revoke_sessions_of(conn: Connection, user_id: str) -> int:
    """End all sessions of a user; how many there were."""
    cursor = await conn.execute(
        "UPDATE sessions SET revoked_at = now() WHERE user_id = %s AND revoked_at IS NULL",
        (user_id,),
    )
    return cursor.rowcount


async def drop_worker(conn: Connection, session_id: str) -> None:
    """Let a session go on without its worker."""
    await conn.execute(
        "UPDATE sessions SET worker_id = NULL, worker_token = NULL WHERE id = %s", (session_id,)
    )


async def select_sessions_of(conn: Connection, user_id: str, limit: int) -> list[SessionEntry]:
    """A user's live sessions, the last seen first."""
    cursor = await conn.execute(
        "SELECT id, user_agent, created_at, seen_at, expires_at FROM sessions"
        " WHERE user_id = %s AND revoked_at IS NULL AND expires_at > now()"
        " ORDER BY seen_at DESC, id DESC LIMIT %s",
        (user_id, limit),
    )
    return [SessionEntry(*row) for row in await cursor.fetchall()]


async def delete_old_sessions(conn: Connection, older_than: timedelta, limit: int) -> int:
    """Delete sessions that ended this long ago; how many."""
    cursor = await conn.execute(
        """
        DELETE FROM sessions WHERE token_hash IN (
            SELECT token_hash FROM sessions WHERE expires_at < now() - %s
            ORDER BY expires_at LIMIT %s
        )
        """,
        (older_than, limit),
    )
    return cursor.rowcount


async def insert_sign_in(
    conn: Connection, state_hash: bytes, provider: str, sign_in: SignIn
) -> None:
    """Remember a sign-in that goes to a provider."""
    await conn.execute(
        "INSERT INTO sign_ins (state_hash, provider, verifier, nonce, return_to)"
        " VALUES (%b, %s, %s, %s, %s)",
        (state_hash, provider, sign_in.verifier, sign_in.nonce, sign_in.return_to),
    )


async def take_sign_in(
    conn: Connection, state_hash: bytes, provider: str, good_for: timedelta
) -> SignIn | None:
    """The sign-in of this state, which nobody gets a second time; None if too old or unknown."""
    cursor = await conn.execute(
        "DELETE FROM sign_ins WHERE state_hash = %b AND provider = %s"
        " RETURNING verifier, nonce, return_to, created_at > now() - %s",
        (state_hash, provider, good_for),
    )
    row = await cursor.fetchone()
    return SignIn(row[0], row[1], row[2]) if row is not None and row[3] else None


async def delete_old_sign_ins(conn: Connection, older_than: timedelta, limit: int) -> int:
    """Delete sign-ins that never came back; how many."""
    cursor = await conn.execute(
        """
        DELETE FROM sign_ins WHERE state_hash IN (
            SELECT state_hash FROM sign_ins WHERE created_at < now() - %s
            ORDER BY created_at LIMIT %s
        )
        """,
        (older_than, limit),
    )
    return cursor.rowcount
