"""The marketplace as `openclaw-jobs serve` runs it, with three routes more that do nothing.

A process of its own: `python -m bench.server DSN`. It prints its line when it answers.
"""

import asyncio
import dataclasses
import secrets
import sys
from typing import Final

import jinja2
import msgspec
import uvloop
from litestar import get, post
from litestar.params import JSONBody

from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.server import serve_http
from openclaw_jobs.app import announce, compose, create_app, open_runtime
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.logs import configure_logging
from openclaw_jobs.settings import Settings
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of

NOOP: Final = "/api/bench/noop"
NOOP_PUBLIC: Final = "/api/bench/noop-public"
BARE_PAGE: Final = "/bench/bare"
_SECRET: Final = secrets.token_urlsafe(32)
_BARE: Final = "<!doctype html><title>{{ page.title }}</title><p>{{ viewer.signed_in }}</p>"


class Nothing(msgspec.Struct, frozen=True):
    """As many members as a submission, for a fair comparison of bodies."""

    task_id: str
    lease_token: str
    status: str
    result: str


class Done(msgspec.Struct, frozen=True):
    """An answer like a receipt."""

    task_id: str
    accepted: bool
    earned_cents: int


async def _nothing(data: JSONBody[Nothing]) -> Done:
    return Done(data.task_id, accepted=True, earned_cents=0)


noop = post(NOOP, status_code=200, opt=route_options(auth="worker", rate="work_submit"))(_nothing)
noop_public = post(
    NOOP_PUBLIC, status_code=200, opt=route_options(auth="public", rate="work_submit")
)(_nothing)


@get(BARE_PAGE, opt=page_options())
async def bare_page(request: PageRequest) -> Page:
    """A page of one line, with all that is done for any page."""
    site = site_of(request)
    if BARE_PAGE not in site.templates.list_templates():
        loaders = [site.templates.loader, jinja2.DictLoader({BARE_PAGE: _BARE})]
        site.templates.loader = jinja2.ChoiceLoader([one for one in loaders if one is not None])
    return render(request, BARE_PAGE, title="Bare")


async def serve(dsn: str) -> None:
    """Serve on a free port until SIGTERM."""
    # As in production, where templates and files are read once.
    settings = Settings(log_level="WARNING", environment="production", session_secret=_SECRET)
    configure_logging(level=settings.log_level, json=True)
    async with open_runtime(settings, dsn) as runtime:
        parts = compose(runtime)
        parts = dataclasses.replace(
            parts, route_handlers=[*parts.route_handlers, noop, noop_public, bare_page]
        )
        app = create_app(runtime, parts)
        stop = asyncio.Event()
        loops = [asyncio.ensure_future(loop(stop)) for loop in (*parts.web_loops, *parts.loops)]
        await serve_http(
            app,
            host="127.0.0.1",
            port=0,
            grace_s=5,
            before_stop=parts.drain,
            on_ready=announce,
        )
        stop.set()
        await asyncio.gather(*loops)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
