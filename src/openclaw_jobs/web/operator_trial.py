"""What a change of the configuration would do, by simulation, before it is saved."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final, Literal

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response import Stream

from openclaw_jobs.economy import Config
from openclaw_jobs.economy.rules import merge, parse
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.market.change_config import get_config
from openclaw_jobs.simulate.models import Result
from openclaw_jobs.simulate.targets import figures
from openclaw_jobs.simulate.trial import Finished, Progress, run_trial
from openclaw_jobs.web.filters import money
from openclaw_jobs.web.operator_config import TRIED, WRITE, proposal, review_page
from openclaw_jobs.web.pages import Page, PageRequest, site_of
from openclaw_jobs.web.site import Site

_LINES: Final = "application/x-ndjson"
_NONE: Final = "none"
_BUSY: Final = "A simulation is running on this server already; try again in a moment."

Turn = Literal["", "better", "worse"]


class Row(msgspec.Struct, frozen=True):
    """A figure, present and proposed, and whether the change is one for the better."""

    name: str
    present: str
    proposed: str
    turn: Turn


class Study(msgspec.Struct, frozen=True):
    """What a comparison shows; `tiers` is what each earned for a task and how long tasks waited."""

    quality: list[Row]
    money: list[Row]
    tiers: list[Row]
    workers: int
    tasks: int


@post("/operator/config/{key:str}/trial", opt=WRITE, status_code=200)
async def trial(request: PageRequest, key: FromPath[str]) -> Page | Stream:
    """Compare by simulation; script is told how far it is, others wait for the page."""
    if key not in TRIED:
        raise not_found("simulation")
    site = site_of(request)
    value, version, _ = await proposal(request, key)
    entry = await get_config(site.market, key)
    present = site.market.config
    new = parse(key, merge(entry.value, value))
    proposed: Config = msgspec.structs.replace(present, **{key: new})
    if _LINES in request.headers.get("accept", ""):
        return Stream(
            _lines(site, present, proposed),
            media_type=_LINES,
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )
    study, trouble = None, ""
    try:
        async with aclosing(_run(site, present, proposed)) as steps:
            async for step in steps:
                if isinstance(step, Finished):
                    study = study_of(step)
    except Problem as problem:
        trouble = problem.detail
    return await review_page(request, entry, value, version, study=study, trouble=trouble)


async def _run(
    site: Site, present: Config, proposed: Config
) -> AsyncGenerator[Progress | Finished, None]:
    trying = site.office.trying
    if trying.locked():
        raise Problem("unavailable", _BUSY, headers={"Retry-After": "10"})
    async with trying, aclosing(run_trial(present, proposed)) as steps:
        async for step in steps:
            yield step


async def _lines(site: Site, present: Config, proposed: Config) -> AsyncGenerator[bytes, None]:
    """Lines of JSON: how far it is, then the findings as HTML, or what went wrong."""
    try:
        async with aclosing(_run(site, present, proposed)) as steps:
            async for step in steps:
                told: dict[str, Any]
                if isinstance(step, Progress):
                    told = {"share": round(step.share, 3)}
                else:
                    template = site.templates.get_template("operator/study.html")
                    told = {"html": template.render(study=study_of(step))}
                yield msgspec.json.encode(told) + b"\n"
    except Problem as problem:
        yield msgspec.json.encode({"trouble": problem.detail}) + b"\n"


def study_of(found: Finished) -> Study:
    """Both results side by side."""
    one, two = found.present, found.proposed
    return Study(
        quality=list(_quality(one, two)),
        money=list(_money(one, two)),
        tiers=list(_tiers(one, two)),
        workers=one.settings.workers,
        tasks=one.settings.tasks,
    )


def _quality(one: Result, two: Result) -> Iterator[Row]:
    for left, right in zip(figures(one), figures(two), strict=True):
        if left.value is None and right.value is None:
            continue
        show = _share if left.as_share else _tasks
        yield _row(left.name.capitalize(), left.value, right.value, show, more=False)
    yield _row(
        "Bad results that nobody found", one.bad_delivered_share, two.bad_delivered_share, _share
    )
    yield _row(
        "Results that were compared", one.checked_share, two.checked_share, _share, more=None
    )


def _money(one: Result, two: Result) -> Iterator[Row]:
    yield _row("Profit", one.profit_cents, two.profit_cents, _cents, more=True)
    yield _row("Commission", one.commission_cents, two.commission_cents, _cents, more=None)
    yield _row("Checks cost", one.check_cents, two.check_cents, _cents)
    yield _row("Credited to buyers", one.credited_cents, two.credited_cents, _cents)
    yield _row("Paid work", one.paid_cents, two.paid_cents, _cents, more=None)
    waits = (one.wait_seconds, two.wait_seconds)
    yield _row("Wait, median", waits[0].median, waits[1].median, _seconds)
    yield _row("Wait, 95th percentile", waits[0].p95, waits[1].p95, _seconds)


def _tiers(one: Result, two: Result) -> Iterator[Row]:
    for left, right in zip(one.tiers, two.tiers, strict=True):
        name = left.tier.capitalize()
        earned = (left.earned_per_task_cents, right.earned_per_task_cents)
        yield _row(f"{name}: earned for a task", *earned, _fine_cents, more=None)
        waits = (left.wait_seconds.median, right.wait_seconds.median)
        yield _row(f"{name}: its tasks' wait", *waits, _seconds, more=None)
        held = (left.workers_at_end, right.workers_at_end)
        yield _row(f"{name}: workers at the end", *held, _count, more=None)


def _row(
    name: str,
    present: float | None,
    proposed: float | None,
    show: Callable[[float], str],
    *,
    more: bool | None = False,
) -> Row:
    """A figure of which more is better (True), worse (False) or neither (None)."""
    turn: Turn = ""
    left = _NONE if present is None else show(present)
    right = _NONE if proposed is None else show(proposed)
    if more is not None and present is not None and proposed is not None and left != right:
        turn = "better" if (proposed > present) == more else "worse"
    return Row(name, left, right, turn)


def _share(value: float) -> str:
    return f"{value * 100:.2f} %"


def _tasks(value: float) -> str:
    return f"{value:.0f} tasks"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _seconds(value: float) -> str:
    return f"{value:,.0f} s"


def _cents(value: float) -> str:
    return money(round(value))


def _fine_cents(value: float) -> str:
    return f"{value:.2f} ¢"


HANDLERS: Final = [trial]
