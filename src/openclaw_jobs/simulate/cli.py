"""The command `openclaw-jobs simulate`; what it needs is imported when it runs."""

import json as json_module
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

if TYPE_CHECKING:
    from openclaw_jobs.economy import Config
    from openclaw_jobs.market.context import Market
    from openclaw_jobs.simulate.models import Cohort
    from openclaw_jobs.simulate.run import Study

__all__ = ["register"]

WithMarket = Callable[[Path, Callable[["Market"], Awaitable[Any]]], Any]
"""Runs a use case on the database of the environment or of a data directory."""


def register(app: typer.Typer, with_market: WithMarket) -> None:
    """Add the command `simulate` to a command line."""

    def simulate(  # noqa: PLR0917 - options, all by name
        workers: Annotated[int, typer.Option(min=10, max=200_000)] = 20_000,
        tasks: Annotated[
            int, typer.Option(min=10, max=20_000, help="What each does if nothing stops it.")
        ] = 1_000,
        seed: Annotated[int, typer.Option(min=0, help="The same gives the same, bit for bit.")] = 1,
        config: Annotated[
            Path | None, typer.Option(help="A proposed configuration: compare it with the present.")
        ] = None,
        population: Annotated[
            Path | None, typer.Option(help="Other workers than the built-in ones (JSON).")
        ] = None,
        out: Annotated[Path, typer.Option(help="Where report.html and report.json go.")] = Path(
            "simulation"
        ),
        write_docs: Annotated[
            Path | None, typer.Option(help="Also write the table into this page.")
        ] = None,
        task_seconds: Annotated[
            int, typer.Option(min=1, max=86_400, help="What a usual task takes.")
        ] = 600,
        load: Annotated[
            float, typer.Option(help="Paid tasks, as a share of what workers could do.")
        ] = 0.8,
        founders: Annotated[
            float, typer.Option(min=0, max=1, help="Share of the honest with a record at first.")
        ] = 0.5,
        miss: Annotated[
            float, typer.Option(min=0, max=1, help="Bad results that no arbitration finds.")
        ] = 0.05,
        false_alarm: Annotated[
            float, typer.Option(min=0, max=1, help="Good results that are found bad.")
        ] = 0.03,
        data_dir: Annotated[
            Path, typer.Option(help="Whose stored configuration, with --stored.")
        ] = Path(".openclaw-jobs"),
        *,
        stored: Annotated[
            bool, typer.Option("--stored", help="The present one is the database's, not the seed.")
        ] = False,
        budget: Annotated[bool, typer.Option(help="Whether the budget of checks binds.")] = True,
        json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    ) -> None:
        """Live a marketplace of honest and dishonest workers under the rules of production.

        Compares a proposed configuration with the present one, before anybody is paid by it.
        """
        _need_numpy()
        import msgspec  # noqa: PLC0415 - the other commands need not wait for these

        from openclaw_jobs.simulate import document, report, run  # noqa: PLC0415
        from openclaw_jobs.simulate.models import POPULATION, Settings  # noqa: PLC0415

        try:
            settings = msgspec.convert(
                {
                    "workers": workers,
                    "tasks": tasks,
                    "seed": seed,
                    "task_seconds": task_seconds,
                    "load": load,
                    "founders": founders,
                    "miss": miss,
                    "false_alarm": false_alarm,
                    "budget": budget,
                },
                Settings,
            )
        except msgspec.ValidationError as error:
            raise typer.BadParameter(str(error)) from error
        cohorts = POPULATION if population is None else _population(population)
        if write_docs is not None:
            document.require_markers(write_docs)
        present = _present(with_market, data_dir, stored=stored)
        proposed, changes = (
            (None, ()) if config is None else run.propose(present, _read_json(config))
        )
        found, seconds = run.study(present, proposed, changes, cohorts, settings)
        page, data = run.write(out, found, report.render(found))
        if write_docs is not None:
            document.write_table(write_docs, found.present)
        if json:
            typer.echo(msgspec.json.encode(found).decode())
        else:
            _print(found)
            typer.echo(f"{seconds:.1f} s. {page} and {data} tell more.")

    app.command("simulate")(simulate)


def _need_numpy() -> None:
    try:
        import numpy as np  # noqa: F401, PLC0415 - only whether it is there
    except ModuleNotFoundError as error:
        raise _Refusal(
            "The simulation needs numpy: pip install 'openclaw-jobs[server,simulate]'"
        ) from error


class _Refusal(click.ClickException):
    """What a user can put right; the command line ends with 2."""

    exit_code = 2


def _read_json(path: Path) -> object:
    try:
        return json_module.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from error


def _population(path: Path) -> "tuple[Cohort, ...]":
    import msgspec  # noqa: PLC0415

    from openclaw_jobs.simulate.models import Cohort  # noqa: PLC0415

    try:
        cohorts = msgspec.convert(_read_json(path), tuple[Cohort, ...])
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"{path} is no population: {error}") from error
    if not any(cohort.share for cohort in cohorts):
        raise typer.BadParameter(f"{path} is no population: no cohort has a share")
    if len({cohort.name for cohort in cohorts}) < len(cohorts):
        raise typer.BadParameter(f"{path} is no population: two cohorts have one name")
    return cohorts


def _present(with_market: WithMarket, data_dir: Path, *, stored: bool) -> "Config":
    from openclaw_jobs.economy import DEFAULT_CONFIG  # noqa: PLC0415

    if not stored:
        return DEFAULT_CONFIG

    async def read(market: "Market") -> "Config":
        return market.config

    config: Config = with_market(data_dir, read)
    return config


def _print(study: "Study") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from openclaw_jobs.simulate.report import results, show, show_value  # noqa: PLC0415
    from openclaw_jobs.simulate.targets import figures  # noqa: PLC0415

    table = Table(title="Figures of hidden quality", title_justify="left")
    for column in ("figure", "must reach", *(name for name, _ in results(study))):
        table.add_column(column)
    columns = [figures(result) for _, result in results(study)]
    for line in zip(*columns, strict=True):
        limit = show_value(line[0].limit, as_share=line[0].as_share)
        cells = [show(figure) + ("" if figure.reached else " (missed)") for figure in line]
        table.add_row(line[0].name, f"≤ {limit}", *cells)
    Console().print(table)
