"""The command `openclaw-jobs simulate`; what it needs is imported when it runs."""

import json as json_module
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from openclaw_jobs.economy import Config
    from openclaw_jobs.market.context import Market
    from openclaw_jobs.simulate.models import Cohort, Settings
    from openclaw_jobs.simulate.run import Study

__all__ = ["register"]

WithMarket = Callable[[Path, Callable[["Market"], Awaitable[Any]]], Any]
"""Runs a use case on the database of the environment or of a data directory."""


Workers = Annotated[int, typer.Option(min=10, max=200_000)]
Tasks = Annotated[
    int, typer.Option(min=10, max=20_000, help="What each worker does if nothing stops it.")
]
Seed = Annotated[int, typer.Option(min=0, help="The same gives the same, bit for bit.")]
Config_ = Annotated[
    Path | None, typer.Option("--config", help="A proposal to compare with the present one.")
]
Population = Annotated[Path | None, typer.Option(help="Other workers than the built-in ones.")]
Out = Annotated[Path, typer.Option(help="Where report.html and report.json go.")]
WriteDocs = Annotated[Path | None, typer.Option(help="Also write the table into this page.")]
TaskSeconds = Annotated[int, typer.Option(min=1, max=86_400, help="What a usual task takes.")]
Load = Annotated[float, typer.Option(help="Paid tasks, as a share of what workers could do.")]
Founders = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the honest that have a record at first.")
]
Miss = Annotated[float, typer.Option(min=0, max=1, help="Bad results that nobody finds.")]
FalseAlarm = Annotated[
    float, typer.Option("--false-alarm", min=0, max=1, help="Good results that are found bad.")
]
DataDir = Annotated[
    Path, typer.Option(help="Home of the embedded PostgreSQL, with --stored and no DATABASE_URL.")
]
Stored = Annotated[
    bool, typer.Option("--stored", help="The present configuration is the database's.")
]
Budget = Annotated[
    bool, typer.Option("--budget/--no-budget", help="Whether the budget of checks binds.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]


def register(app: typer.Typer, with_market: WithMarket) -> None:
    """Add the command `simulate` to a command line."""

    def simulate(
        *,
        workers: Workers = 20_000,
        tasks: Tasks = 1_000,
        seed: Seed = 1,
        config: Config_ = None,
        stored: Stored = False,
        data_dir: DataDir = Path(".openclaw-jobs"),
        population: Population = None,
        out: Out = Path("simulation"),
        write_docs: WriteDocs = None,
        task_seconds: TaskSeconds = 600,
        load: Load = 0.8,
        founders: Founders = 0.5,
        miss: Miss = 0.05,
        false_alarm: FalseAlarm = 0.03,
        budget: Budget = True,
        json: Json = False,
    ) -> None:
        """Live a marketplace of honest and dishonest workers under the rules of production.

        Without --stored the present configuration is that of a first start.
        """
        _need_numpy()
        settings = _settings(
            workers=workers,
            tasks=tasks,
            seed=seed,
            task_seconds=task_seconds,
            load=load,
            founders=founders,
            miss=miss,
            false_alarm=false_alarm,
            budget=budget,
        )
        cohorts = _population(population)
        proposal = None if config is None else _read_json(config)
        present = _present(with_market, data_dir, stored=stored)
        _study(present, proposal, cohorts, settings, _Answer(out, write_docs, json))

    app.command("simulate")(simulate)


class _Answer(NamedTuple):
    """Where the findings go."""

    out: Path
    write_docs: Path | None
    as_json: bool


def _settings(**given: object) -> "Settings":
    import msgspec  # noqa: PLC0415 - the other commands need not wait for what this one needs

    from openclaw_jobs.simulate.models import Settings  # noqa: PLC0415

    try:
        return msgspec.convert(given, Settings)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error)) from error


def _study(
    present: "Config",
    proposal: object | None,
    cohorts: "tuple[Cohort, ...]",
    settings: "Settings",
    answer: _Answer,
) -> None:
    import msgspec  # noqa: PLC0415

    from openclaw_jobs.simulate import document, report, run  # noqa: PLC0415

    if answer.write_docs is not None:
        document.require_markers(answer.write_docs)
    proposed, changes = (None, ()) if proposal is None else run.propose(present, proposal)
    found, seconds = run.study(present, proposed, changes, cohorts, settings)
    page, data = run.write(answer.out, found, report.render(found))
    if answer.write_docs is not None:
        document.write_table(answer.write_docs, found.present)
    if answer.as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _print(found)
        typer.echo(f"{seconds:.1f} s. {page} and {data} tell more.")


def _need_numpy() -> None:
    try:
        import numpy as np  # noqa: F401, PLC0415 - only whether it is there
    except ModuleNotFoundError as error:
        typer.echo(
            "This command needs numpy: pip install 'openclaw-jobs[server,simulate]'", err=True
        )
        raise typer.Exit(2) from error


def _read_json(path: Path) -> object:
    try:
        return json_module.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from error


def _population(path: Path | None) -> "tuple[Cohort, ...]":
    import msgspec  # noqa: PLC0415

    from openclaw_jobs.simulate.models import POPULATION, Cohort  # noqa: PLC0415

    if path is None:
        return POPULATION
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
