"""Connection strings: whatever a host hands out, made into what libpq takes."""

import re

from psycopg import conninfo

__all__ = ["libpq_dsn", "redacted"]

_SQLALCHEMY_SCHEME = re.compile(r"^postgres(?:ql)?\+\w+://")


def libpq_dsn(dsn: str, **defaults: str | int) -> str:
    """Return `dsn` as libpq takes it, with `defaults` for the parameters it does not set.

    `dsn` is a URL (`postgresql://`, `postgres://`, or SQLAlchemy's `postgresql+driver://`) or a
    `key=value` string. Raises `psycopg.ProgrammingError` for a string that is neither.
    """
    plain = _SQLALCHEMY_SCHEME.sub("postgresql://", dsn.strip())
    given = conninfo.conninfo_to_dict(plain)
    return conninfo.make_conninfo(plain, **{k: v for k, v in defaults.items() if k not in given})


def redacted(dsn: str) -> str:
    """Return where `dsn` points, without a password, for messages and logs."""
    parts = conninfo.conninfo_to_dict(libpq_dsn(dsn))
    host = parts.get("host") or parts.get("hostaddr") or "the default host"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('dbname') or 'by default'!r} on {host}{port}"
