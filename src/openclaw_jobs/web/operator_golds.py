"""Benchmarks: texts whose accepted answers are known; added, looked through and retired."""

from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import FieldError, Problem, invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.manage_golds import add_gold, list_golds, retire_gold
from openclaw_jobs.tasks.models import Category
from openclaw_jobs.web.operator_acts import PAGE, READ, WRITE, act, errors_of, new_key, sent
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of

_WHERE: Final = "/operator/benchmarks"
# A text may be as long as a task's.
_ADD: Final = page_options(auth="operator", rate="admin", body_limit="task_input")
_CHARS: Final = 65_536
_ANSWERS: Final = 50
_EMPTY: Final = {"prompt": "", "category": "general", "answers": ""}


@get(_WHERE, opt=READ)
async def benchmarks(request: PageRequest) -> Page:
    """Gold tasks, newest first, and the form for a new one."""
    return await _page(request)


async def _page(
    request: PageRequest, typed: dict[str, str] | None = None, problem: Problem | None = None
) -> Page:
    market = site_of(request).market
    query = request.query_params
    live, cursor = query.get("live", "yes"), query.get("cursor") or None
    if live not in {"yes", "no", ""}:
        raise invalid("live", "There is no such state.")
    if cursor is not None and not is_id("gold", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    page = await list_golds(market, cursor, PAGE, live={"yes": True, "no": False}.get(live))
    facts: dict[str, Any] = {
        "golds": page.golds,
        "more": page.resume_after,
        "cursor": cursor,
        "live": live,
        "tail": f"live={live}",
        "typed": typed or _EMPTY,
        "errors": errors_of(problem),
        "categories": sorted(
            {c for c in market.config.pricing.base_cents if c != "default"} | {"general"}
        ),
        "once": new_key,
    }
    return render(
        request,
        "operator/benchmarks.html",
        title="Benchmarks",
        status=200 if problem is None else problem.status,
        **facts,
    )


@post(_WHERE, opt=_ADD, status_code=303)
async def add(request: PageRequest) -> Page:
    """Add a gold task: its text, and every answer that is accepted, one a line."""
    market = site_of(request).market
    fields = await sent(request, "prompt", "category", "answers", max_chars=_CHARS)
    answers = [line.strip() for line in fields["answers"].splitlines() if line.strip()]
    wrong = _faults(fields, answers)
    if wrong:
        refused = Problem("validation_failed", "The form does not fit.", errors=wrong)
        return await _page(request, fields, refused)
    return await act(
        request,
        _WHERE,
        fields,
        lambda actor, replay: add_gold(
            market,
            prompt=fields["prompt"],
            messages=None,
            category=fields["category"],
            answers=answers,
            actor=actor,
            replay=replay,
        ),
        lambda gold: f"Added to {gold.category}. Workers will meet it among other tasks.",
    )


def _faults(fields: dict[str, str], answers: list[str]) -> list[FieldError]:
    faults: list[FieldError] = []
    if not fields["prompt"]:
        faults.append(FieldError(field="prompt", message="Write what is asked."))
    try:
        msgspec.convert(fields["category"], Category)
    except msgspec.ValidationError:
        faults.append(FieldError(field="category", message="This is no category's name."))
    if not 1 <= len(answers) <= _ANSWERS:
        message = f"Write 1 to {_ANSWERS} accepted answers, one a line."
        faults.append(FieldError(field="answers", message=message))
    return faults


@post("/operator/benchmarks/{gold_id:str}/retire", opt=WRITE, status_code=303)
async def retire(request: PageRequest, gold_id: FromPath[str]) -> Page:
    """Show a gold task to nobody any more."""
    market = site_of(request).market
    fields = await sent(request)
    return await act(
        request,
        _WHERE,
        fields,
        lambda actor, replay: retire_gold(market, gold_id, actor=actor, replay=replay),
        lambda _: "Retired: nobody is shown it any more.",
    )


HANDLERS: Final = [benchmarks, add, retire]
