"""The marketplace as `openclaw-jobs serve` runs it, with two routes more that do nothing.

A process of its own: `python -m bench.server DSN`. It prints its line when it answers.
"""

import asyncio
import dataclasses
import sys
from typing import Final

import msgspec
import uvloop
from litestar import post
from litestar.params import JSONBody

from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.server import serve_http
from openclaw_jobs.app import announce, compose, create_app, open_runtime
from openclaw_jobs.logs import configure_logging
from openclaw_jobs.settings import Settings

NOOP: Final = "/api/bench/noop"
NOOP_PUBLIC: Final = "/api/bench/noop-public"


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


async def serve(dsn: str) -> None:
    """Serve on a free port until SIGTERM."""
    settings = Settings(log_level="WARNING")
    configure_logging(level=settings.log_level, json=True)
    async with open_runtime(settings, dsn) as runtime:
        parts = compose(runtime)
        parts = dataclasses.replace(
            parts, route_handlers=[*parts.route_handlers, noop, noop_public]
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
