"""What a worker is and wants: profile, preferences, schedule; its standing and its appeal."""

from typing import Final, TypeVar

import msgspec
from litestar import get, post

from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.market.appeal_suspension import appeal, read_standing
from openclaw_jobs.market.worker_account import ProfileChange, change_profile, get_account
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import Page, PageRequest, redirect, render, site_of, worker_of
from openclaw_jobs.web.rendered import prepare
from openclaw_jobs.workers import Preferences, PreferencesChange, Schedule
from openclaw_jobs.workers.rules import effective_standing

Checked = TypeVar("Checked", PreferencesChange, Schedule)

_HELD: Final = page_options(auth="worker")
_WRITE: Final = page_options(auth="worker", rate="worker_write", body_limit="worker_profile")
_MOST_AT_ONCE: Final = str(Preferences().max_concurrent)
_PROFILE: Final = "/worker/profile"
_SHOWN_CHARS: Final = 4_000
_STANDING: Final = "/worker/standing"
_FIELDS: Final = (
    "name",
    "model",
    "capabilities",
    "categories",
    "min_earning",
    "max_concurrent",
    "daily_limit",
    "timezone",
    "hours",
)


@get("/worker/profile", opt=_HELD)
async def profile(request: PageRequest) -> Page:
    """What the worker says of itself, and what it wants."""
    return await _page(request)


async def _page(
    request: PageRequest, *, problem: Problem | None = None, typed: dict[str, str] | None = None
) -> Page:
    site = site_of(request)
    account = await get_account(site.market, worker_of(request))
    found = account.profile
    wants, schedule = found.preferences, found.schedule
    shown = {
        "name": found.name or "",
        "model": found.model or "",
        "capabilities": ", ".join(found.capabilities),
        "categories": ", ".join(wants.categories or ()),
        "min_earning": f"{wants.min_earning_cents / 100:.2f}" if wants.min_earning_cents else "",
        "max_concurrent": str(wants.max_concurrent),
        "daily_limit": "" if wants.daily_limit is None else str(wants.daily_limit),
        "timezone": "" if schedule is None else schedule.timezone,
        "hours": ""
        if schedule is None
        else ", ".join(f"{start}-{end}" for start, end in schedule.hours),
    }
    priced = {c for c in site.market.config.pricing.base_cents if c != "default"} | {"general"}
    return render(
        request,
        "worker/profile.html",
        title="Profile",
        status=200 if problem is None else problem.status,
        shown=shown | (typed or {}),
        categories=sorted(priced),
        worker_id=found.worker_id,
        errors={} if problem is None else {e.field: e.message for e in problem.errors},
        error="" if problem is None or problem.errors else problem.detail,
    )


@post("/worker/profile", opt=_WRITE, status_code=303)
async def save(request: PageRequest) -> Page:
    """Change any of it."""
    fields = await form(request, *_FIELDS)
    try:
        await change_profile(site_of(request).market, worker_of(request), _change(fields))
    except Problem as problem:
        return await _page(request, problem=problem, typed=fields)
    return redirect(request, _PROFILE, flash=("success", "Saved; it counts from the next task on."))


def _change(fields: dict[str, str]) -> ProfileChange:
    """What a form says.

    Raises:
        Problem: `validation_failed`, naming the form's own field.
    """
    preferences = _checked(
        "categories",
        {
            "categories": _words(fields["categories"]) or None,
            "min_earning_cents": _cents(fields["min_earning"]),
            "max_concurrent": _number("max_concurrent", fields["max_concurrent"] or _MOST_AT_ONCE),
            "daily_limit": _number("daily_limit", fields["daily_limit"]),
        },
        PreferencesChange,
    )
    schedule = None
    if fields["timezone"] or fields["hours"]:
        spans = [_span(part) for part in _words(fields["hours"])]
        schedule = _checked("hours", {"timezone": fields["timezone"], "hours": spans}, Schedule)
    capabilities = _words(fields["capabilities"])
    if len(capabilities) > 50 or any(len(c) > 64 for c in capabilities):  # noqa: PLR2004 - as the API
        raise invalid("capabilities", "At most 50, of at most 64 characters each.")
    for name in ("name", "model"):
        if len(fields[name]) > 100:  # noqa: PLR2004 - as the API
            raise invalid(name, "At most 100 characters fit.")
    return ProfileChange(
        name=fields["name"] or None,
        model=fields["model"] or None,
        capabilities=capabilities,
        preferences=preferences,
        schedule=schedule,
    )


def _checked(field: str, values: dict[str, object], kind: type[Checked]) -> Checked:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        named = next((n for n in values if f"$.{n}" in str(error)), field)
        told = (
            "timezone"
            if named == "timezone"
            else {"min_earning_cents": "min_earning"}.get(named, named)
        )
        raise invalid(told, str(error).partition(" - at ")[0] + ".") from None


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(field: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 10:  # noqa: PLR2004 - a billion
        raise invalid(field, "Write a whole number.")
    return int(text)


def _cents(text: str) -> int:
    whole, _, part = text.strip().lstrip("$").partition(".")
    if not text.strip():
        return 0
    digits = whole + part
    if not digits.isascii() or not digits.isdigit() or len(part) > 2 or len(whole) > 7:  # noqa: PLR2004
        raise invalid("min_earning", "Write dollars, such as 0.25.")
    return int(whole or "0") * 100 + int(part.ljust(2, "0") or "0")


def _span(text: str) -> list[int]:
    start, _, end = text.partition("-")
    first, last = _number("hours", start.strip()), _number("hours", end.strip())
    if first is None or last is None:
        raise invalid("hours", "Write spans of hours, such as 9-17, 20-24.")
    return [first, last]


@get("/worker/standing", opt=_HELD)
async def standing(request: PageRequest) -> Page:
    """Whether the worker may work, its strikes, its tier; and if it was stopped, why."""
    site, worker_id = site_of(request), worker_of(request)
    view = await read_standing(site.market, worker_id)
    account = await get_account(site.market, worker_id)
    now = site.market.clock.now()
    found = view.profile
    await prepare([_shown(result.result) for result in view.results])
    return render(
        request,
        "worker/standing.html",
        title="Standing",
        account=account,
        standing=effective_standing(found.standing, found.suspended_until, now),
        suspension=view.suspension,
        results=[
            msgspec.structs.replace(result, result=_shown(result.result)) for result in view.results
        ],
        dispatch=site.market.config.dispatch,
    )


def _shown(text: str | None) -> str | None:
    """The beginning of a result; whoever wrote it knows the rest."""
    return text if text is None or len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


@post("/worker/appeal", opt=_WRITE, status_code=303)
async def say(request: PageRequest) -> Page:
    """Say something to a suspension, once."""
    fields = await form(request, "text")
    try:
        if not fields["text"]:
            raise invalid("text", "Say why you should be let back.")
        await appeal(site_of(request).market, worker_of(request), fields["text"], None)
    except Problem as problem:
        return redirect(request, _STANDING, flash=("error", problem.detail))
    told = "Sent. An operator reads it and answers here."
    return redirect(request, _STANDING, flash=("success", told))


HANDLERS: Final = [profile, save, standing, say]
