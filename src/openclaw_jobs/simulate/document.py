"""The table of figures in a page of the documentation, between two markers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.simulate.models import Result, Settings
from openclaw_jobs.simulate.report import show, show_value
from openclaw_jobs.simulate.targets import figures

BEGIN: Final = "<!-- simulation: begin -->"
END: Final = "<!-- simulation: end -->"


def require_markers(page: Path) -> None:
    """Refuse a page that has no place for the table.

    Raises:
        Problem: `validation_failed`; there is no such page, or it lacks the markers.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    begins, ends = text.find(BEGIN), text.find(END)
    if not 0 <= begins < ends:
        raise invalid("write-docs", f"{page} has no lines '{BEGIN}' and '{END}' to write between")


def write_table(page: Path, result: Result) -> None:
    """Replace what stands between the markers of a page."""
    require_markers(page)
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n{table(result, page)}\n{END}{after}", encoding="utf-8")


def table(result: Result, page: Path) -> str:
    """The figures as Markdown, with the command that gives them."""
    return "\n".join(_lines(result, page))


def _lines(result: Result, page: Path) -> Iterator[str]:
    found = figures(result)
    yield "| figure | must reach | measured | |"
    yield "| --- | --- | --- | --- |"
    for figure in found:
        limit = show_value(figure.limit, as_share=figure.as_share)
        verdict = "reached" if figure.reached else "**missed**"
        yield f"| {figure.name} | ≤ {limit} | {show(figure)} | {verdict} |"
    yield ""
    missed = [figure.name for figure in found if not figure.reached]
    yield f"Missed: {'; '.join(missed)}." if missed else "All of them are reached."
    yield ""
    yield "| workers | number | suspended | after tasks, median | p95 | cost of checks |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for cohort in result.cohorts:
        median, p95 = cohort.stopped_after.median, cohort.stopped_after.p95
        yield (
            f"| {cohort.name} | {cohort.workers:,} | {cohort.suspended:,} "
            f"| {show_value(median, as_share=False)} | {show_value(p95, as_share=False)} "
            f"| {cohort.cost_share:.1%} |"
        )
    yield ""
    yield (
        f"{result.tasks:,} tasks, {result.hidden_tasks:,} of them hidden; "
        f"{result.checked_share:.1%} of paid results compared with another, "
        f"{result.arbitrations:,} arbitrations, {result.inconclusive:,} checks inconclusive, "
        f"{result.refused_checks:,} refused by the budget. Written by:"
    )
    yield ""
    yield "```sh"
    yield f"openclaw-jobs simulate{_options(result.settings)} --write-docs {page.as_posix()}"
    yield "```"


def _options(settings: Settings) -> str:
    """The settings as options of the command line, those of a default left out."""
    default = Settings()
    names = ("workers", "tasks", "seed", "task_seconds", "load", "founders", "miss", "false_alarm")
    chosen = [
        f" --{name.replace('_', '-')} {getattr(settings, name)}"
        for name in names
        if getattr(settings, name) != getattr(default, name)
    ]
    return "".join(chosen) + ("" if settings.budget else " --no-budget")
