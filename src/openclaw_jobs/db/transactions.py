"""How a transaction ends: never as something else than it says, and in as few trips as asked."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncTransaction, pq

from openclaw_jobs.db.connection import Connection

__all__ = ["ending", "savepoint"]


@asynccontextmanager
async def ending(
    conn: Connection, block: AsyncTransaction, *, pipelined: bool
) -> AsyncIterator[None]:
    """Run the body of a transaction: COMMIT after it, or ROLLBACK if it raises.

    Args:
        conn: Whose transaction it is.
        block: The transaction, entered; or else its BEGIN is sent with the first statement.
        pipelined: See `Database.transaction`.
    """
    ended = False
    try:
        async with conn.pipeline() if pipelined else contextlib.nullcontext():
            if block.status is AsyncTransaction.Status.NOT_STARTED:
                await block.__aenter__()
            yield
            ended = True
            await _commit(conn, block)
    except BaseException as exc:
        if not ended:
            if not await block.__aexit__(type(exc), exc, exc.__traceback__):
                raise
        else:
            # A COMMIT that was sent together with what failed before it was never carried out.
            if not conn.closed:
                with contextlib.suppress(psycopg.OperationalError):
                    await conn.rollback()
            raise


@asynccontextmanager
async def savepoint(conn: Connection) -> AsyncIterator[None]:
    """A part of a transaction that can be undone alone.

    Unlike `conn.transaction()` it does not wait for what is in the pipeline, unless that is BEGIN.
    """
    if conn.pgconn.transaction_status == pq.TransactionStatus.IDLE:
        async with conn.pipeline():
            # To enter it anew waits for all that was sent.
            pass
    async with AsyncTransaction(conn):
        yield


async def _commit(conn: Connection, block: AsyncTransaction) -> None:
    """End a transaction whose body succeeded, or raise if it cannot have."""
    if conn.closed:
        await block.__aexit__(None, None, None)
        raise psycopg.OperationalError("the connection was lost before COMMIT")
    if conn.pgconn.transaction_status == pq.TransactionStatus.INERROR:
        failed = psycopg.errors.InFailedSqlTransaction(
            "a statement of this transaction failed and its error was swallowed; rolled back"
        )
        await block.__aexit__(type(failed), failed, None)
        raise failed
    await block.__aexit__(None, None, None)
