"""Where a database's schema stands, told without loading what migrates it.

Alembic and SQLAlchemy take half a second to import, and most starts find nothing to do.

A revision says by `stage = "pre"` that it only adds, so that processes of the release before go
on while it is applied and after; by `stage = "post"` that it takes away what the new code does
without, so that it waits until all processes run that code. One that says neither needs all
processes stopped. See `docs/how-to/deploy.md`.
"""

import re
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final, Literal, TypeAlias

import psycopg

from openclaw_jobs.db.dsn import libpq_dsn

__all__ = [
    "MIGRATIONS",
    "Revision",
    "Stage",
    "additive_target",
    "can_serve",
    "current_revision",
    "floor_of",
    "head_revision",
    "is_ahead",
    "is_current",
    "missing_after",
    "revisions",
]

MIGRATIONS: Final = Path(__file__).parent / "migrations"

_RECOVERY_S: Final = 30.0
_RETRY_S: Final = 0.1
# libpq keeps no SQLSTATE of a login that failed: that of 57P03, cannot_connect_now, and of a
# connection that ended before the server said anything.
_COMING: Final = ("the database system is ", "server closed the connection unexpectedly")

Stage: TypeAlias = Literal["pre", "post", "stop"]
_STAGE: Final = re.compile(r'^stage = "(pre|post|stop)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema.

    Attributes:
        number: Its id; they rise along the chain.
        stage: When it may be applied.
    """

    number: str
    stage: Stage


def revisions(migrations: Path = MIGRATIONS) -> list[Revision]:
    """The revisions that this version of the code knows, oldest first.

    They are one chain, and each file's name begins with its revision's number.

    Raises:
        FileNotFoundError: There are none.
    """
    found = [
        Revision(path.stem.partition("_")[0], _stage(path.read_text(encoding="utf-8")))
        for path in sorted((migrations / "versions").glob("*.py"))
        if path.stem[0].isdigit()
    ]
    if not found:
        raise FileNotFoundError(f"no revision in {migrations / 'versions'}")
    return sorted(found, key=lambda revision: revision.number)


def missing_after(found: str | None, known: list[Revision]) -> list[Revision]:
    """Those of `known` that a database at revision `found` lacks."""
    return [revision for revision in known if found is None or revision.number > found]


def floor_of(upto: str, known: list[Revision]) -> str:
    """The oldest code, by its newest revision, that may run on a schema of revision `upto`.

    The schema's last step that was not merely additive; the code before it doesn't know it.
    """
    breaking = [r.number for r in known if r.number <= upto and r.stage != "pre"]
    return breaking[-1] if breaking else known[0].number


def current_revision(dsn: str) -> str | None:
    """The database's revision; None when it has none.

    Raises:
        psycopg.OperationalError: The database cannot be reached.
    """
    return _standing(dsn)[0]


def head_revision(migrations: Path = MIGRATIONS) -> str:
    """The newest revision this version of the code knows."""
    return revisions(migrations)[-1].number


def is_current(dsn: str) -> bool:
    """Tell whether the database has exactly the schema of this version of the code."""
    return current_revision(dsn) == head_revision()


def is_ahead(dsn: str, migrations: Path = MIGRATIONS) -> bool:
    """Tell whether the database is newer than this version of the code, and fits it all the same.

    That is so while a newer release is rolled out, and when it is taken back before its `post`.
    """
    found, floor = _standing(dsn)
    newest = revisions(migrations)[-1].number
    return found is not None and found > newest and floor is not None and floor <= newest


def can_serve(dsn: str, migrations: Path = MIGRATIONS) -> bool:
    """Tell whether this version of the code can work on the database as it is.

    It can when only revisions of the stage `post` are missing, and when the database is newer but
    was only added to since.

    Raises:
        psycopg.OperationalError: The database cannot be reached.
    """
    found = current_revision(dsn)
    known = revisions(migrations)
    if found is None:
        return False
    if found > known[-1].number:
        return is_ahead(dsn, migrations)
    return all(revision.stage == "post" for revision in missing_after(found, known))


def additive_target(found: str | None, known: list[Revision]) -> str | None:
    """How far a database may go while processes of the release before are running.

    An empty database has no such processes, so it goes all the way. None when there is nothing
    to do.
    """
    missing = missing_after(found, known)
    if found is None:
        return known[-1].number
    steps = list(takewhile(lambda revision: revision.stage == "pre", missing))
    return steps[-1].number if steps else None


def _stage(text: str) -> Stage:
    declared = _STAGE.search(text)
    if declared is None:
        return "stop"
    return "pre" if declared[1] == "pre" else "post" if declared[1] == "post" else "stop"


def _standing(dsn: str) -> tuple[str | None, str | None]:
    """The database's revision, and the oldest code that may run on it where that was kept."""
    target = libpq_dsn(dsn, application_name="openclaw-jobs-migrate", connect_timeout=10)
    with _connect_when_up(target) as conn:
        found = _only(conn, "alembic_version", "SELECT version_num FROM alembic_version")
        return found, _only(conn, "schema_floor", "SELECT revision FROM schema_floor")


def _connect_when_up(target: str) -> psycopg.Connection:
    """Connect, and outwait a server that starts, stops or recovers from a crash.

    A process that is started again just then must not give up; where nobody listens, or the login
    is refused, it is told at once.
    """
    deadline = time.monotonic() + _RECOVERY_S
    while True:
        try:
            return psycopg.connect(target, autocommit=True)
        except psycopg.OperationalError as exc:
            coming = any(sign in str(exc) for sign in _COMING)
            if not coming or time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_S)


def _only(conn: psycopg.Connection, table: str, query: str) -> str | None:
    exists = conn.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    if exists is None or not exists[0]:
        return None
    row = conn.execute(query.encode()).fetchone()
    return None if row is None else str(row[0])
