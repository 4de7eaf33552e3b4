"""The Litestar application under the JSON door, with everything in its place but the routes."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from litestar import Litestar, Response
from litestar.openapi.config import OpenAPIConfig
from litestar.routes import HTTPRoute

from openclaw_jobs.api.guards import FrontDoor, RouteOptions, options_of
from openclaw_jobs.api.middleware import access_log, security_headers, surround
from openclaw_jobs.api.openapi import openapi_config
from openclaw_jobs.api.problems import EXCEPTION_HANDLERS
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.tracing import traced
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.log_context import note
from openclaw_jobs.kit.tracing import OFF
from openclaw_jobs.market.unit import Replay

__all__ = ["Application", "build_application"]

# Bodies are bounded route by route, by the runtime configuration.
_NO_FIXED_BODY_LIMIT: Final = None
_NEVER_EMPTY: Final = frozenset({b"wait", b"max", b"limit", b"format", b"flagged"})
"""What is no filter in a query: it cannot be null, and so is not left out by being empty."""
_CALLERS: Final = {"wrk_": "worker_id", "byr_": "buyer_id"}

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class Application(Litestar):
    """Litestar with the front door, and with `surround` around every request.

    Attributes:
        door: What lets requests in.
        body_plans: What each route expects as its body; filled as routes are first called.
        common_headers: What every answer has, unless its route says otherwise.
        tracing: Makes a span of each request, where it is on.
        refuse_once: Stores the refusal of a body that came with an `Idempotency-Key`, and raises
            it or what that key was answered with before; None where nothing is stored.
        error_page: Renders a refusal for somebody who looks at pages; None where there are none.
    """

    def __init__(self, *, door: FrontDoor, **arguments: Any) -> None:  # noqa: ANN401 - Litestar's
        self.door = door
        self.body_plans: dict[Any, Any] = {}
        self.refuse_once: Callable[[Replay[None], Problem], Awaitable[None]] | None = None
        self.error_page: Callable[[Any, Problem], Response[Any]] | None = None
        self.tracing = OFF
        self.common_headers = security_headers(https_only=False)
        self._methods: dict[str, set[str]] = {}
        self._access_log = access_log()
        super().__init__(**arguments)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            answering = surround(
                super().__call__,
                self._access_log,
                self.door.metrics,
                self.common_headers,
                scope,
                receive,
                send,
            )
            if self.tracing.on:
                await traced(self.tracing, answering, scope)
            else:
                await answering
        else:
            await super().__call__(scope, receive, send)

    async def tell_methods(self, scope: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer OPTIONS: Litestar's own answer knows one handler's methods of a path only."""
        await self.door.enter(scope, _OPTIONS)
        if not self._methods:
            for route in self.routes:
                if isinstance(route, HTTPRoute):
                    self._methods.setdefault(route.path_format, set()).update(route.methods)
        allow = ", ".join(sorted(self._methods[scope["path_template"]]))
        headers = [(b"allow", allow.encode())]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


_OPTIONS: Final = RouteOptions(rate="api_read")


class _Entrance:
    """The front door in front of every route, page and raw ASGI handler.

    A guard of Litestar's would do the same, but it is given a copy of the handler at each call,
    which costs as much as all that the door itself does; and one layer's `before_request` hides
    another's.
    """

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - ASGI
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] == "http":
            application: Application = scope["litestar_app"]
            if scope["method"] == "OPTIONS":
                await application.tell_methods(scope, send)
                return
            options = options_of(scope["route_handler"])
            await application.door.enter(scope, options)
            _note_facts(scope)
            _refuse_nul(scope)
            if not options.page:
                _drop_empty(scope)
            request = ApiRequest(scope, receive, send)
            if options.page:
                await application.door.check_page(request)
            else:
                await request.refuse_unexpected_body()
        await self._app(scope, receive, send)


def _note_facts(scope: Any) -> None:  # noqa: ANN401 - ASGI
    """Have each line of the log say who calls, and which task the path names."""
    caller_id = scope["openclaw.visit"].caller_id
    if caller_id is not None:
        kind = _CALLERS.get(caller_id[:4])
        if kind is not None:
            note(kind, caller_id)
    task_id = scope["path_params"].get("task_id")
    if task_id is not None and is_id("task", task_id):
        note("task_id", task_id)


def _refuse_nul(scope: Any) -> None:  # noqa: ANN401 - ASGI
    """No text of ours holds a NUL, and PostgreSQL takes none."""
    if "\x00" in scope["path"]:
        raise not_found()
    if b"%00" in scope["query_string"]:
        raise Problem("validation_failed", "NUL characters are not allowed in the query.")


def _drop_empty(scope: Any) -> None:  # noqa: ANN401 - ASGI
    """In the API's queries a filter that is empty is none: `?cursor=&status=` asks for nothing."""
    query: bytes = scope["query_string"]
    if query.endswith(b"=") or b"=&" in query:
        parts = [part.partition(b"=") for part in query.split(b"&")]
        kept = [part for part in parts if part[2] or part[0] in _NEVER_EMPTY]
        scope["query_string"] = b"&".join(b"".join(part) for part in kept)


def build_application(
    door: FrontDoor,
    route_handlers: Sequence[Any],
    *,
    lifespan: Sequence[Lifespan] = (),
    openapi: OpenAPIConfig | None = None,
) -> Application:
    """An application that serves `route_handlers` behind `door`.

    Args:
        door: What lets requests in.
        route_handlers: Handlers, controllers and routers.
        lifespan: What to open at the start and close at the end, in order.
        openapi: How to describe the routes; by default as `openapi_config` says.
    """
    logging.getLogger("litestar").propagate = True
    return Application(
        door=door,
        route_handlers=list(route_handlers),
        request_class=ApiRequest,
        middleware=[_Entrance],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi or openapi_config(),
        lifespan=list(lifespan),
        logging_config=None,
        debug=False,
        request_max_body_size=_NO_FIXED_BODY_LIMIT,
    )
