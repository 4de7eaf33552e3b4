"""The command `openclaw-jobs demo`; what it needs is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command `demo` to a command line."""
    app.command("demo")(demo)


def demo(
    *,
    data_dir: Annotated[
        Path | None, typer.Option(help="Run there and keep it, instead of on a fresh directory.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the fresh directory, with the logs.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Draw the tables of the end in this file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Watch the main job: a server, two workers and ten tasks on a fresh data directory.

    Ends by itself, and leaves nothing running. Exit code 0 only if every task went well.
    """
    from openclaw_jobs.demo.run import Options, run  # noqa: PLC0415 - others need not wait for it

    raise typer.Exit(run(Options(data_dir=data_dir, keep=keep, svg=svg, as_json=json)))
