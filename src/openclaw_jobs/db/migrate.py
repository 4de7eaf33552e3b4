"""Bring a database's schema up to date. `revision` tells where it stands."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from openclaw_jobs.db.dsn import libpq_dsn
from openclaw_jobs.db.revision import MIGRATIONS, head_revision

__all__ = ["migrate"]

# Any number that nothing else in the database locks; this spells "openclaw".
_LOCK_KEY = int.from_bytes(b"openclaw", "big", signed=True)


def migrate(dsn: str, *, migrations: Path = MIGRATIONS) -> str:
    """Upgrade the database to the newest revision and return that revision.

    Processes that do so at the same time wait for each other (an advisory lock of the session, so
    `dsn` must lead to PostgreSQL itself, not to a transaction-pooling proxy). All revisions that
    are missing go in as one transaction.

    Args:
        dsn: A login that may create tables and roles; a URL or a libpq string.
        migrations: The Alembic environment; tests bring their own.

    Raises:
        sqlalchemy.exc.DBAPIError: The database cannot be reached, or a revision failed; then
            nothing has changed.
    """
    config = _config(migrations)
    with _connect(dsn) as connection:
        # A login may have time-outs meant for requests; waiting for another migration and
        # building an index take what they take.
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        # The lock goes with the connection.
    return head_revision(migrations)


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
