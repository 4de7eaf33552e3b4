from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest

from openclaw_jobs.db import Connection, Database
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import (
    BUYER_ACCOUNTS,
    WORKER_ACCOUNTS,
    open_accounts,
    operator_grant,
    post,
)

Opener = Callable[[int], Awaitable[str]]


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[Connection]:
    """The owner of the tables (a superuser), each statement alone."""
    conn: Connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    async with conn:
        yield conn


@pytest.fixture
def buyer(db: Database) -> Opener:
    """Opens a buyer's accounts with promotional credit of so many cents; returns its id."""

    async def open_buyer(promo_cents: int) -> str:
        buyer_id = new_id("byr")
        async with db.transaction() as conn:
            await open_accounts(conn, buyer_id, BUYER_ACCOUNTS)
            grant = operator_grant(buyer_id, promo_cents, buyer_id)
            await post(conn, [grant] if grant else [])
        return buyer_id

    return open_buyer


@pytest.fixture
async def worker(db: Database) -> str:
    """A worker with open accounts."""
    worker_id = new_id("wrk")
    async with db.transaction() as conn:
        await open_accounts(conn, worker_id, WORKER_ACCOUNTS)
    return worker_id
