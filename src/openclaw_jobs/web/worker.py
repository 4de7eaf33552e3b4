"""The door of a worker's pages: connect one or show its token; then what it earns and may do."""

from typing import Final

from litestar import get, post

from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.kit.visit import visit_of
from openclaw_jobs.market import people
from openclaw_jobs.market.open_accounts import connect_worker, rotate_token
from openclaw_jobs.market.worker_account import find_worker, get_account, list_earnings
from openclaw_jobs.market.worker_figures import DAYS, read_figures, why_no_work
from openclaw_jobs.web.browsers import give_session, had_session, user_agent
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.landing import feed_of
from openclaw_jobs.web.pages import (
    Page,
    PageRequest,
    redirect,
    render,
    site_of,
    viewer_of,
    worker_of,
)
from openclaw_jobs.workers import Preferences
from openclaw_jobs.workers.rules import effective_standing

_OPEN: Final = page_options(auth="public")
_HELD: Final = page_options(auth="worker")
_WRITE: Final = page_options(auth="worker", rate="worker_write")
_NAME_CHARS: Final = 100
_LATEST: Final = 8
_HOME: Final = "/worker"


@get("/worker", opt=_OPEN)
async def overview(request: PageRequest) -> Page:
    """The dashboard of the worker that this browser holds, or how to get one."""
    if viewer_of(request).worker_id is None:
        return _gate(request)
    site, worker_id = site_of(request), worker_of(request)
    account = await get_account(site.market, worker_id)
    figures = await read_figures(site.market, worker_id)
    earnings = await list_earnings(site.market, worker_id, None, _LATEST)
    profile = account.profile
    now = site.market.clock.now()
    standing = effective_standing(profile.standing, profile.suspended_until, now)
    empty = await why_no_work(site.market, worker_id)
    return render(
        request,
        "worker/overview.html",
        title="Worker",
        account=account,
        standing=standing,
        figures=figures,
        days=DAYS,
        points=[(f"{day.day.day} {day.day:%b}", day.cents) for day in figures.days],
        earnings=earnings.earnings,
        why=empty.why,
        **await feed_of(request),
    )


def _gate(request: PageRequest, problem: Problem | None = None) -> Page:
    errors = {} if problem is None else {e.field: e.message for e in problem.errors}
    return render(
        request,
        "worker/gate.html",
        title="For workers",
        description="Connect your agent to OpenClaw.jobs with one call: it takes tasks and earns.",
        status=200 if problem is None else problem.status,
        errors=errors,
        error="" if problem is None else problem.detail,
    )


@post("/worker/connect", opt=page_options(auth="public", rate="connect"), status_code=200)
async def connect(request: PageRequest) -> Page:
    """Make a worker, hold it in this browser, and show its token this once."""
    fields = await form(request, "name", "model", max_chars=_NAME_CHARS)
    site, session = site_of(request), had_session(request)
    profile, token = await connect_worker(
        site.market,
        name=fields["name"] or None,
        model=fields["model"] or None,
        capabilities=[],
        preferences=Preferences(),
        replay=None,
        address=visit_of(request.scope).address,
    )
    held = await people.hold_worker(
        site.market,
        profile.worker_id,
        hash_token(token),
        user_id=viewer_of(request).user_id,
        instead_of=session,
        user_agent=user_agent(request),
    )
    page = render(
        request,
        "worker/token.html",
        title="Your worker is connected",
        token=token,
        worker_id=profile.worker_id,
        fresh=True,
    )
    page.headers["Cache-Control"] = "private, no-store"
    return give_session(request, page, held)


@post("/worker/hold", opt=page_options(auth="public", rate="sign_in"), status_code=303)
async def hold(request: PageRequest) -> Page:
    """Show a token, and hold its worker in this browser."""
    fields = await form(request, "token", max_chars=200)
    site = site_of(request)
    token_hash = hash_token(fields["token"])
    worker_id = await find_worker(site.market, token_hash)
    if worker_id is None:
        told = "No worker has this token; it may have been rotated."
        return _gate(request, invalid("token", told))
    held = await people.hold_worker(
        site.market,
        worker_id,
        token_hash,
        user_id=viewer_of(request).user_id,
        instead_of=had_session(request),
        user_agent=user_agent(request),
    )
    return give_session(request, redirect(request, _HOME), held)


@post("/worker/disconnect", opt=_WRITE, status_code=303)
async def disconnect(request: PageRequest) -> Page:
    """Let this browser hold its worker no more; the worker itself goes on."""
    await form(request)
    session = had_session(request)
    if session is not None:
        await people.release_worker(site_of(request).market, session)
    told = "This browser holds the worker no more. The worker itself goes on."
    return redirect(request, _HOME, flash=("success", told))


@post("/worker/rotate", opt=_WRITE, status_code=200)
async def rotate(request: PageRequest) -> Page:
    """Replace the worker's token, and show the new one this once."""
    await form(request)
    site, worker_id = site_of(request), worker_of(request)
    token = await rotate_token(site.market, worker_id, None)
    held = await people.hold_worker(
        site.market,
        worker_id,
        hash_token(token),
        user_id=viewer_of(request).user_id,
        instead_of=had_session(request),
        user_agent=user_agent(request),
    )
    page = render(
        request,
        "worker/token.html",
        title="The new token",
        token=token,
        worker_id=worker_id,
        fresh=False,
    )
    page.headers["Cache-Control"] = "private, no-store"
    return give_session(request, page, held)


HANDLERS: Final = [overview, connect, hold, disconnect, rotate]
