"""The pool: settings in force, transactions, and recovery from a lost server."""

import psycopg
import pytest

from openclaw_jobs.db import Database


async def test_every_connection_works_as_the_application_role_in_utc(db: Database) -> None:
    async with db.read() as conn:
        row = await (
            await conn.execute(
                "SELECT current_user, current_setting('timezone'),"
                " current_setting('statement_timeout'),"
                " current_setting('idle_in_transaction_session_timeout')"
            )
        ).fetchone()
    assert row == ("openclaw_app", "UTC", "15s", "15s")


async def test_a_transaction_commits_and_rolls_back(db: Database, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE TABLE things (name text)")
    async with db.transaction() as conn:
        await conn.execute("INSERT INTO things VALUES ('kept')")
    with pytest.raises(LookupError):
        async with db.transaction() as conn:
            await conn.execute("INSERT INTO things VALUES ('dropped')")
            raise LookupError
    async with db.read() as conn:
        assert await (await conn.execute("SELECT name FROM things")).fetchall() == [("kept",)]
