"""The SQL of the configuration, one function a statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from openclaw_jobs.db import Connection
from openclaw_jobs.economy.models import ConfigVersion

# The class half of a two-part advisory lock; the other half is a hash of the key.
_LOCK_CLASS: Final = 0x636F6E66  # "conf"


async def insert_missing(conn: Connection, sections: Mapping[str, bytes], actor: str) -> list[str]:
    """Write version 1 of each section that has none, and return the keys written."""
    cur = await conn.execute(
        """
        INSERT INTO config_versions (key, version, value, actor)
        SELECT key, 1, value::jsonb, %s FROM unnest(%s::text[], %s::text[]) AS s (key, value)
        ON CONFLICT (key, version) DO NOTHING
        RETURNING key
        """,
        (actor, list(sections), [value.decode() for value in sections.values()]),
    )
    return [key for (key,) in await cur.fetchall()]


async def lock_key(conn: Connection, key: str) -> None:
    """Let one transaction at a time write this key; held until it ends."""
    await conn.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK_CLASS, key))


async def insert_version(
    conn: Connection, key: str, version: int, value: bytes, actor: str
) -> datetime:
    """Write one version and return its time.

    The time is the statement's, not the transaction's: writers queue for the key's lock, and times
    are to rise with the versions.
    """
    cur = await conn.execute(
        """
        INSERT INTO config_versions (key, version, value, actor, created_at)
        VALUES (%s, %s, %s::jsonb, %s, clock_timestamp())
        RETURNING created_at
        """,
        (key, version, value.decode(), actor),
    )
    row = await cur.fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING gave no row")
    created_at: datetime = row[0]
    return created_at


async def latest(conn: Connection, keys: Sequence[str]) -> list[ConfigVersion]:
    """The version in force of each key that has any, all as of one moment."""
    cur = await conn.execute(
        """
        SELECT v.key, v.version, v.value, v.actor, v.created_at
        FROM unnest(%s::text[]) AS wanted (key)
        CROSS JOIN LATERAL (
            SELECT * FROM config_versions AS c
            WHERE c.key = wanted.key ORDER BY c.version DESC LIMIT 1
        ) AS v
        """,
        (list(keys),),
    )
    return [_version(row) for row in await cur.fetchall()]


async def latest_versions(conn: Connection, keys: Sequence[str]) -> dict[str, int]:
    """The number of the version in force of each key; one index probe a key."""
    cur = await conn.execute(
        """
        SELECT wanted.key, v.version
        FROM unnest(%s::text[]) AS wanted (key)
        CROSS JOIN LATERAL (
            SELECT c.version FROM config_versions AS c
            WHERE c.key = wanted.key ORDER BY c.version DESC LIMIT 1
        ) AS v
        """,
        (list(keys),),
    )
    return dict(await cur.fetchall())


async def history(
    conn: Connection, key: str, before: int | None, limit: int
) -> list[ConfigVersion]:
    """Versions of one key, newest first, those under `before` only if it is given."""
    cur = await conn.execute(
        """
        SELECT key, version, value, actor, created_at FROM config_versions
        WHERE key = %s AND (%s::int IS NULL OR version < %s::int)
        ORDER BY version DESC LIMIT %s
        """,
        (key, before, before, limit),
    )
    return [_version(row) for row in await cur.fetchall()]


def _version(row: tuple[Any, ...]) -> ConfigVersion:
    key, version, value, actor, created_at = row
    return ConfigVersion(key=key, version=version, value=value, actor=actor, created_at=created_at)
