"""Which failures mean "not now" and which mean "not so"."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from openclaw_jobs.db import is_unavailable


@pytest.mark.parametrize(
    "exc",
    [
        PoolTimeout("no connection in time"),
        PoolClosed("closed"),
        TooManyRequests("too many wait"),
        psycopg.OperationalError("connection refused"),
        psycopg.OperationalError("server closed the connection unexpectedly"),
        errors.AdminShutdown(),
        errors.CrashShutdown(),
        errors.CannotConnectNow(),
        errors.TooManyConnections(),
        errors.DiskFull(),
        errors.ConnectionFailure(),
        errors.QueryCanceled(),
        errors.LockNotAvailable(),
        errors.DeadlockDetected(),
        errors.ReadOnlySqlTransaction(),
        errors.IdleInTransactionSessionTimeout(),
    ],
)
def test_unavailable(exc: Exception) -> None:
    assert is_unavailable(exc)
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = exc
    assert is_unavailable(wrapped)


@pytest.mark.parametrize(
    "exc",
    [
        errors.UniqueViolation(),
        errors.CheckViolation(),
        errors.UndefinedTable(),
        errors.InFailedSqlTransaction(),
        errors.InvalidPassword(),
        psycopg.OperationalError('FATAL:  password authentication failed for user "a"'),
        psycopg.InterfaceError("misuse"),
        psycopg.ProgrammingError("misuse"),
        ValueError("something else"),
    ],
)
def test_the_callers_own_fault(exc: Exception) -> None:
    assert not is_unavailable(exc)


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert not is_unavailable(first)
