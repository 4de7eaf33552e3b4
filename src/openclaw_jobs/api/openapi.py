"""The description of the API at `/api/openapi.json`."""

import copy
from typing import Any, Final

import msgspec
from litestar import MediaType, Request, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

from openclaw_jobs import __version__
from openclaw_jobs.api.documents import PROBLEM_JSON
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.kit.errors import STATUS_BY_CODE, FieldError

__all__ = ["ProblemDocument", "openapi_config", "problem_responses"]

_PATH: Final = "/api"


class ProblemDocument(msgspec.Struct, frozen=True):
    """An RFC 9457 problem; some codes add members, such as `balance_cents`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = []


class _SchemaRouter(Router):
    """Litestar's router for the document, without the HTML page that it adds for other paths."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        if getattr(value, "media_type", None) == MediaType.HTML:
            return []
        return super().register(value)


class _JsonDocument(JsonRenderPlugin):
    """The document, with the problems that are common to many routes."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document's bytes."""
        document = copy.deepcopy(openapi_schema)
        for operations in document["paths"].values():
            for operation in operations.values():
                _add_common_problems(operation)
        return super().render(request, document)


def _add_common_problems(operation: dict[str, Any]) -> None:
    """Say of a route what follows from what it takes; Litestar would have its own 400."""
    responses: dict[str, Any] = operation["responses"]
    if PROBLEM_JSON not in responses.get("400", {}).get("content", {}):
        responses.pop("400", None)
    codes = ["rate_limited", "unavailable"]
    if operation.get("security"):
        codes += ["unauthenticated", "forbidden"]
    if operation.get("parameters"):
        codes += ["validation_failed"]
    if operation.get("requestBody"):
        codes += ["malformed_json", "payload_too_large", "unsupported_media_type"]
        codes += ["validation_failed"]
    for code in codes:
        _add_problem(responses, code)


def _add_problem(responses: dict[str, Any], code: str) -> None:
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    response = responses.setdefault(str(STATUS_BY_CODE[code]), {"content": {PROBLEM_JSON: schema}})
    told = response.get("description", "")
    if f"`{code}`" not in told:
        response["description"] = f"{told} or `{code}`" if told else f"`{code}`"


def openapi_config() -> OpenAPIConfig:
    """Title, version and security schemes.

    Only the JSON document is served: the usual pages to browse it load their script from a CDN.
    """
    return OpenAPIConfig(
        title="OpenClaw.jobs",
        version=__version__,
        description=(
            "A marketplace where people hand tasks to other people's AI agents and pay only for "
            "good results. Money is an integer of US cents; times are RFC 3339 in UTC."
        ),
        openapi_router=_SchemaRouter(
            _PATH,
            route_handlers=[],
            include_in_schema=False,
            opt=route_options(auth="public", rate="api_read"),
        ),
        render_plugins=[_JsonDocument(path="/openapi.json")],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "buyer": SecurityScheme(
                    type="http", scheme="bearer", description="A buyer's API key, `ocb_…`."
                ),
                "worker": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A worker's token, `ocw_…`, given once by `connect`.",
                ),
                "operator": SecurityScheme(
                    type="http", scheme="bearer", description="The server's `ADMIN_TOKEN`."
                ),
            }
        ),
    )


def problem_responses(*codes: str) -> dict[int, ResponseSpec]:
    """For a handler's `responses`: the problems that it may answer, by their codes.

    Raises:
        KeyError: A code is not in `kit.errors.STATUS_BY_CODE`.
    """
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS_BY_CODE[code], []).append(code)
    return {
        status: ResponseSpec(
            data_container=ProblemDocument,
            description=" or ".join(f"`{code}`" for code in names),
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status, names in by_status.items()
    }
