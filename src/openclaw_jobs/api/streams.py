"""`GET /api/events` and `GET /api/task/{id}/events`: what happens, as it happens."""

from typing import Annotated, Any, Final

from litestar import Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.db import Database
from openclaw_jobs.events import Bus, parse_last_event_id, read_after, stream
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.sse import EventStream
from openclaw_jobs.tasks import TERMINAL, store

__all__ = ["streams_router"]

_NO_CONTENT: Final = 204
MAX_STREAMS: Final = 1000
"""The most streams of one buyer that a process keeps open."""

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        description="The `id` of the last event that you have; the stream goes on after it.",
    ),
]


def streams_router(db: Database, bus: Bus) -> Router:
    """The routes, over the events in `db` of which `bus` tells."""

    @get(
        "/api/events",
        opt=route_options(auth="buyer", rate="stream"),
        operation_id="followEvents",
        summary="All your events",
        tags=["Buyer"],
        security=[{"buyer": []}],
        responses={200: _spec(), **problem_responses("validation_failed")},
    )
    async def follow_buyer(request: ApiRequest, last_event_id: LastEventId = None) -> ASGIApp:
        """Server-Sent Events of all your tasks and your balance.

        Begins with what happens from now on, or after `Last-Event-ID`. Ends when the server
        restarts: come back with the last `id`.
        """
        after = parse_last_event_id(last_event_id)
        buyer_id = request.buyer_id
        # A session is looked at only where there is no API key.
        browser = request.visit.session is not None
        return _counted(request, EventStream(stream(db, bus, buyer_id, after, browser=browser)))

    @get(
        "/api/task/{task_id:str}/events",
        opt=route_options(auth="buyer", rate="stream"),
        operation_id="followTask",
        summary="One task's events",
        tags=["Buyer"],
        security=[{"buyer": []}],
        responses={
            200: _spec(),
            204: ResponseSpec(None, description="The task has ended and you have all of it."),
            **problem_responses("validation_failed", "not_found"),
        },
    )
    async def follow_task(
        request: ApiRequest, task_id: FromPath[str], last_event_id: LastEventId = None
    ) -> ASGIApp:
        """Server-Sent Events of one task: those so far, then each as it happens.

        Ends after the task has. A client that comes back then with the last `id` is answered with
        204, which tells an EventSource to stop.
        """
        buyer_id = request.buyer_id
        after = parse_last_event_id(last_event_id)
        ended = await _has_ended(db, buyer_id, task_id)
        if ended and after is not None and not await _has_more(db, buyer_id, after, task_id):
            return ASGIResponse(status_code=_NO_CONTENT)
        chunks = stream(db, bus, buyer_id, after, task_id, ended=ended)
        return _counted(request, EventStream(chunks))

    return Router("/", route_handlers=[follow_buyer, follow_task])


def _counted(request: ApiRequest, stream_app: ASGIApp) -> ASGIApp:
    """`stream_app`, counted among its caller's streams while it runs; over the most, a 429."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        with request.held("streams", MAX_STREAMS):
            await stream_app(scope, receive, send)

    return answer


async def _has_ended(db: Database, buyer_id: str, task_id: str) -> bool:
    """Whether a task of this buyer has ended. Raises a 404 for another's as for none."""
    status = None
    if is_id("task", task_id):
        async with db.read() as conn:
            status = await store.select_status(conn, buyer_id, task_id)
    if status is None:
        raise not_found("task")
    return status in TERMINAL


async def _has_more(db: Database, buyer_id: str, after: int, task_id: str) -> bool:
    async with db.read() as conn:
        return bool(await read_after(conn, buyer_id, after, 1, task_id))


def _spec() -> ResponseSpec:
    return ResponseSpec(
        str,
        generate_examples=False,
        media_type="text/event-stream",
        description="Events; `data` is JSON with `at` and what applies of `task_id`, `status`, "
        "`progress`, `price_cents`, `balance_cents`.",
    )
