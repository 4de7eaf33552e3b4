"""Running one or two simulations with a progress bar, and writing what they found."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from openclaw_jobs.economy import SECTIONS, Config, FieldChange
from openclaw_jobs.economy.rules import diff, merge, parse
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.simulate.market import Simulation
from openclaw_jobs.simulate.measure import measure
from openclaw_jobs.simulate.models import Cohort, Result, Settings


class Change(msgspec.Struct, frozen=True):
    """A configuration field that the proposal changes, with its section."""

    key: str
    field: str
    old: object
    new: object


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """One simulation, or the present configuration beside a proposed one.

    Both have the same workers, the same settings and the same seed.
    """

    population: tuple[Cohort, ...]
    present: Result
    proposed: Result | None
    changes: tuple[Change, ...]


def propose(present: Config, value: object) -> tuple[Config, tuple[Change, ...]]:
    """The present configuration with the fields of a proposal, and what that changes.

    Args:
        present: The configuration in force.
        value: As decoded from JSON: `{section: {field: value}}`. Fields left out stay.

    Raises:
        Problem: `validation_failed`; the proposal is no configuration.
    """
    if not isinstance(value, dict) or not value:
        raise invalid("config", 'Expected an object such as {"quality": {"shadow_rate": 0.05}}')
    config, changes = present, []
    for key, fields in value.items():
        if key not in SECTIONS:
            raise invalid("config", f"{key!r} is no section; they are {', '.join(SECTIONS)}")
        old = getattr(config, key)
        new = parse(key, merge(old, fields))
        config = msgspec.structs.replace(config, **{key: new})
        changes += [_change(key, change) for change in diff(old, new)]
    return config, tuple(changes)


def _change(key: str, change: FieldChange) -> Change:
    return Change(key, change.field, change.old, change.new)


def simulate(
    config: Config,
    population: tuple[Cohort, ...],
    settings: Settings,
    on_tick: Callable[[int, int], None] = lambda _tick, _last: None,
) -> Result:
    """Live one marketplace to its end; `on_tick` is told each tick and the last possible one."""
    simulation = Simulation(config, population, settings)
    while simulation.step():
        on_tick(simulation.tick, simulation.last_tick)
    return measure(simulation)


def study(
    present: Config,
    proposed: Config | None,
    changes: tuple[Change, ...],
    population: tuple[Cohort, ...],
    settings: Settings,
) -> tuple[Study, float]:
    """Simulate one or two configurations under a progress bar; also the seconds that it took."""
    began = time.perf_counter()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def one(config: Config, name: str) -> Result:
            bar = progress.add_task(name)
            result = simulate(
                config,
                population,
                settings,
                lambda tick, last: progress.update(bar, completed=tick, total=last),
            )
            progress.update(bar, total=1, completed=1)
            return result

        result = one(present, "present configuration")
        other = None if proposed is None else one(proposed, "proposed configuration")
    found = Study(population=population, present=result, proposed=other, changes=changes)
    return found, time.perf_counter() - began


def write(folder: Path, study: Study, html: str) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "report.html", folder / "report.json"
    page.write_text(html, encoding="utf-8")
    data.write_bytes(msgspec.json.format(msgspec.json.encode(study), indent=1) + b"\n")
    return page, data
