"""Migrations in two halves, and which code may run on which schema, on a chain made up for it."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy.exc

from openclaw_jobs.db import DatabaseSetupError
from openclaw_jobs.db.migrate import migrate
from openclaw_jobs.db.revision import (
    MIGRATIONS,
    can_serve,
    current_revision,
    head_revision,
    revisions,
)
from tests.bad_days.programs import web
from tests.conftest import Postgres

FLOOR = """CREATE TABLE schema_floor (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one), revision text NOT NULL)"""


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    with postgres.database(template="template0") as dsn:
        yield dsn


def release(folder: Path, *stages: str) -> Path:
    """The migrations of a release whose revisions 1, 2, … are of these stages."""
    place = folder / str(len(stages))
    shutil.copytree(
        MIGRATIONS,
        place,
        ignore=lambda _, names: [name for name in names if name[:4].isdigit()],
    )
    for number, stage in enumerate(stages, start=1):
        statement = FLOOR if number == 1 else f"CREATE TABLE t{number} ()"
        down = str(number - 1) if number > 1 else None
        (place / "versions" / f"{number}_made_up.py").write_text(
            "from alembic import op\n"
            f"revision = {str(number)!r}\n"
            f"down_revision = {down!r}\n"
            f'stage = "{stage}"\n'
            f"def upgrade(): op.execute({statement!r})\n"
        )
    return place


def test_a_release_goes_in_by_halves_and_the_one_before_runs_on_until_the_second(
    empty: str, tmp_path: Path
) -> None:
    old = release(tmp_path, "pre")
    new = release(tmp_path, "pre", "pre", "post")
    assert migrate(empty, migrations=old) == "1"
    assert (can_serve(empty, old), can_serve(empty, new)) == (True, False)

    assert migrate(empty, half="pre", migrations=new) == "2"
    assert (can_serve(empty, old), can_serve(empty, new)) == (True, True)
    assert migrate(empty, half="pre", migrations=new) == "2"

    assert migrate(empty, half="post", migrations=new) == "3"
    assert (can_serve(empty, old), can_serve(empty, new)) == (False, True)
    with pytest.raises(DatabaseSetupError, match="has revision 3, newer than this version's 1"):
        migrate(empty, migrations=old)


@pytest.mark.parametrize(
    ("stages", "advice"),
    [
        (("pre", "stop"), "stop every process and run `openclaw-jobs migrate`$"),
        (("pre", "post", "pre"), "or roll out the release between first$"),
    ],
)
def test_what_cannot_be_done_beside_running_processes_is_refused_whole(
    empty: str, tmp_path: Path, stages: tuple[str, ...], advice: str
) -> None:
    old, new = release(tmp_path, "pre"), release(tmp_path, *stages)
    migrate(empty, migrations=old)
    with pytest.raises(DatabaseSetupError, match=advice):
        migrate(empty, half="pre", migrations=new)
    assert current_revision(empty) == "1"
    assert not can_serve(empty, new)
    assert migrate(empty, migrations=new) == str(len(stages))
    assert can_serve(empty, new)
    assert not can_serve(empty, old)


def test_an_empty_database_is_made_whole_by_any_half(empty: str, tmp_path: Path) -> None:
    new = release(tmp_path, "pre", "post", "pre")
    assert migrate(empty, half="pre", migrations=new) == "3"


def test_the_first_half_does_not_keep_others_waiting_for_a_table(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_jobs.db.migrate._LOCK_PATIENCE_MS", 50)
    old = release(tmp_path, "pre", "pre")
    migrate(empty, migrations=old)
    new = release(tmp_path, "pre", "pre", "pre")
    third = new / "versions" / "3_made_up.py"
    third.write_text(
        third.read_text().replace("CREATE TABLE t3 ()", "ALTER TABLE t2 ADD COLUMN a int")
    )
    with psycopg.connect(empty) as busy:
        busy.execute("SELECT FROM t2")
        with pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"):
            migrate(empty, half="pre", migrations=new)
    assert migrate(empty, half="pre", migrations=new) == "3"


def test_each_revision_says_its_stage() -> None:
    """From the first on that could; what is read from the text is what the module says."""
    for revision in revisions():
        (path,) = (MIGRATIONS / "versions").glob(f"{revision.number}_*.py")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert getattr(module, "stage", "stop") == revision.stage
        assert hasattr(module, "stage") or revision.number < "0007"


def test_the_oldest_code_is_kept_where_the_application_cannot_change_it(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        row = conn.execute("SELECT revision FROM schema_floor").fetchone()
        assert row == (max(r.number for r in revisions() if r.stage != "pre"),)
        conn.execute("SET ROLE openclaw_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("UPDATE schema_floor SET revision = '0001'")


def run(dsn: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command; in this process it would send later tests' logs into its own output."""
    return subprocess.run(
        [sys.executable, "-m", "openclaw_jobs.cli", *words],
        env=os.environ | {"DATABASE_URL": dsn},
        capture_output=True,
        text=True,
        check=False,
    )


async def start_and_stop(dsn: str) -> None:
    async with web(dsn) as running:
        await running.stop()


def test_a_process_starts_on_a_newer_schema_only_while_it_fits(dsn: str) -> None:
    """As when one crashes, or a release is taken back, between the halves of the next."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
        assert run(dsn, "migrate", "--json").stdout == '{"revision":"9999"}\n'
        asyncio.run(start_and_stop(dsn))
        conn.execute("UPDATE schema_floor SET revision = '9998'")
        refused = run(dsn, "web", "--port", "0")
        assert refused.returncode == 1
        assert "no longer fits: run the newer version" in refused.stderr


def test_a_process_needs_what_it_was_not_told_to_wait_for(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '0006'")
    refused = run(dsn, "web", "--port", "0")
    assert refused.returncode == 1
    assert f"has revision 0006 and this version needs {head_revision()}" in refused.stderr
