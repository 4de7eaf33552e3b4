"""Bring a database's schema up to date. `revision` tells where it stands."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from openclaw_jobs.db.dsn import libpq_dsn
from openclaw_jobs.db.errors import DatabaseSetupError
from openclaw_jobs.db.revision import (
    MIGRATIONS,
    Revision,
    additive_target,
    current_revision,
    floor_of,
    missing_after,
    revisions,
)

__all__ = ["HALVES", "Half", "migrate"]

Half: TypeAlias = Literal["pre", "post", "all"]
HALVES: Final[tuple[Half, ...]] = ("pre", "post", "all")
"""What of the missing revisions to apply; see `migrate`."""

# Any number that nothing else in the database locks; this spells "openclaw".
_LOCK_KEY = int.from_bytes(b"openclaw", "big", signed=True)

_LOCK_PATIENCE_MS = 4_000


def migrate(dsn: str, *, half: Half = "all", migrations: Path = MIGRATIONS) -> str:
    """Upgrade the database and return the revision that it has then.

    Processes that do so at the same time wait for each other (an advisory lock of the session, so
    `dsn` must lead to PostgreSQL itself, not to a transaction-pooling proxy). All revisions that
    are missing go in as one transaction.

    Args:
        dsn: A login that may create tables and roles; a URL or a libpq string.
        half: `pre` applies what may be applied while the release before is still running, and
            no more; `post` and `all` apply everything, when no process of it is left or, for
            `all`, none at all is running.
        migrations: The Alembic environment; tests bring their own.

    Raises:
        DatabaseSetupError: `pre` is not enough for this version of the code, or the database is
            newer than it. Nothing has changed.
        sqlalchemy.exc.DBAPIError: The database cannot be reached, a revision failed, or `pre`
            waited four seconds for a table that others use; nothing has changed.
    """
    config = _config(migrations)
    with _connect(dsn) as connection:
        # A login may have time-outs meant for requests; waiting for another migration and
        # building an index take what they take.
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        connection.commit()
        if half == "pre":
            # A table that is waited for keeps everybody else waiting who comes after us.
            connection.execute(text(f"SET lock_timeout = {_LOCK_PATIENCE_MS}"))
            connection.commit()
        known = revisions(migrations)
        target = _target(current_revision(dsn), known, half)
        if target is not None:
            config.attributes["connection"] = connection
            config.attributes["floor"] = floor_of(target, known)
            command.upgrade(config, target)
        # The lock goes with the connection.
    return current_revision(dsn) or known[-1].number


def _target(found: str | None, known: list[Revision], half: Half) -> str | None:
    """The revision to go to; None when there is nothing to do."""
    if found is not None and found > known[-1].number:
        raise DatabaseSetupError(
            f"The database has revision {found}, newer than this version's {known[-1].number}: "
            "run the newer version's `openclaw-jobs migrate`"
        )
    missing = missing_after(found, known)
    if half != "pre":
        return missing[-1].number if missing else None
    target = additive_target(found, known)
    left = missing_after(target or found, known)
    blocked = next((revision for revision in left if revision.stage != "post"), None)
    if blocked is None:
        return target
    raise DatabaseSetupError(
        f"Revision {left[0].number} cannot be applied while an older version is running, and this "
        f"version needs {blocked.number}: stop every process and run `openclaw-jobs migrate`"
        + (", or roll out the release between first" if left[0].stage == "post" else "")
    )


def _config(migrations: Path) -> Config:
    # Alembic reports each step at INFO; the caller reports the outcome.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    # ConfigParser takes % for interpolation.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextlib.contextmanager
def _connect(dsn: str) -> Iterator[Connection]:
    """An SQLAlchemy connection that libpq opened, so that every form of DSN works."""
    target = libpq_dsn(dsn, application_name="openclaw-jobs-migrate", connect_timeout=10)
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(target), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
