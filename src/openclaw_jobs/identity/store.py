"""SQL of identity."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection


async def insert_user(conn: Connection, user_id: str, email: str) -> bool:
    """Insert a user; False if the address is taken."""
    cursor = await conn.execute(
        "INSERT INTO users (id, email) VALUES (%s, %s) ON CONFLICT DO NOTHING", (user_id, email)
    )
    return cursor.rowcount == 1


async def insert_api_key(
    conn: Connection, key_id: str, buyer_id: str, name: str | None, key_hash: bytes
) -> datetime:
    """Insert a key and return when it was made."""
    cursor = await conn.execute(
        "INSERT INTO api_keys (id, buyer_id, name, key_hash) VALUES (%s, %s, %s, %s)"
        " RETURNING created_at",
        (key_id, buyer_id, name, key_hash),
    )
    row = await cursor.fetchone()
    if row is None:  # pragma: no cover - INSERT … RETURNING always answers
        message = "the key was not inserted"
        raise RuntimeError(message)
    created_at: datetime = row[0]
    return created_at


async def select_buyers_by_key_hash(
    conn: Connection, hashes: Sequence[bytes]
) -> list[tuple[bytes, str]]:
    """The hash and owner of each live key among `hashes`."""
    cursor = await conn.execute(
        "SELECT key_hash, buyer_id FROM api_keys WHERE key_hash = ANY(%b) AND revoked_at IS NULL",
        (list(hashes),),
    )
    return [(bytes(row[0]), row[1]) for row in await cursor.fetchall()]


async def select_api_keys(
    conn: Connection, buyer_id: str
) -> list[tuple[str, str | None, datetime]]:
    """A buyer's live keys, oldest first."""
    cursor = await conn.execute(
        "SELECT id, name, created_at FROM api_keys"
        " WHERE buyer_id = %s AND revoked_at IS NULL ORDER BY id",
        (buyer_id,),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def revoke_api_key(conn: Connection, buyer_id: str, key_id: str) -> bool:
    """Revoke a live key of this buyer; False if there is none such."""
    cursor = await conn.execute(
        "UPDATE api_keys SET revoked_at = now()"
        " WHERE id = %s AND buyer_id = %s AND revoked_at IS NULL",
        (key_id, buyer_id),
    )
    return cursor.rowcount == 1
