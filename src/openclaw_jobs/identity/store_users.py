"""SQL of users and of who vouches for them."""

from openclaw_jobs.db import Connection
from openclaw_jobs.identity.models import User


async def lock_email(conn: Connection, email: str) -> None:
    """Let no other sign-in of this address run before the transaction ends."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(lower(%s::text), 6))", (email,)
    )


async def select_by_identity(conn: Connection, provider: str, subject: str) -> str | None:
    """The id of the user whom a provider knows so; not deleted before the transaction ends."""
    cursor = await conn.execute(
        """
        SELECT u.id FROM external_identities e JOIN users u ON u.id = e.user_id
        WHERE e.provider = %s AND e.subject = %s AND u.deleted_at IS NULL FOR SHARE OF u
        """,
        (provider, subject),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def select_by_email(conn: Connection, email: str) -> str | None:
    """The id of the user with this address; not deleted before the transaction ends."""
    cursor = await conn.execute(
        "SELECT id FROM users WHERE lower(email) = lower(%s) AND deleted_at IS NULL FOR SHARE",
        (email,),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def lock_user(conn: Connection, user_id: str) -> User | None:
    """A user that was not deleted; nobody signs in as them before the transaction ends.

    What only points at them, such as a session that takes another's place, goes on.
    """
    cursor = await conn.execute(
        "SELECT id, email, name, is_operator, created_at FROM users"
        " WHERE id = %s AND deleted_at IS NULL FOR NO KEY UPDATE",
        (user_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else User(*row)


async def insert_person(conn: Connection, user_id: str, email: str, name: str | None) -> None:
    """Insert a user with a name."""
    await conn.execute(
        "INSERT INTO users (id, email, name) VALUES (%s, %s, %s)", (user_id, email, name)
    )


async def insert_identity(conn: Connection, provider: str, subject: str, user_id: str) -> None:
    """Insert what a provider calls a user; what it called a deleted one is this one's now."""
    await conn.execute(
        """
        INSERT INTO external_identities AS e (provider, subject, user_id) VALUES (%s, %s, %s)
        ON CONFLICT (provider, subject) DO UPDATE
        SET user_id = excluded.user_id, created_at = excluded.created_at
        WHERE EXISTS (SELECT FROM users u WHERE u.id = e.user_id AND u.deleted_at IS NOT NULL)
        """,
        (provider, subject, user_id),
    )


async def select_user(conn: Connection, user_id: str) -> User | None:
    """A user that was not deleted, by id."""
    cursor = await conn.execute(
        "SELECT id, email, name, is_operator, created_at FROM users"
        " WHERE id = %s AND deleted_at IS NULL",
        (user_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else User(*row)


async def select_user_by_email(conn: Connection, email: str) -> User | None:
    """A user that was not deleted, by address."""
    cursor = await conn.execute(
        "SELECT id, email, name, is_operator, created_at FROM users"
        " WHERE lower(email) = lower(%s) AND deleted_at IS NULL",
        (email,),
    )
    row = await cursor.fetchone()
    return None if row is None else User(*row)


async def update_name(conn: Connection, user_id: str, name: str | None) -> None:
    """Set a user's name."""
    await conn.execute("UPDATE users SET name = %s WHERE id = %s", (name, user_id))


async def update_operator(conn: Connection, email: str, *, operator: bool) -> bool:
    """Set whether a user is an operator; False if there is none with this address."""
    cursor = await conn.execute(
        "UPDATE users SET is_operator = %s WHERE lower(email) = lower(%s) AND deleted_at IS NULL",
        (operator, email),
    )
    return cursor.rowcount == 1


async def select_operators(conn: Connection) -> list[User]:
    """The operators, by address."""
    cursor = await conn.execute(
        "SELECT id, email, name, is_operator, created_at FROM users"
        " WHERE is_operator AND deleted_at IS NULL ORDER BY lower(email)"
    )
    return [User(*row) for row in await cursor.fetchall()]


async def select_providers(conn: Connection, user_id: str) -> list[str]:
    """The providers that know a user."""
    cursor = await conn.execute(
        "SELECT DISTINCT provider FROM external_identities WHERE user_id = %s ORDER BY provider",
        (user_id,),
    )
    return [row[0] for row in await cursor.fetchall()]


async def select_former(conn: Connection, email_hash: bytes) -> bool:
    """Whether an address with this hash had an account that was deleted."""
    cursor = await conn.execute("SELECT 1 FROM former_users WHERE email_hash = %b", (email_hash,))
    return await cursor.fetchone() is not None


async def insert_former(conn: Connection, email_hash: bytes) -> None:
    """Remember an address's hash."""
    await conn.execute(
        "INSERT INTO former_users (email_hash) VALUES (%b) ON CONFLICT DO NOTHING", (email_hash,)
    )


async def delete_identities(conn: Connection, user_id: str) -> None:
    """Forget who vouched for a user."""
    await conn.execute("DELETE FROM external_identities WHERE user_id = %s", (user_id,))


async def anonymise(conn: Connection, user_id: str, email: str) -> None:
    """Put a placeholder in the place of a user's address, and mark them as deleted."""
    await conn.execute(
        "UPDATE users SET email = %s, name = NULL, is_operator = false, deleted_at = now()"
        " WHERE id = %s",
        (email, user_id),
    )


async def insert_secret(conn: Connection, name: str, value: bytes) -> bytes:
    """Keep a secret of the site unless there is one of this name; the one that is there then."""
    await conn.execute(
        "INSERT INTO site_secrets (name, value) VALUES (%s, %b) ON CONFLICT DO NOTHING",
        (name, value),
    )
    cursor = await conn.execute("SELECT value FROM site_secrets WHERE name = %s", (name,))
    row = await cursor.fetchone()
    if row is None:  # pragma: no cover - it was just inserted, or was there
        message = "the secret was not inserted"
        raise RuntimeError(message)
    return bytes(row[0])
