"""What surrounds every request: its id, its security headers, and one line in the log.

Plain ASGI, outermost of all. `receive` is passed on untouched, so that whoever parks a request
sees the client hang up.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from openclaw_jobs.api.documents import PROBLEM_JSON, encode_problem
from openclaw_jobs.api.visit import CLIENT_GONE, Visit
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.log_context import begin_context
from openclaw_jobs.kit.metrics import Metrics

__all__ = ["NO_DOCUMENT", "access_log", "security_headers", "surround"]

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]
Log = structlog.typing.FilteringBoundLogger

UNMATCHED: Final = "unmatched"
"""What stands for the route of a path that has none."""

_CLIENT_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400
_TOO_LARGE: Final = 413
_QUIET_PREFIX: Final = "/api/work/"
NO_DOCUMENT: Final = (
    "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The policy of what is no page: opened as one, it runs and loads nothing, in no frame."""

_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", NO_DOCUMENT.encode()),
)
# https://www.rfc-editor.org/rfc/rfc6797#section-6.1; a year is what preload lists ask for at least.
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
# How long and how much a refused upload is still read, so that its sender gets to the answer
# instead of a reset connection.
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 4 * 1024 * 1024


def access_log() -> Log:
    """The logger for `surround`, bound once: binding at each line costs more than the line."""
    log: Log = structlog.get_logger("openclaw_jobs.access").bind()
    return log


def security_headers(*, https_only: bool) -> Headers:
    """What every answer says to browsers unless its route says otherwise.

    Args:
        https_only: Whether the site is reached over HTTPS for good.
    """
    return (*_SECURITY_HEADERS, _HSTS) if https_only else _SECURITY_HEADERS


async def surround(
    app: App,
    log: Log,
    metrics: Metrics,
    common: Headers,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Run one HTTP request of `app` with an id, `common` headers, a log line and counters."""
    visit = Visit(_request_id(scope["headers"]))
    scope["openclaw.visit"] = visit
    begin_context(request_id=visit.request_id)
    id_header = (b"x-request-id", visit.request_id.encode())
    lingering = False

    async def send_on(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        nonlocal lingering
        if visit.status == CLIENT_GONE:
            return
        kind = message["type"]
        if kind == "http.response.start":
            visit.status = message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers.extend(h for h in common if h[0] not in present)
            headers.append(id_header)
            if visit.status == _TOO_LARGE:
                lingering = True
                headers.append((b"connection", b"close"))
        elif lingering and kind == "http.response.body" and not message.get("more_body"):
            await send({**message, "more_body": True})
            await _linger(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    try:
        await app(scope, receive, send_on)
    except Exception:
        log.exception("request failed", **_facts(scope, visit))
        if visit.status is not None:
            raise
        await _send_internal_error(send_on, visit)
    finally:
        seconds = time.perf_counter() - visit.started
        route = scope.get("path_template") or UNMATCHED
        metrics.request(scope["method"], route, visit.status, seconds)
        _log_visit(log, scope, visit, seconds)


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id" and _CLIENT_REQUEST_ID.fullmatch(value):
            return value.decode()
    return new_id("req")


async def _linger(receive: Receive) -> None:
    """Read and drop the rest of a refused body, within bounds."""
    dropped = 0
    try:
        async with asyncio.timeout(_LINGER_S):
            while dropped < _LINGER_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
                dropped += len(message.get("body", b""))
    except TimeoutError:
        return


async def _send_internal_error(send: Send, visit: Visit) -> None:
    problem = Problem("internal_error", "Something went wrong on our side; it has been logged.")
    body = encode_problem(problem, visit.request_id)
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _facts(scope: Scope, visit: Visit) -> dict[str, Any]:
    return {
        "method": scope["method"],
        # The template: a raw path may hold anything.
        "route": scope.get("path_template") or UNMATCHED,
        "request_id": visit.request_id,
        "caller": visit.caller_id,
    }


def _log_visit(log: Log, scope: Scope, visit: Visit, seconds: float) -> None:
    status = visit.status
    route = scope.get("path_template") or ""
    write = log.info
    if status is not None and status < _CLIENT_ERROR and route.startswith(_QUIET_PREFIX):
        if not log.is_enabled_for(logging.DEBUG):
            return
        write = log.debug
    elif status is not None and status >= _SERVER_ERROR:
        write = log.warning
    write("request", **_facts(scope, visit), status=status, duration_ms=round(seconds * 1000, 2))
