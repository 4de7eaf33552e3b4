"""Where a database's schema stands, told without loading what migrates it.

Alembic and SQLAlchemy take half a second to import, and most starts find nothing to do.
"""

from pathlib import Path
from typing import Final

import psycopg

from openclaw_jobs.db.dsn import libpq_dsn

__all__ = ["MIGRATIONS", "current_revision", "head_revision", "is_current"]

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def current_revision(dsn: str) -> str | None:
    """The database's revision; None when it has none.

    Raises:
        psycopg.OperationalError: The database cannot be reached.
    """
    target = libpq_dsn(dsn, application_name="openclaw-jobs-migrate", connect_timeout=10)
    with psycopg.connect(target, autocommit=True) as conn:
        found = conn.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        if found is None or not found[0]:
            return None
        row = conn.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def head_revision(migrations: Path = MIGRATIONS) -> str:
    """The newest revision this version of the code knows.

    Revisions are one chain, and each file's name begins with its revision's number.
    """
    numbers = [
        path.stem.partition("_")[0]
        for path in (migrations / "versions").glob("*.py")
        if path.stem[0].isdigit()
    ]
    if not numbers:
        raise FileNotFoundError(f"no revision in {migrations / 'versions'}")
    return max(numbers)


def is_current(dsn: str) -> bool:
    """Tell whether the database has the schema this version of the code needs."""
    return current_revision(dsn) == head_revision()
