"""A cancellation that comes in the moment when a connection is handed over is not lost.

In Python 3.11 `asyncio.wait_for` forgets a cancellation that meets the end of what it waits for,
and the pool waits with it. A loop that is stopped by cancelling it would then run for ever.
"""

import asyncio

import pytest

from openclaw_jobs.db import Database


@pytest.fixture
async def narrow(dsn: str) -> Database:
    return await Database.open(dsn, min_size=1, max_size=1)


async def test_who_is_cancelled_as_it_gets_its_connection_is_cancelled(narrow: Database) -> None:
    async with narrow as db:

        async def ask() -> None:
            async with db.read() as conn:
                await conn.execute("SELECT 1")
            await asyncio.Event().wait()

        for steps in range(25):
            async with db.read():
                asking = asyncio.create_task(ask())
                while db.stats().get("requests_waiting", 0) == 0:  # noqa: ASYNC110 - the pool's word
                    await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            done, _ = await asyncio.wait([asking], timeout=2)
            assert done, f"a cancellation after {steps} steps was lost"
            assert asking.cancelled()
        # None of the connections that they were to get was lost either.
        async with asyncio.timeout(5), db.read() as conn:
            await conn.execute("SELECT 1")


async def test_a_timeout_that_meets_its_connection_ends_the_wait(narrow: Database) -> None:
    async with narrow as db:

        async def ask(limit: asyncio.Timeout) -> str:
            try:
                async with limit, db.read() as conn:
                    await conn.execute("SELECT 1")
                    await asyncio.Event().wait()
            except TimeoutError:
                return "late"
            return "in time"

        for steps in range(25):
            limit = asyncio.timeout(None)
            async with db.read():
                asking = asyncio.create_task(ask(limit))
                while db.stats().get("requests_waiting", 0) == 0:  # noqa: ASYNC110 - the pool's word
                    await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            limit.reschedule(0)
            async with asyncio.timeout(2):
                assert await asking == "late"
