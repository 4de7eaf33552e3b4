"""Reading and changing the runtime configuration. Nothing here commits.

Every function takes a connection; `put` and `seed` need one inside a transaction.
"""

from typing import Any, Final

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.economy import rules, store
from openclaw_jobs.economy.models import (
    SECTIONS,
    Config,
    ConfigChange,
    ConfigEntry,
    ConfigVersion,
    Section,
    StoredConfigError,
)
from openclaw_jobs.economy.seed import DEFAULT_CONFIG
from openclaw_jobs.kit.errors import Problem, invalid

SEED_ACTOR: Final = "seed"
"""Who wrote the first version of every key."""


async def seed(conn: Connection) -> list[str]:
    """Write the defaults of every key that has no version yet; return those keys.

    Nodes that start at once may all call this: one of them writes, the others change nothing.
    """
    sections = {key: msgspec.json.encode(getattr(DEFAULT_CONFIG, key)) for key in SECTIONS}
    return await store.insert_missing(conn, sections, SEED_ACTOR)


async def load_all(conn: Connection) -> Config:
    """All sections in force, read by one statement and so of one moment.

    Raises:
        StoredConfigError: A section was never seeded, or this release cannot use what is stored.
    """
    rows = await _all_latest(conn)
    sections: dict[str, Any] = {row.key: _section(row) for row in rows}
    return Config(**sections, versions={row.key: row.version for row in rows})


async def versions(conn: Connection) -> dict[str, int]:
    """The version in force of each key; costs one index probe a key."""
    return await store.latest_versions(conn, list(SECTIONS))


async def get(conn: Connection, key: str) -> ConfigEntry:
    """The section in force.

    Raises:
        Problem: `not_found` for an unknown key.
        StoredConfigError: It was never seeded, or this release cannot use what is stored.
    """
    _require_key(key)
    return _entry(await _latest(conn, key))


async def list_all(conn: Connection) -> list[ConfigEntry]:
    """Every section in force, in the order of `SECTIONS`; raises as `load_all` does."""
    return [_entry(row) for row in await _all_latest(conn)]


async def put(
    conn: Connection, key: str, value: object, actor: str, version: int | None = None
) -> ConfigChange:
    """Write the next version of a section.

    Fields that `value` leaves out keep their present value; fields it has are replaced whole.
    Writers of one key wait for each other, so each sees the other's value and none is lost.

    Args:
        conn: A connection inside a transaction, at READ COMMITTED.
        key: One of `SECTIONS`.
        value: The fields to set, as decoded from JSON.
        actor: Who changes it; kept with the version.
        version: If given, the write happens only if this version is in force.

    Raises:
        Problem: `not_found` for an unknown key, `validation_failed` for a value that doesn't fit
            or a `version` that is not in force.
    """
    _require_key(key)
    await store.lock_key(conn, key)
    present = await _latest(conn, key)
    if version is not None and version != present.version:
        raise invalid("version", f"Version {present.version} is in force, not {version}")
    old = _section(present)
    new = rules.parse(key, rules.merge(old, value))
    created_at = await store.insert_version(
        conn, key, present.version + 1, msgspec.json.encode(new), actor
    )
    entry = ConfigEntry(key=key, value=new, version=present.version + 1, updated_at=created_at)
    return ConfigChange(entry=entry, previous_version=present.version, changes=rules.diff(old, new))


async def history(
    conn: Connection, key: str, limit: int, before: int | None = None
) -> list[ConfigVersion]:
    """Versions of a section as they were written, newest first.

    Args:
        conn: Any connection.
        key: One of `SECTIONS`.
        limit: At most this many.
        before: Only versions under this one, to page on.

    Raises:
        Problem: `not_found` for an unknown key.
    """
    _require_key(key)
    return await store.history(conn, key, before, limit)


async def _all_latest(conn: Connection) -> list[ConfigVersion]:
    rows = {row.key: row for row in await store.latest(conn, list(SECTIONS))}
    missing = [key for key in SECTIONS if key not in rows]
    if missing:
        raise StoredConfigError(f"never seeded: {', '.join(missing)}")
    return [rows[key] for key in SECTIONS]


async def _latest(conn: Connection, key: str) -> ConfigVersion:
    rows = await store.latest(conn, [key])
    if not rows:
        raise StoredConfigError(f"never seeded: {key}")
    return rows[0]


def _section(row: ConfigVersion) -> Section:
    seeded: Section = getattr(DEFAULT_CONFIG, row.key)
    try:
        return rules.parse(row.key, rules.complete(row.value, seeded))
    except Problem as problem:
        raise StoredConfigError(
            f"version {row.version} of {row.key}: {problem.detail}"
        ) from problem


def _entry(row: ConfigVersion) -> ConfigEntry:
    return ConfigEntry(
        key=row.key, value=_section(row), version=row.version, updated_at=row.created_at
    )


def _require_key(key: str) -> None:
    if key not in SECTIONS:
        raise Problem("not_found", f"The configuration keys are {', '.join(SECTIONS)}.")
