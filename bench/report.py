"""Figures, and the table they are shown in."""

import statistics
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        group: Which part of the benchmark it is of.
        name: What was measured.
        value: The best of the runs.
        unit: Of `value` and `runs`.
        runs: What each run gave.
        limit: The name of the figure that bounds this one.
        aim: What it should be: at least, or with `aim_at_most` at most.
        aim_at_most: Whether less is better.
        aim_share: The least share of `limit`'s value that it should be.
        note: What else a reader must know.
    """

    group: str
    name: str
    value: float
    unit: str
    runs: tuple[float, ...] = ()
    limit: str | None = None
    aim: float | None = None
    aim_at_most: bool = False
    aim_share: float | None = None
    note: str = ""


def best(
    group: str,
    name: str,
    runs: Sequence[float],
    unit: str,
    *,
    limit: str | None = None,
    aim: float | None = None,
    aim_at_most: bool = False,
    aim_share: float | None = None,
    note: str = "",
) -> Figure:
    """The figure of several runs; the machine is shared, so the best is nearest the truth."""
    return Figure(
        group=group,
        name=name,
        value=min(runs) if aim_at_most else max(runs),
        unit=unit,
        runs=tuple(runs),
        limit=limit,
        aim=aim,
        aim_at_most=aim_at_most,
        aim_share=aim_share,
        note=note,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the one table."""
    by_name = {figure.name: figure for figure in figures}
    table = Table(title="OpenClaw.jobs on this machine, in one run")
    table.add_column("")
    table.add_column("figure")
    for heading in ("best", "runs", "of its limit", "aim"):
        table.add_column(heading, justify="right")
    table.add_column("note", overflow="fold")
    group = None
    for figure in figures:
        if group not in {None, figure.group}:
            table.add_section()
        bound = by_name.get(figure.limit or "")
        share = figure.value / bound.value if bound and bound.value else None
        table.add_row(
            figure.group if figure.group != group else "",
            figure.name,
            f"{show_number(figure.value)} {figure.unit}",
            f"{show_number(min(figure.runs))} to {show_number(max(figure.runs))}"
            if len(figure.runs) > 1
            else "",
            f"{share:.1%}" if share is not None else "",
            _aim(figure, share),
            figure.note,
        )
        group = figure.group
    console.print(table)


def _aim(figure: Figure, share: float | None) -> str:
    told: list[str] = []
    if figure.aim is not None:
        at_most = figure.aim_at_most
        met = figure.value <= figure.aim if at_most else figure.value >= figure.aim
        told.append(_verdict(f"{'≤' if at_most else '≥'} {show_number(figure.aim)}", met=met))
    if figure.aim_share is not None and share is not None:
        told.append(_verdict(f"≥ {figure.aim_share:.0%}", met=share >= figure.aim_share))
    return ", ".join(told)


def _verdict(text: str, *, met: bool) -> str:
    return f"[green]{text} ✓[/]" if met else f"[red]{text} ✗[/]"


def show_number(value: float) -> str:
    """A number with three digits, or all that stand before its point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
