"""A transaction ends as it says, whether its statements go one by one or together."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from openclaw_jobs.db import Connection, Database, is_unavailable, savepoint

BOTH = pytest.mark.parametrize("pipelined", [False, True], ids=["one by one", "pipelined"])


@pytest.fixture(params=["fresh", "used just now"])
async def notes(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """On a connection that was used just now a pipelined transaction doesn't wait for BEGIN."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute("CREATE TABLE notes (n int PRIMARY KEY)")
        await admin.execute("GRANT ALL ON notes TO openclaw_app")
    # One connection, so that whatever a transaction leaves behind meets the next.
    async with await Database.open(dsn, min_size=1, max_size=1) as db:
        if request.param != "fresh":
            async with db.transaction():
                pass
        yield db


async def add(db: Database, *numbers: int, pipelined: bool) -> None:
    async with db.transaction(pipelined=pipelined) as conn:
        for number in numbers:
            await conn.execute("INSERT INTO notes VALUES (%s)", (number,))


async def found(db: Database) -> list[int]:
    async with db.read() as conn:
        cursor = await conn.execute("SELECT n FROM notes ORDER BY n")
        return [row[0] for row in await cursor.fetchall()]


@BOTH
async def test_it_commits(notes: Database, *, pipelined: bool) -> None:
    await add(notes, 1, 2, pipelined=pipelined)
    assert await found(notes) == [1, 2]


@BOTH
async def test_the_failure_of_any_statement_undoes_all(notes: Database, *, pipelined: bool) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        await add(notes, 1, 1, 2, pipelined=pipelined)
    assert await found(notes) == []
    await add(notes, 3, pipelined=pipelined)
    assert await found(notes) == [3]


@BOTH
async def test_the_failure_of_the_last_statement_undoes_all(
    notes: Database, *, pipelined: bool
) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        await add(notes, 1, 2, 2, pipelined=pipelined)
    assert await found(notes) == []


@BOTH
async def test_what_the_body_raises_undoes_all(notes: Database, *, pipelined: bool) -> None:
    async def body() -> None:
        async with notes.transaction(pipelined=pipelined) as conn:
            await conn.execute("INSERT INTO notes VALUES (1)")
            raise LookupError

    with pytest.raises(LookupError):
        await body()
    assert await found(notes) == []
    await add(notes, 2, pipelined=pipelined)
    assert await found(notes) == [2]


@BOTH
async def test_a_rollback_that_is_asked_for_is_no_error(
    notes: Database, *, pipelined: bool
) -> None:
    async def body() -> None:
        async with notes.transaction(pipelined=pipelined) as conn:
            await conn.execute("INSERT INTO notes VALUES (1)")
            raise psycopg.Rollback

    await body()
    assert await found(notes) == []


@BOTH
async def test_rows_come_back_as_they_are_asked_for(notes: Database, *, pipelined: bool) -> None:
    async with notes.transaction(pipelined=pipelined) as conn:
        await conn.execute("INSERT INTO notes VALUES (1)")
        first = await conn.execute("SELECT count(*) FROM notes")
        await conn.execute("INSERT INTO notes VALUES (2)")
        second = await conn.execute("SELECT count(*) FROM notes")
        assert [await first.fetchone(), await second.fetchone()] == [(1,), (2,)]


@BOTH
async def test_a_part_is_undone_alone(notes: Database, *, pipelined: bool) -> None:
    async def part(conn: Connection) -> None:
        async with savepoint(conn):
            await conn.execute("INSERT INTO notes VALUES (2)")
            raise LookupError

    async with notes.transaction(pipelined=pipelined) as conn:
        await conn.execute("INSERT INTO notes VALUES (1)")
        with pytest.raises(LookupError):
            await part(conn)
        async with savepoint(conn):
            await conn.execute("INSERT INTO notes VALUES (3)")
    assert await found(notes) == [1, 3]


@BOTH
async def test_a_part_may_come_first(notes: Database, dsn: str, *, pipelined: bool) -> None:
    async with notes.transaction(pipelined=pipelined) as conn:
        async with savepoint(conn):
            await conn.execute("INSERT INTO notes VALUES (1)")
        await conn.execute("INSERT INTO notes VALUES (2)")
        await (await conn.execute("SELECT 1")).fetchone()
        async with await psycopg.AsyncConnection.connect(dsn) as other:
            cursor = await other.execute("SELECT count(*) FROM notes")
            assert await cursor.fetchone() == (0,), "none of it was committed by itself"
    assert await found(notes) == [1, 2]


@BOTH
async def test_nothing_happens_in_an_empty_one(notes: Database, *, pipelined: bool) -> None:
    for _ in range(2):
        async with notes.transaction(pipelined=pipelined):
            pass
    await add(notes, 1, pipelined=pipelined)
    assert await found(notes) == [1]


async def test_a_used_connection_begins_with_its_first_statement(dsn: str) -> None:
    async with await Database.open(dsn, min_size=1, max_size=1) as db:
        for used in (False, True):
            async with db.transaction(pipelined=True) as conn:
                began = conn.pgconn.transaction_status != TransactionStatus.IDLE
                assert began is not used
                ids = [await conn.execute("SELECT pg_current_xact_id()") for _ in range(2)]
                first, second = [await each.fetchone() for each in ids]
                assert first == second, "one transaction"


async def test_a_failure_in_a_pipeline_cannot_be_swallowed(notes: Database) -> None:
    async def body() -> None:
        async with notes.transaction(pipelined=True) as conn:
            await conn.execute("INSERT INTO notes VALUES (1)")
            with pytest.raises(psycopg.errors.DivisionByZero):
                await (await conn.execute("SELECT 1 / 0")).fetchone()

    with pytest.raises(psycopg.errors.PipelineAborted):
        await body()
    assert await found(notes) == []


async def test_a_lost_connection_is_told_and_replaced(notes: Database, dsn: str) -> None:
    async def body() -> None:
        async with notes.transaction(pipelined=True) as conn:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
                await admin.execute(
                    "SELECT pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,)
                )
            await conn.execute("INSERT INTO notes VALUES (1)")

    with pytest.raises(psycopg.OperationalError) as caught:
        await body()
    assert is_unavailable(caught.value)
    assert await found(notes) == []
