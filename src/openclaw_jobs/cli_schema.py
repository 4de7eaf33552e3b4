"""The command that migrates, and what every other asks of the schema first."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

if TYPE_CHECKING:
    from openclaw_jobs.settings import Settings

__all__ = ["check_schema", "register"]

_DATA_DIR: Final = Path(".openclaw-jobs")


class Half(StrEnum):
    """What of the missing revisions to apply."""

    PRE = "pre"
    POST = "post"
    ALL = "all"


def register(
    app: typer.Typer,
    settings_of: Callable[[], "Settings"],
    database: Callable[["Settings", Path], AbstractContextManager[str]],
    run: Callable[[Any], Any],
) -> None:
    """Add `migrate`; `database` opens where the data is, and `run` runs a coroutine."""

    @app.command()
    def migrate(
        stage: Annotated[
            Half,
            typer.Option(
                help="pre: only what may be applied while the version before is running. "
                "post: the rest, once every process runs this version. all: both at once."
            ),
        ] = Half.ALL,
        *,
        data_dir: Annotated[
            Path,
            typer.Option(
                "--data-dir", help="Home of the embedded PostgreSQL; not used with DATABASE_URL."
            ),
        ] = _DATA_DIR,
        json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
    ) -> None:
        """Bring the database's schema up to date, and seed a new one's configuration."""
        settings = settings_of()
        with database(settings, data_dir) as dsn:
            from openclaw_jobs.app import prepare_database

            revision = run(prepare_database(settings, dsn, stage.value))
        typer.echo(
            msgspec.json.encode({"revision": revision}).decode()
            if json
            else f"The database is at revision {revision}."
        )


def check_schema(settings: "Settings", dsn: str, run: Callable[[Any], Any]) -> None:
    """Migrate an embedded database; somebody else's must have been migrated on purpose.

    Raises:
        DatabaseSetupError: `migrate` has to be run first.
    """
    from openclaw_jobs.db import DatabaseSetupError
    from openclaw_jobs.db.revision import can_serve, current_revision, head_revision

    direct = settings.database_direct_url or dsn
    if can_serve(direct):
        return
    found, newest = current_revision(direct), head_revision()
    if found is not None and found > newest:
        raise DatabaseSetupError(
            f"The database has revision {found}, which this version (revision {newest}) no longer "
            "fits: run the newer version"
        )
    if settings.database_url is not None:
        has = f"has revision {found}" if found else "has not been set up"
        raise DatabaseSetupError(
            f"The database {has} and this version needs {newest}: run `openclaw-jobs migrate`"
        )
    from openclaw_jobs.app import prepare_database

    run(prepare_database(settings, dsn))
