"""The pool: what is in force on its connections, and how its transactions end."""

import asyncio

import psycopg
import pytest
from psycopg import sql

from openclaw_jobs.db import Connection, Database, DatabaseSetupError, is_unavailable


async def value(conn: Connection, query: str) -> object:
    row = await (await conn.execute(query.encode())).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def things(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE TABLE things (name text PRIMARY KEY)")


async def names(db: Database) -> list[str]:
    async with db.read() as conn:
        rows = await (await conn.execute("SELECT name FROM things ORDER BY name")).fetchall()
    return [row[0] for row in rows]


async def test_every_connection_works_as_the_application_role_in_utc(db: Database) -> None:
    async with db.read() as conn:
        row = await (
            await conn.execute(
                "SELECT current_user, current_setting('timezone'),"
                " current_setting('statement_timeout'),"
                " current_setting('idle_in_transaction_session_timeout'),"
                " current_setting('application_name')"
            )
        ).fetchone()
    assert row == ("openclaw_app", "UTC", "15s", "15s", "openclaw-jobs")


async def test_no_statement_is_compiled_whatever_the_server_likes(dsn: str) -> None:
    """What the sessions switch off has an immense cost, up to PostgreSQL 17: all would be."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        name = sql.Identifier(admin.info.dbname)
        admin.execute(sql.SQL("ALTER DATABASE {} SET jit = on").format(name))
    async with await Database.open(dsn, min_size=1) as db, db.read() as conn:
        assert await value(conn, "SHOW jit") == "off"


async def test_a_statement_over_its_time_is_cancelled(dsn: str) -> None:
    async with (
        await Database.open(dsn, min_size=1, statement_timeout_s=0.05) as db,
        db.read() as conn,
    ):
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            await conn.execute("SELECT pg_sleep(30)")
        assert await value(conn, "SELECT 1") == 1
    assert is_unavailable(caught.value)


@pytest.mark.usefixtures("things")
async def test_a_lock_over_its_time_is_given_up(dsn: str) -> None:
    async with await Database.open(dsn, min_size=2, lock_timeout_s=0.05) as db:
        async with db.transaction() as first:
            await first.execute("INSERT INTO things VALUES ('taken')")
            with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
                async with db.transaction() as second:
                    await second.execute("INSERT INTO things VALUES ('taken')")
        assert await names(db) == ["taken"]
    assert is_unavailable(caught.value)


async def test_a_forgotten_transaction_is_ended_by_the_server(dsn: str) -> None:
    async with await Database.open(dsn, min_size=2, idle_in_transaction_timeout_s=0.05) as db:

        async def forget() -> None:
            async with db.transaction() as conn:
                # Readable means that the server has said something, and that is farewell.
                readable = asyncio.Event()
                loop = asyncio.get_running_loop()
                loop.add_reader(conn.fileno(), readable.set)
                await asyncio.wait_for(readable.wait(), 10)
                loop.remove_reader(conn.fileno())

        with pytest.raises(psycopg.Error) as caught:
            await forget()
        assert is_unavailable(caught.value)
        async with db.transaction() as conn:
            assert await value(conn, "SELECT 1") == 1


@pytest.mark.usefixtures("things")
async def test_a_transaction_commits(db: Database) -> None:
    async with db.transaction() as conn:
        await conn.execute("INSERT INTO things VALUES ('kept')")
    assert await names(db) == ["kept"]


async def fail_after_insert(db: Database, error: Exception) -> None:
    async with db.transaction() as conn:
        await conn.execute("INSERT INTO things VALUES ('dropped')")
        raise error


@pytest.mark.usefixtures("things")
async def test_an_exception_rolls_back_and_goes_on(db: Database) -> None:
    with pytest.raises(LookupError):
        await fail_after_insert(db, LookupError())
    assert await names(db) == []


@pytest.mark.usefixtures("things")
async def test_rollback_rolls_back_and_is_swallowed(db: Database) -> None:
    await fail_after_insert(db, psycopg.Rollback())
    assert await names(db) == []


@pytest.mark.usefixtures("things")
async def test_a_cancelled_transaction_rolls_back_and_returns_its_connection(
    dsn: str,
) -> None:
    async with await Database.open(dsn, min_size=1, max_size=1) as db:
        begun = asyncio.Event()

        async def wait_long() -> None:
            async with db.transaction() as conn:
                await conn.execute("INSERT INTO things VALUES ('dropped')")
                begun.set()
                await conn.execute("SELECT pg_sleep(30)")

        task = asyncio.create_task(wait_long())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await names(db) == []


@pytest.mark.usefixtures("things")
async def test_a_savepoint_inside_a_transaction_fails_alone(db: Database) -> None:
    async with db.transaction() as conn:
        await conn.execute("INSERT INTO things VALUES ('kept')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with conn.transaction():
                await conn.execute("INSERT INTO things VALUES ('kept')")
    assert await names(db) == ["kept"]


@pytest.mark.usefixtures("things")
async def test_a_pipeline_inside_a_transaction_commits_with_it(db: Database) -> None:
    async with db.transaction() as conn, conn.pipeline():
        await conn.execute("INSERT INTO things VALUES ('one')")
        await conn.execute("INSERT INTO things VALUES ('two')")
    assert await names(db) == ["one", "two"]


async def swallow_a_failure(db: Database) -> None:
    async with db.transaction() as conn:
        await conn.execute("INSERT INTO things VALUES ('lost')")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await conn.execute("SELECT 1 / 0")


async def swallow_a_loss(db: Database, dsn: str) -> None:
    async with db.transaction() as conn:
        await conn.execute("INSERT INTO things VALUES ('lost')")
        with psycopg.connect(dsn) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", (conn.info.backend_pid,))
        with pytest.raises(psycopg.errors.AdminShutdown):
            await conn.execute("SELECT 1")


@pytest.mark.usefixtures("things")
async def test_a_swallowed_failure_is_not_taken_for_a_commit(db: Database) -> None:
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        await swallow_a_failure(db)
    assert await names(db) == []


@pytest.mark.usefixtures("things")
async def test_a_swallowed_loss_of_the_connection_is_not_taken_for_a_commit(
    db: Database,
    dsn: str,
) -> None:
    with pytest.raises(psycopg.OperationalError, match="lost before COMMIT") as caught:
        await swallow_a_loss(db, dsn)
    assert is_unavailable(caught.value)
    assert await names(db) == []


async def test_a_caller_gets_no_connection_in_time(dsn: str) -> None:
    async with await Database.open(dsn, min_size=1, max_size=1, acquire_timeout_s=0.05) as db:

        async def take_another() -> None:
            async with db.transaction():
                pytest.fail("there is one connection, and it is taken")

        async with db.transaction() as conn:
            with pytest.raises(psycopg.OperationalError) as caught:
                await take_another()
            assert is_unavailable(caught.value)
            assert await value(conn, "SELECT 1") == 1


async def test_behind_a_proxy_nothing_outlives_a_transaction(dsn: str) -> None:
    async with await Database.open(dsn, min_size=1, max_size=1, prepare=False) as db:
        for _ in range(10):
            async with db.transaction() as conn:
                assert await value(conn, "SELECT current_user") == "openclaw_app"
                assert await value(conn, "SELECT current_setting('statement_timeout')") == "15s"
                prepared = "SELECT count(*) FROM pg_prepared_statements"
                assert await value(conn, prepared) == 0
        async with db.read() as conn:
            assert await value(conn, "SELECT current_user") == "openclaw_app"
        conn = await db._pool.getconn()
        assert await value(conn, "SELECT current_user = session_user") is True
        await db._pool.putconn(conn)
        with pytest.raises(DatabaseSetupError, match="DATABASE_DIRECT_URL"):
            await db.dedicated(purpose="listen").__aenter__()


async def test_a_dedicated_connection_listens(db: Database) -> None:
    async with db.dedicated(purpose="listen", synchronous_commit=False) as conn:
        assert await value(conn, "SHOW synchronous_commit") == "off"
        assert await value(conn, "SHOW application_name") == "openclaw-jobs-listen"
        assert await value(conn, "SELECT current_user") == "openclaw_app"
        await conn.execute("LISTEN news")
        async with db.transaction() as other:
            await other.execute("SELECT pg_notify('news', 'something')")
        heard = [note.payload async for note in conn.notifies(timeout=10, stop_after=1)]
    assert heard == ["something"]


async def test_a_missing_role_says_what_to_run(dsn: str) -> None:
    with pytest.raises(DatabaseSetupError, match="openclaw-jobs migrate"):
        await Database.open(dsn, role="nobody_made_this")


async def test_a_missing_server_is_waited_for_and_then_reported(tmp_path: object) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        await Database.open(f"postgresql://someone@/db?host={tmp_path}", wait_s=0.2)
    assert is_unavailable(caught.value)


async def test_a_missing_database_is_reported_at_once(dsn: str) -> None:
    wrong = psycopg.conninfo.make_conninfo(dsn, dbname="nobody_made_this")
    with pytest.raises(psycopg.OperationalError, match="nobody_made_this") as caught:
        await asyncio.wait_for(Database.open(wrong, wait_s=60), 10)
    assert not is_unavailable(caught.value)


async def test_health_figures(db: Database) -> None:
    assert 0 < await db.latency_ms() < 2000
    assert db.stats()["pool_max"] == 8
