"""The report of a simulation as one HTML page that needs nothing else."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.simulate.models import CohortResult, Result, Spread
from openclaw_jobs.simulate.plots import Line, chart
from openclaw_jobs.simulate.run import Study
from openclaw_jobs.simulate.targets import Figure, figures

_STYLE: Final = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:1000px;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;display:block;overflow-x:auto;margin:1rem 0}
th,td{padding:.25rem .7rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
svg{max-width:640px;width:100%;height:auto;font-size:11px;fill:currentColor}
.grid{stroke:#8884}.up{transform:rotate(-90deg);text-anchor:middle}.missed{color:#dc2626;font-weight:600}
"""

Cell = str


def render(study: Study) -> str:
    """The whole page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>OpenClaw.jobs simulation</title><style>{_STYLE}</style>",
        "<h1>Simulation of the marketplace</h1>",
        _introduction(study),
        _changes(study),
        "<h2>Figures to reach</h2>",
        _targets(study),
        "<h2>The marketplace</h2>",
        _totals(study),
        "<h2>Workers by behaviour</h2>",
        *_each(study, _cohorts),
        "<h2>Income by tier</h2>",
        *_each(study, _tiers),
        "<h2>Over time</h2>",
        *_charts(study),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def results(study: Study) -> list[tuple[str, Result]]:
    """The results with their names: one, or the present and the proposed."""
    if study.proposed is None:
        return [("present", study.present)]
    return [("present", study.present), ("proposed", study.proposed)]


def show(figure: Figure) -> str:
    """A figure as text: a percentage, a number of tasks, or that there was nothing to count."""
    return show_value(figure.value, as_share=figure.as_share)


def show_value(value: float | None, *, as_share: bool) -> str:
    """A share as a percentage, a number of tasks as it is, None as n/a."""
    if value is None:
        return "n/a"
    return f"{value:.2%}" if as_share else f"{value:,.0f}"


def _introduction(study: Study) -> str:
    settings = study.present.settings
    return (
        f"<p>{settings.workers:,} workers, up to {settings.tasks:,} tasks each, seed "
        f"{settings.seed}. A usual task takes {settings.task_seconds:,} seconds. Comparisons miss "
        f"{settings.miss:.0%} of bad results and blame {settings.false_alarm:.0%} of good ones, "
        "after arbitration.</p>"
    )


def _changes(study: Study) -> str:
    if study.proposed is None:
        return ""
    rows = [[f"{c.key}.{c.field}", f"{c.old}", f"{c.new}"] for c in study.changes]
    return "<h2>What is proposed</h2>" + _table(["field", "present", "proposed"], rows)


def _targets(study: Study) -> str:
    columns = [figures(result) for _, result in results(study)]
    rows = []
    for line in zip(*columns, strict=True):
        limit = show_value(line[0].limit, as_share=line[0].as_share)
        rows.append([line[0].name, f"≤ {limit}", *(_judged(f) for f in line)])
    return _table(["figure", "must reach", *(name for name, _ in results(study))], rows, raw=True)


def _judged(figure: Figure) -> str:
    text = escape(show(figure))
    return text if figure.reached else f"<span class=missed>{text} (missed)</span>"


_TOTALS: Final[tuple[tuple[str, Callable[[Result], str]], ...]] = (
    ("tasks", lambda r: f"{r.tasks:,}"),
    ("of them hidden", lambda r: f"{r.hidden_tasks:,}"),
    ("shadows", lambda r: f"{r.shadows:,}"),
    ("spot-checks", lambda r: f"{r.spot_checks:,}"),
    ("benchmarks", lambda r: f"{r.benchmarks:,}"),
    ("arbitrations", lambda r: f"{r.arbitrations:,}"),
    ("inconclusive", lambda r: f"{r.inconclusive:,}"),
    ("checks refused by the budget", lambda r: f"{r.refused_checks:,}"),
    ("paid work", lambda r: format_cents(r.paid_cents)),
    ("cost of checks", lambda r: format_cents(r.check_cents)),
    ("cost of checks, share", lambda r: f"{r.cost_share:.2%}"),
    ("commission", lambda r: format_cents(r.commission_cents)),
    ("credited to buyers", lambda r: format_cents(r.credited_cents)),
    ("platform profit", lambda r: format_cents(r.profit_cents)),
    ("paid results checked", lambda r: f"{r.checked_share:.2%}"),
    ("bad results among the delivered", lambda r: f"{r.bad_delivered_share:.2%}"),
    ("wait in the queue, median", lambda r: _seconds(r.wait_seconds.median)),
    ("wait in the queue, 95th percentile", lambda r: _seconds(r.wait_seconds.p95)),
)


def _totals(study: Study) -> str:
    columns = results(study)
    rows = [[name, *(of(result) for _, result in columns)] for name, of in _TOTALS]
    return _table(["", *(name for name, _ in columns)], rows)


def _each(study: Study, part: Callable[[Result], str]) -> Iterator[str]:
    columns = results(study)
    for name, result in columns:
        if len(columns) > 1:
            yield f"<h3>{name.capitalize()} configuration</h3>"
        yield part(result)


def _cohorts(result: Result) -> str:
    header = ["cohort", "workers", "tasks", "suspended", "per 1,000 tasks", "after, median"]
    header += ["p95", "cost of checks", "income a task", "bronze/silver/gold/platinum"]
    return _table(header, [_cohort(cohort) for cohort in result.cohorts])


def _cohort(cohort: CohortResult) -> list[Cell]:
    stopped: Spread = cohort.stopped_after
    return [
        cohort.name,
        f"{cohort.workers:,}",
        f"{cohort.tasks:,}",
        f"{cohort.suspended:,}",
        f"{cohort.suspended_per_1000_tasks:.2%}" if cohort.honest else "",
        show_value(stopped.median, as_share=False),
        show_value(stopped.p95, as_share=False),
        f"{cohort.cost_share:.1%}",
        f"{cohort.earned_per_task_cents:.2f} ¢",
        " / ".join(f"{count:,}" for count in cohort.tiers.values()),
    ]


def _tiers(result: Result) -> str:
    header = ["tier", "workers at the end", "tasks", "income", "a task", "wait, median", "p95"]
    rows = [
        [
            tier.tier,
            f"{tier.workers_at_end:,}",
            f"{tier.tasks:,}",
            format_cents(tier.earned_cents),
            f"{tier.earned_per_task_cents:.2f} ¢",
            _seconds(tier.wait_seconds.median),
            _seconds(tier.wait_seconds.p95),
        ]
        for tier in result.tiers
    ]
    return _table(header, rows)


def _charts(study: Study) -> Iterator[str]:
    yield "<h3>How soon bad workers are stopped</h3>"
    yield chart("stopped workers", "tasks done", "% of the suspended", list(_detection(study)))
    yield "<h3>Cost of checks</h3>"
    yield chart("cost", "day", "% of paid work so far", _over_days(study, _cost_so_far, "checks"))
    yield "<h3>Platform profit</h3>"
    yield chart("profit", "day", "US$", _over_days(study, _profit, "profit"))
    yield "<h3>Who is there</h3>"
    present = _over_days(study, lambda r: [float(d.present) for d in r.days], "workers")
    bad = _over_days(study, lambda r: [float(d.bad_present) for d in r.days], "dishonest", 1)
    yield chart("workers", "day", "workers", [*present, *bad])
    yield "<h3>Queue</h3>"
    queued = _over_days(study, lambda r: [float(d.queued) for d in r.days], "waiting")
    yield chart("queue", "day", "tasks waiting", queued)


def _detection(study: Study) -> Iterator[Line]:
    honest = {cohort.name for cohort in study.population if cohort.honest}
    for run, (label, result) in enumerate(results(study)):
        stopped = ((name, after) for name, after in result.stopped.items() if name not in honest)
        for colour, (name, after) in enumerate(stopped):
            shares = [100 * (n + 1) / len(after) for n in range(len(after))]
            title = f"{name} ({label})" if study.proposed is not None else name
            yield Line(title, [float(a) for a in after], shares, colour, dashed=run == 1)


def _over_days(
    study: Study, of: Callable[[Result], list[float]], name: str, colour: int = 0
) -> list[Line]:
    return [
        Line(f"{name}, {label}", [d.day for d in result.days], of(result), colour, dashed=run == 1)
        for run, (label, result) in enumerate(results(study))
    ]


def _cost_so_far(result: Result) -> list[float]:
    return [100 * d.check_cents / d.paid_cents if d.paid_cents else 0.0 for d in result.days]


def _profit(result: Result) -> list[float]:
    return [d.profit_cents / 100 for d in result.days]


def _seconds(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.0f} s"


def _table(header: Sequence[Cell], rows: Sequence[Sequence[Cell]], *, raw: bool = False) -> str:
    """A table; with `raw` the cells are markup already."""
    clean = (lambda text: text) if raw else escape
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{clean(c)}</td>' for c in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
