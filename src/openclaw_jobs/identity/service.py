"""Users and API keys: functions over a connection; the caller commits."""

from collections.abc import Sequence

from openclaw_jobs.db import Connection
from openclaw_jobs.identity import store
from openclaw_jobs.identity.models import ApiKey, EmailTakenError, NewApiKey
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.tokens import hash_token, new_token


async def create_user(conn: Connection, email: str) -> str:
    """Create a user and return its id.

    Raises:
        EmailTakenError: Somebody has this address, in whatever case.
    """
    user_id = new_id("usr")
    if not await store.insert_user(conn, user_id, email):
        raise EmailTakenError
    return user_id


async def issue_api_key(conn: Connection, buyer_id: str, name: str | None) -> NewApiKey:
    """Make a key for a buyer; the raw secret is in the answer and nowhere else."""
    key_id, secret = new_id("key"), new_token("ocb")
    created_at = await store.insert_api_key(conn, key_id, buyer_id, name, hash_token(secret))
    return NewApiKey(id=key_id, key=secret, name=name, created_at=created_at)


async def buyers_by_key_hash(conn: Connection, hashes: Sequence[bytes]) -> dict[bytes, str]:
    """The buyer of each live key among `hashes`."""
    return dict(await store.select_buyers_by_key_hash(conn, hashes))


async def list_api_keys(conn: Connection, buyer_id: str) -> list[ApiKey]:
    """A buyer's live keys, oldest first."""
    rows = await store.select_api_keys(conn, buyer_id)
    return [ApiKey(id=i, name=name, created_at=at) for i, name, at in rows]


async def revoke_api_key(conn: Connection, buyer_id: str, key_id: str) -> bool:
    """Revoke a key at once; False if this buyer has no such live key."""
    return await store.revoke_api_key(conn, buyer_id, key_id)
