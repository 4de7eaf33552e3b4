"""The description of the API at `/api/openapi.json`."""

import copy
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ControllerRouterHandler

from openclaw_jobs import __version__
from openclaw_jobs.api.decoding import accepts_no_body, body_type
from openclaw_jobs.api.documents import PROBLEM_JSON
from openclaw_jobs.api.guards import options_of, route_options
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
    """The document, with what follows for each route from what it asks of its callers."""

    _rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document's bytes; made once, since they take a tenth of a second."""
        if self._rendered is None:
            document = copy.deepcopy(openapi_schema)
            handlers = _handlers(request.app)
            document["components"]["schemas"].update(_bodies(handlers))
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _complete(operation, method.upper(), handlers[method.upper(), path])
            self._rendered = super().render(request, document)
        return self._rendered


def _handlers(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    return {
        (method, route.path_format): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
    }


def _bodies(handlers: Mapping[tuple[str, str], HTTPRouteHandler]) -> dict[str, Any]:
    """The schemas of all bodies as they are decoded; Litestar's let unknown fields pass."""
    kinds = [body_type(handler) for handler in handlers.values()]
    _, schemas = msgspec.json.schema_components(
        [kind for kind in kinds if kind is not None], ref_template="#/components/schemas/{name}"
    )
    return dict(schemas)


def _complete(operation: dict[str, Any], method: str, handler: HTTPRouteHandler) -> None:
    """Say of a route what the doors do for it; Litestar would have its own 400."""
    responses: dict[str, Any] = operation["responses"]
    if PROBLEM_JSON not in responses.get("400", {}).get("content", {}):
        responses.pop("400", None)
    options = options_of(handler)
    codes = ["payload_too_large", "validation_failed", "rate_limited", "unavailable"]
    if operation.get("security"):
        codes += ["unauthenticated", "forbidden"]
    if any(p["in"] == "path" for p in operation.get("parameters", ())):
        codes += ["not_found"]
    if method in _UNSAFE:
        codes += ["malformed_json", "unsupported_media_type", "invalid_idempotency_key"]
    if options.replay != "ignore":
        codes += ["idempotency_conflict", "idempotency_in_progress"]
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    body = operation.get("requestBody")
    if body is not None and accepts_no_body(handler):
        body["required"] = False
    if any(p["name"] == "format" for p in operation.get("parameters", ())):
        responses["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    for code in codes:
        _add_problem(responses, code)
    # Told below the application: what is not HTTP has no route.
    _add_problem(responses, "malformed_request", 400)


_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key, route, caller and body is answered with the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
}


def _add_problem(responses: dict[str, Any], code: str, status: int | None = None) -> None:
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    response = responses.setdefault(
        str(status or STATUS_BY_CODE[code]), {"content": {PROBLEM_JSON: schema}}
    )
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
