"""What can go wrong between us and PostgreSQL, told apart by who can mend it."""

from collections.abc import Iterator

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

__all__ = ["DatabaseSetupError", "is_unavailable"]

# SQLSTATE classes and codes after which the same call may succeed a moment later, with nothing
# wrong in the call itself. https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE_CLASSES = (
    "08",  # connection exception
    "40",  # transaction rollback: chosen to end a deadlock, all of it undone
    "53",  # insufficient resources: connections, memory, disk
    "58",  # system error outside PostgreSQL
)
_UNAVAILABLE_CODES = frozenset(
    {
        "25006",  # read_only_sql_transaction: we still talk to what was the primary
        "25P03",  # idle_in_transaction_session_timeout: this process stalled
        "55P03",  # lock_not_available: lock_timeout ran out
        "57014",  # query_canceled: statement_timeout ran out
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now: starting up or shutting down
        "57P05",  # idle_session_timeout
    }
)


class DatabaseSetupError(RuntimeError):
    """The database answers but cannot be used as it is; the message says what to do about it."""


def is_unavailable(exc: BaseException) -> bool:
    """Tell whether `exc` means "the database cannot serve this now" and a door should answer 503.

    True for a refused or lost connection, a server that starts up or shuts down, a pool with no
    connection to give in time, a time-out of a statement or a lock, and exhausted resources.
    False for everything the caller could fix: constraint violations, bad SQL, bad data, wrong
    credentials. An exception raised from such a cause (`raise ... from exc`) counts too.
    """
    return any(_is_unavailable(link) for link in _causes(exc))


def _is_unavailable(exc: BaseException) -> bool:
    if isinstance(exc, PoolTimeout | PoolClosed | TooManyRequests):
        return True
    if not isinstance(exc, psycopg.Error):
        return False
    if exc.sqlstate is None:
        # No SQLSTATE means the server never answered: libpq could not connect or lost the
        # connection. psycopg raises misuse of its own API as other classes than this one.
        return isinstance(exc, psycopg.OperationalError) and not _is_refused_login(exc)
    return exc.sqlstate in _UNAVAILABLE_CODES or exc.sqlstate.startswith(_UNAVAILABLE_CLASSES)


def _is_refused_login(exc: psycopg.Error) -> bool:
    """A failed login carries its SQLSTATE only in the text libpq made of it."""
    text = str(exc)
    return any(
        sign in text
        for sign in (
            "password authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            "does not exist",
            "is not permitted to log in",
            "permission denied for database",
        )
    )


def _causes(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__
