"""Connection strings: whatever a host hands out, made into what libpq takes."""

import re

import psycopg
from psycopg import conninfo

from openclaw_jobs.db.errors import DatabaseSetupError

__all__ = ["libpq_dsn", "redacted"]

_SQLALCHEMY_SCHEME = re.compile(r"^postgres(?:ql)?\+\w+://")


def libpq_dsn(dsn: str, **defaults: str | int) -> str:
    """Return `dsn` as libpq takes it, with `defaults` for the parameters it does not set.

    `dsn` is a URL (`postgresql://`, `postgres://`, or SQLAlchemy's `postgresql+driver://`) or a
    `key=value` string.

    Raises:
        DatabaseSetupError: It is neither.
    """
    plain = _SQLALCHEMY_SCHEME.sub("postgresql://", dsn.strip())
    try:
        given = conninfo.conninfo_to_dict(plain)
    except psycopg.ProgrammingError:
        # libpq repeats the part that it could not read, which may be the password.
        raise DatabaseSetupError(
            "DATABASE_URL is neither a URL such as postgresql://user:password@host:5432/name"
            " (with % and @ in the password as %25 and %40) nor a string of key=value pairs"
        ) from None
    return conninfo.make_conninfo(plain, **{k: v for k, v in defaults.items() if k not in given})


def redacted(dsn: str) -> str:
    """Return where `dsn` points, without a password, for messages and logs."""
    parts = conninfo.conninfo_to_dict(libpq_dsn(dsn))
    host = parts.get("host") or parts.get("hostaddr") or "the default host"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('dbname') or 'by default'!r} on {host}{port}"
