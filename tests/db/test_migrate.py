"""Migrations: from nothing to the newest revision, once, whoever else is at it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy.exc
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import conninfo

from openclaw_jobs.db import migrate as module
from openclaw_jobs.db.migrate import migrate
from openclaw_jobs.db.revision import MIGRATIONS, current_revision, head_revision, is_current
from tests.conftest import Postgres


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    with postgres.database(template="template0") as dsn:
        yield dsn


def test_an_empty_database_becomes_current_and_stays_so(
    empty: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert current_revision(empty) is None
    assert not is_current(empty)
    assert migrate(empty) == head_revision()
    assert is_current(empty)
    assert migrate(empty) == current_revision(empty)
    assert [record for record in caplog.records if record.name.startswith("alembic")] == []


def test_processes_that_migrate_at_once_wait_for_each_other(empty: str) -> None:
    code = "import sys; from openclaw_jobs.db.migrate import migrate; print(migrate(sys.argv[1]))"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, empty],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    results = [(*child.communicate(timeout=60), child.returncode) for child in children]
    assert results == [(f"{head_revision()}\n", "", 0)] * 3
    assert is_current(empty)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_form_of_address_is_understood(dsn: str, scheme: str) -> None:
    parts = conninfo.conninfo_to_dict(dsn)
    query = "&".join(
        f"{key}={str(value).replace('/', '%2F')}"
        for key, value in parts.items()
        if key not in {"user", "dbname", "password"}
    )
    password = f":{parts['password']}" if "password" in parts else ""
    assert is_current(f"{scheme}://{parts['user']}{password}@/{parts['dbname']}?{query}")


def test_a_failed_revision_leaves_nothing_behind(empty: str, tmp_path: Path) -> None:
    shutil.copytree(
        MIGRATIONS,
        tmp_path / "migrations",
        ignore=lambda _, names: [name for name in names if name[:4].isdigit()],
    )
    for number, down, statement in (
        ("1", None, "CREATE TABLE first ()"),
        ("2", "1", "SELECT 1 / 0"),
    ):
        (tmp_path / "migrations" / "versions" / f"{number}.py").write_text(
            "from alembic import op\n"
            f"revision = {number!r}\n"
            f"down_revision = {down!r}\n"
            f"def upgrade(): op.execute({statement!r})\n"
        )
    with pytest.raises(sqlalchemy.exc.DataError):
        migrate(empty, migrations=tmp_path / "migrations")
    assert current_revision(empty) is None
    with psycopg.connect(empty) as conn:
        assert conn.execute("SELECT to_regclass('first')").fetchone() == (None,)


def test_the_head_is_what_alembic_takes_for_it() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == head_revision()


def test_the_environment_runs_only_through_migrate() -> None:
    config = module._config(MIGRATIONS)
    with pytest.raises(RuntimeError, match="openclaw-jobs migrate"):
        command.upgrade(config, "head", sql=True)
