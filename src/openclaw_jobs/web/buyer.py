"""A buyer's dashboard, task history, and one task with its result."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, cast, get_args
from urllib.parse import urlencode

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from openclaw_jobs.economy.rules import credit_window
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.cancel_task import cancel_task
from openclaw_jobs.market.credit_task import credit_task
from openclaw_jobs.market.look_at_texts import result_warnings
from openclaw_jobs.market.models_spending import TaskLine
from openclaw_jobs.market.open_deposit import list_deposits
from openclaw_jobs.market.read_spending import DAYS, all_lines, list_lines, read_spending
from openclaw_jobs.market.read_tasks import get_balance, get_task, queue_place
from openclaw_jobs.tasks import TERMINAL, Message, TaskStatus, TaskView
from openclaw_jobs.web.filters import money
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.landing import feed_of
from openclaw_jobs.web.pages import Page, PageRequest, buyer_of, redirect, render, site_of
from openclaw_jobs.web.rendered import prepare
from openclaw_jobs.web.warnings import warnings_in_words

_READ: Final = page_options(auth="buyer")
_WRITE: Final = page_options(auth="buyer", rate="buyer_write")
_LATEST: Final = 6
_PAGE: Final = 25
_STATUSES: Final[tuple[str, ...]] = get_args(TaskStatus)
_REASON_CHARS: Final = 2000


@get("/dashboard", opt=_READ)
async def dashboard(request: PageRequest) -> Page:
    """What there is, what is held, what was spent."""
    market, buyer_id = site_of(request).market, buyer_of(request)
    balance = await get_balance(market, buyer_id)
    spending = await read_spending(market, buyer_id)
    tasks = await list_lines(market, buyer_id, limit=_LATEST)
    deposits = await list_deposits(market, buyer_id, None, _LATEST)
    return render(
        request,
        "buyer/dashboard.html",
        title="Dashboard",
        balance=balance,
        spending=spending,
        spent_cents=sum(day.cents for day in spending.days),
        points=[(f"{day.day.day} {day.day:%b}", day.cents) for day in spending.days],
        days=DAYS,
        tasks=tasks.lines,
        deposits=deposits.deposits,
        **await feed_of(request),
    )


class _Filters(msgspec.Struct, frozen=True):
    status: TaskStatus | None
    category: str | None
    since: datetime | None

    def query(self) -> str:
        """As they stand in an address."""
        since = "" if self.since is None else self.since.date().isoformat()
        parts = {"status": self.status, "category": self.category, "from": since}
        return urlencode({name: value for name, value in parts.items() if value})


def _filters(request: PageRequest) -> _Filters:
    """What a list is narrowed to.

    Raises:
        Problem: `validation_failed`.
    """
    query = request.query_params
    status, category = query.get("status") or None, query.get("category") or None
    since = query.get("from") or None
    if status is not None and status not in _STATUSES:
        raise invalid("status", "There is no such status.")
    try:
        day = None if since is None else datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise invalid("from", "Write the day as 2026-01-31.") from None
    return _Filters(cast("TaskStatus | None", status), category, day)


@get("/tasks", opt=_READ)
async def tasks(request: PageRequest, cursor: FromQuery[str | None] = None) -> Page:
    """The history of tasks, narrowed by status, category and day."""
    market, buyer_id = site_of(request).market, buyer_of(request)
    filters = _filters(request)
    page = await list_lines(
        market,
        buyer_id,
        before=cursor,
        since=filters.since,
        status=filters.status,
        category=filters.category,
        limit=_PAGE,
    )
    known = {c for c in market.config.pricing.base_cents if c != "default"} | {"general"}
    return render(
        request,
        "buyer/tasks.html",
        title="Tasks",
        tasks=page.lines,
        more=page.resume_after,
        cursor=cursor,
        filters=filters,
        since="" if filters.since is None else filters.since.date().isoformat(),
        tail=filters.query(),
        statuses=_STATUSES,
        categories=sorted(known | ({filters.category} if filters.category else set())),
    )


_COLUMNS: Final = (
    "id",
    "created_at",
    "status",
    "category",
    "price_usd",
    "credited_usd",
    "rating",
    "claimed_at",
    "completed_at",
    "asked",
)


@get("/tasks.csv", opt=_READ)
async def tasks_csv(request: PageRequest) -> Stream:
    """The same as a table for a spreadsheet, all pages of it."""
    filters = _filters(request)
    lines = all_lines(
        site_of(request).market,
        buyer_of(request),
        since=filters.since,
        status=filters.status,
        category=filters.category,
    )
    return Stream(
        _csv(lines),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="tasks.csv"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _csv(lines: AsyncIterator[TaskLine]) -> AsyncIterator[str]:
    yield _row(_COLUMNS)
    async for line in lines:
        yield _row(
            (
                line.task_id,
                rfc3339(line.created_at),
                line.status,
                line.category,
                f"{line.price_cents / 100:.2f}",
                f"{line.credited_cents / 100:.2f}",
                line.rating or "",
                rfc3339_or_none(line.claimed_at) or "",
                rfc3339_or_none(line.completed_at) or "",
                _harmless(line.asked),
            )
        )


def _row(values: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue()


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


@get("/tasks/{task_id:str}", opt=_READ)
async def task(request: PageRequest, task_id: FromPath[str]) -> Page:
    """One task: what was asked, what came of it, what it cost."""
    market = site_of(request).market
    view = await get_task(market, buyer_of(request), task_id, 0)
    asked = _asked(view)
    await prepare([view.result, *(message.content for message in asked)])
    now = market.clock.now()
    window = credit_window(market.config.quality)
    return render(
        request,
        "buyer/task.html",
        title="Task",
        task=view,
        asked=asked,
        warnings=warnings_in_words(result_warnings(market, view.result)),
        place=await queue_place(market, view),
        over=view.status in TERMINAL,
        creditable=view.status == "completed"
        and view.completed_at is not None
        and now <= view.completed_at + window,
        credit_until=None if view.completed_at is None else view.completed_at + window,
    )


def _asked(view: TaskView) -> list[Message]:
    if view.messages is not None:
        return msgspec.json.decode(view.messages, type=list[Message])
    return [] if view.prompt is None else [Message("user", view.prompt)]


@post("/tasks/{task_id:str}/cancel", opt=_WRITE, status_code=303)
async def cancel(request: PageRequest, task_id: FromPath[str]) -> Page:
    """Take a task out of the queue, its price back."""
    market, buyer_id = site_of(request).market, buyer_of(request)
    where = f"/tasks/{task_id}"
    try:
        await cancel_task(market, buyer_id, task_id, None)
    except Problem as problem:
        if problem.code != "not_cancellable":
            raise
        return redirect(request, where, flash=("error", problem.detail))
    view = await get_task(market, buyer_id, task_id, 0)
    told = f"Cancelled. {money(view.price_cents)} came back to your balance."
    return redirect(request, where, flash=("success", told))


@post("/tasks/{task_id:str}/credit", opt=_WRITE, status_code=303)
async def credit(request: PageRequest, task_id: FromPath[str]) -> Page:
    """Ask the price of a bad result back."""
    fields = await form(request, "reason", max_chars=_REASON_CHARS)
    where = f"/tasks/{task_id}"
    try:
        outcome = await credit_task(
            site_of(request).market, buyer_of(request), task_id, fields["reason"] or None, None
        )
    except Problem as problem:
        if problem.code not in {"already_credited", "not_creditable"}:
            raise
        return redirect(request, where, flash=("error", problem.detail))
    told = (
        f"{money(outcome.credited_cents)} came back to your balance."
        if outcome.credited
        else "You have asked for many credits, so this result is looked at first."
        " You will see here what came of it."
    )
    return redirect(request, where, flash=("success" if outcome.credited else "info", told))


HANDLERS: Final = [dashboard, tasks, tasks_csv, task, cancel, credit]
