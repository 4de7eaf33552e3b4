"""Users: who they are to the providers that vouch for them. The caller commits."""

import hashlib

from openclaw_jobs.db import Connection
from openclaw_jobs.identity import store_users as store
from openclaw_jobs.identity.models import User
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.mailbox import mailbox_of


async def find_user(conn: Connection, provider: str, subject: str, email: str) -> str | None:
    """The user whom a provider knows by this id, else who has this address; locked."""
    await store.lock_email(conn, email)
    known = await store.select_by_identity(conn, provider, subject)
    return known or await store.select_by_email(conn, email)


async def create_person(conn: Connection, email: str, name: str | None) -> str:
    """Create a user; `find_user` has locked the address."""
    user_id = new_id("usr")
    await store.insert_person(conn, user_id, email, name)
    return user_id


async def link_identity(conn: Connection, provider: str, subject: str, user_id: str) -> None:
    """Remember that a provider's id is this user."""
    await store.insert_identity(conn, provider, subject, user_id)


async def by_email(conn: Connection, email: str) -> User | None:
    """The user with this address, in whatever case."""
    return await store.select_user_by_email(conn, email)


async def by_id(conn: Connection, user_id: str) -> User | None:
    """The user with this id."""
    return await store.select_user(conn, user_id)


async def lock_for_deletion(conn: Connection, user_id: str) -> User | None:
    """The user with this id, once nobody is signing in as them, and nobody does from now on."""
    user = await store.select_user(conn, user_id)
    if user is None:
        return None
    # In the order of `find_user`; who comes by an id of a provider is held back by the row alone.
    await store.lock_email(conn, user.email)
    return await store.lock_user(conn, user_id)


async def rename(conn: Connection, user_id: str, name: str | None) -> None:
    """Call somebody by another name."""
    await store.update_name(conn, user_id, name)


async def set_operator(conn: Connection, email: str, *, operator: bool) -> User | None:
    """Give or take the operator's role; None if nobody has this address."""
    if not await store.update_operator(conn, email, operator=operator):
        return None
    return await store.select_user_by_email(conn, email)


async def operators(conn: Connection) -> list[User]:
    """Who has the operator's role, by address."""
    return await store.select_operators(conn)


async def identities(conn: Connection, user_id: str) -> list[str]:
    """With which providers a user has signed in, by name."""
    return await store.select_providers(conn, user_id)


async def had_account(conn: Connection, email: str) -> bool:
    """Whether an account with this address, or this mailbox, was deleted before."""
    return await store.select_former(conn, email_hash(email)) or await store.select_former(
        conn, email_hash(mailbox_of(email))
    )


async def forget(conn: Connection, user_id: str, email: str) -> None:
    """Anonymise a user and revoke all that lets them in; the row stays for the books.

    Of the address only a hash is kept, so that nobody gets a second signup bonus.
    """
    await store.insert_former(conn, email_hash(email))
    await store.insert_former(conn, email_hash(mailbox_of(email)))
    await store.delete_identities(conn, user_id)
    await store.anonymise(conn, user_id, f"deleted-{user_id}@invalid")


def email_hash(email: str) -> bytes:
    """What is kept of a deleted account's address."""
    return hashlib.sha256(email.lower().encode()).digest()
