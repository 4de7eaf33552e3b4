"""Refusals as pages."""

from typing import Any, Final

from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.visit import visit_of
from openclaw_jobs.web.pages import Page, PageRequest, redirect, render
from openclaw_jobs.web.return_to import sign_in_url

__all__ = ["error_page"]

_UNAUTHENTICATED: Final = 401
_TITLES: Final = {
    403: "Not for you",
    404: "Nothing here",
    405: "Not like that",
    413: "Too much at once",
    422: "Something does not fit",
    429: "A little too fast",
    500: "Something went wrong",
    503: "Back in a moment",
}
_OPTION_OF_WORKERS: Final = "/worker"


def error_page(request: PageRequest, problem: Problem) -> Page:
    """What a person sees of a refusal; who is not signed in is sent to do so and comes back.

    Templates get `problem` (`status`, `code`, `detail`, `errors`) and `request_id`.
    """
    path: str = request.scope["path"]
    if problem.status == _UNAUTHENTICATED:
        if request.method != "GET":
            return redirect(request, sign_in_url("/"), outside=True)
        if path.startswith(_OPTION_OF_WORKERS):
            return redirect(request, _OPTION_OF_WORKERS)
        query: bytes = request.scope["query_string"]
        whole = f"{path}?{query.decode('latin-1')}" if query else path
        return redirect(request, sign_in_url(whole), outside=True)
    facts: dict[str, Any] = {"problem": problem, "request_id": visit_of(request.scope).request_id}
    return render(
        request,
        "error.html",
        title=_TITLES.get(problem.status, "That did not work"),
        status=problem.status,
        headers=problem.headers,
        **facts,
    )
