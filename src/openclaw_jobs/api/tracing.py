"""The span around a request; only where tracing is on."""

from collections.abc import Awaitable
from typing import Any

from openclaw_jobs.api.middleware import UNMATCHED
from openclaw_jobs.kit.traceparent import Trace, parse
from openclaw_jobs.kit.tracing import Tracing

__all__ = ["traced"]


async def traced(
    tracing: Tracing,
    answering: Awaitable[None],
    scope: Any,  # noqa: ANN401 - ASGI
) -> None:
    """Await what answers the request of `scope`, within a span of its own."""
    method = scope["method"]
    with tracing.request(method, _parent(scope["headers"])) as span:
        try:
            await answering
        finally:
            visit = scope.get("openclaw.visit")
            route = scope.get("path_template") or UNMATCHED
            span.ended(method, route, None if visit is None else visit.status)


def _parent(headers: list[tuple[bytes, bytes]]) -> Trace | None:
    named = [value for name, value in headers if name == b"traceparent"]
    # Of two, none is the caller's.
    return parse(named[0].decode("latin-1")) if len(named) == 1 else None
