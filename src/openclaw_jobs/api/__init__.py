"""The JSON door: the framework that every route under `/api` stands on.

A handler declares what it needs and finds it done when it runs. Routes are made by a function
that takes what they work with (no dependency injection: it costs as much as the route)::

    from litestar import post
    from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
    from openclaw_jobs.api.openapi import problem_responses
    from openclaw_jobs.api.guards import route_options
    from openclaw_jobs.api.request import ApiRequest


    class CreditBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        reason: str | None = None


    def buyer_routes(market: Market) -> list[HTTPRouteHandler]:
        @post(
            "/api/task/{task_id:str}/credit",
            status_code=200,
            opt=route_options(auth="buyer", rate="buyer_write", replay=True),
            operation_id="creditTask",
            security=[{"buyer": []}],
            responses=problem_responses("not_found", "already_credited", "not_creditable"),
        )
        async def credit(
            request: ApiRequest, task_id: FromPath[str], data: JSONBody[CreditBody]
        ) -> CreditAnswer:
            credited = await credit_task(
                market, request.buyer_id, task_id, data.reason, request.replay(CreditAnswer.of)
            )
            return CreditAnswer.of(credited)

        return [credit]

What has happened before it runs, in this order: Content-Length against the route's limit (413),
`auth_failures` of the address (429), authentication (401/403), the rate limit (429), the form of
`Idempotency-Key` (400), the body: read up to the limit (413), its type (415), decoded strictly
into the annotated struct (400/422). A handler without `data` takes no body (or `{}`), unless it
says `raw_body=True` and reads `await request.body()` itself. A body that may be absent is simply
one whose fields all have defaults.

On `request`: `buyer_id`, `worker` (a `WorkerIdentity`), `operator` (a name), `request_id`,
`replay(render, status=201)` (a `market.unit.Replay`, or None without a key), `visit.address`;
`await request.count()` counts a call of a route with `counted_by="handler"`;
`await request.until_hung_up()` returns when the client has gone (call it only after the body was
read; it is how a parked poll notices).

To refuse, raise `kit.errors.Problem`. To repeat a stored answer, raise `kit.idempotency.Replayed`.
Query values: `wait: Annotated[int, QueryParameter(ge=0, le=60)] = 0`, or
`FromQuery[str | None] = None`; a bad one is a 422 and an unknown one is ignored. Answers are
msgspec structs; annotate the return type, it is what `/api/openapi.json` shows.
"""

from openclaw_jobs.api.addresses import AddressBook
from openclaw_jobs.api.application import Application, build_application
from openclaw_jobs.api.guards import (
    Authenticator,
    BuyerIdentity,
    FrontDoor,
    OperatorIdentity,
    route_options,
)
from openclaw_jobs.api.limits import RateLimiter
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest

__all__ = [
    "AddressBook",
    "ApiRequest",
    "Application",
    "Authenticator",
    "BuyerIdentity",
    "FrontDoor",
    "OperatorIdentity",
    "RateLimiter",
    "build_application",
    "problem_responses",
    "route_options",
]
