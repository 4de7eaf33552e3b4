"""Every refusal as an RFC 9457 document, whoever raised it."""

import logging
from typing import Any, Final

from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, ValidationException

from openclaw_jobs.api.documents import PROBLEM_JSON, encode_problem, printable
from openclaw_jobs.api.replay import replayed_response
from openclaw_jobs.api.visit import CLIENT_GONE, visit_of
from openclaw_jobs.db import is_unavailable
from openclaw_jobs.kit.errors import FieldError, Problem
from openclaw_jobs.kit.idempotency import Replayed

__all__ = ["EXCEPTION_HANDLERS", "ClientGone"]

_log = logging.getLogger(__name__)
_RETRY_UNAVAILABLE_S: Final = "1"


class ClientGone(Exception):  # noqa: N818 - not an error of ours
    """The client hung up before its request was complete or answered."""


def _respond(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    error_page = request.scope["litestar_app"].error_page  # type: ignore[attr-defined]
    if error_page is not None and _wants_page(request):
        page: Response[Any] = error_page(request, problem)
        return page
    return Response(
        encode_problem(problem, visit_of(request.scope).request_id),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=problem.headers,
    )


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person's browser asks: for a page, or for an address outside the API."""
    accept = request.headers.get("accept", "")
    if "text/html" not in accept or "application/json" in accept:
        return False
    return visit_of(request.scope).page or not request.scope["path"].startswith(
        ("/api", "/metrics")
    )


def _on_problem(request: Request[Any, Any, Any], error: Problem) -> Response[Any]:
    return _respond(request, error)


def _on_replayed(_: Request[Any, Any, Any], outcome: Replayed) -> Response[bytes]:
    return replayed_response(outcome.answer)


def _on_client_gone(request: Request[Any, Any, Any], _: ClientGone) -> Response[None]:
    # `surround` sends nothing of it.
    visit_of(request.scope).status = CLIENT_GONE
    return Response(None, status_code=CLIENT_GONE)


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    return _respond(request, _from_framework(request, error))


def _on_anything(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    visit = visit_of(request.scope)
    route = request.scope.get("path_template")
    if is_unavailable(error):
        _log.warning(
            "database unavailable: %s", type(error).__name__, extra={"request_id": visit.request_id}
        )
        problem = Problem(
            "unavailable",
            "The marketplace cannot reach its database right now; try again in a moment.",
            headers={"Retry-After": _RETRY_UNAVAILABLE_S},
        )
    else:
        _log.error(
            "unexpected error in %s %s",
            request.method,
            route,
            exc_info=error,
            extra={"request_id": visit.request_id},
        )
        problem = Problem("internal_error", "Something went wrong on our side; it has been logged.")
    return _respond(request, problem)


def _from_framework(request: Request[Any, Any, Any], error: HTTPException) -> Problem:
    """What Litestar itself refuses, in our words."""
    path_known = {
        404: Problem("not_found", "There is nothing at this address."),
        413: Problem("payload_too_large", "The body is too large."),
        415: Problem("unsupported_media_type", "Send the body as application/json."),
    }
    if error.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
        allow = (error.headers or {}).get("allow", "")
        methods = ", ".join(sorted(m.strip() for m in allow.split(",") if m.strip()))
        return Problem(
            "method_not_allowed",
            f"{request.method} is not served here; {methods} is.",
            headers={"Allow": methods},
        )
    if (problem := path_known.get(error.status_code)) is not None:
        return problem
    if isinstance(error, ValidationException):
        return _from_validation(error)
    if error.status_code < 500:  # noqa: PLR2004 - a client's fault
        return Problem("validation_failed", printable(error.detail))
    _log.error("the framework failed: %s", type(error).__name__, exc_info=error)
    return Problem("internal_error", "Something went wrong on our side; it has been logged.")


def _from_validation(error: ValidationException) -> Problem:
    """Bad query, path or header values; the body is decoded elsewhere."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = [e for e in extra if isinstance(e, dict)]
    if any(e.get("source") == ParamType.PATH.value for e in found):
        return Problem("not_found", "There is nothing at this address.")
    errors = [
        FieldError(field=printable(str(e.get("key", ""))), message=printable(str(e["message"])))
        for e in found
        if "message" in e
    ]
    detail = "; ".join(f"{e.field}: {e.message}" for e in errors) or "A value does not fit."
    return Problem("validation_failed", detail, errors=errors)


EXCEPTION_HANDLERS: Final[dict[Any, Any]] = {
    Problem: _on_problem,
    Replayed: _on_replayed,
    ClientGone: _on_client_gone,
    HTTPException: _on_http_exception,
    Exception: _on_anything,
}
"""For Litestar's `exception_handlers`."""
