"""What a buyer does with tasks."""

from contextlib import nullcontext
from typing import Annotated, Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openclaw_jobs.api import bodies, render, schemas
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.api.visit import visit_of
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.log_context import note
from openclaw_jobs.market.cancel_task import cancel_task
from openclaw_jobs.market.look_at_texts import result_warnings
from openclaw_jobs.market.post_task import Post, TaskOrder, quote_task
from openclaw_jobs.market.rate_task import rate_task
from openclaw_jobs.market.read_tasks import get_task, list_tasks, queue_place
from openclaw_jobs.tasks import TaskStatus

_BUYER: list[dict[str, list[str]]] = [{"buyer": []}]
_TAGS: Final = ["Buyer"]
MAX_HELD_READS: Final = 1000
"""The most reads of one buyer that a process holds until a task has ended."""


@post(
    "/api/task",
    status_code=201,
    opt=route_options(auth="buyer", body_limit="task_input", rate="task_submit", replay=True),
    operation_id="postTask",
    security=_BUYER,
    tags=_TAGS,
    responses=problem_responses(
        "insufficient_balance", "limit_exceeded", "payload_too_large", "suspended"
    ),
)
async def post_one(
    request: ApiRequest, data: JSONBody[bodies.TaskBody]
) -> Response[schemas.PostedTask | schemas.TaskQuote]:
    """Post a task: it is priced, paid from the balance and queued. With `dry_run` only priced."""
    services = services_of(request)
    services.networks.note(request.buyer_id, visit_of(request.scope).address)
    order = TaskOrder(
        buyer_id=request.buyer_id,
        prompt=data.prompt,
        messages=data.messages,
        category=data.category or "general",
        min_tier=data.min_tier or "bronze",
        max_price_cents=data.max_price_cents,
        conversation_id=data.conversation_id,
        metadata=data.metadata,
        trace=services.market.tracing.here(),
    )
    if data.dry_run:
        quote = await quote_task(services.market, order, request.replay(render.task_quote))
        return Response(render.task_quote(quote), status_code=200)
    replay = request.replay(render.posted_task, status=201)
    posted = await services.post(Post(order, replay))
    note("task_id", posted.task_id)
    return Response(render.posted_task(posted))


@get(
    "/api/task/{task_id:str}",
    opt=route_options(auth="buyer", rate="api_read"),
    operation_id="getTask",
    security=_BUYER,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def get_one(
    request: ApiRequest,
    task_id: FromPath[str],
    wait: Annotated[float, QueryParameter(ge=0, le=60)] = 0,
) -> schemas.Task:
    """Read a task; with `wait`, hold the answer up to so many seconds until it has ended."""
    market = services_of(request).market
    with request.held("reads", MAX_HELD_READS) if wait else nullcontext():
        view = await get_task(market, request.buyer_id, task_id, wait)
    warnings = result_warnings(market, view.result)
    return render.task(view, await queue_place(market, view), warnings)


@get(
    "/api/tasks",
    opt=route_options(auth="buyer", rate="api_read"),
    operation_id="listTasks",
    security=_BUYER,
    tags=_TAGS,
)
async def list_all(
    request: ApiRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    cursor: FromQuery[str | None] = None,
    status: FromQuery[TaskStatus | None] = None,
) -> schemas.TaskList:
    """List the buyer's tasks, newest first."""
    if cursor is not None and not is_id("task", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    page = await list_tasks(services_of(request).market, request.buyer_id, cursor, status, limit)
    return schemas.TaskList([render.task(view) for view in page.tasks], page.resume_after)


@post(
    "/api/task/{task_id:str}/cancel",
    status_code=200,
    opt=route_options(auth="buyer", rate="buyer_write", replay=True),
    operation_id="cancelTask",
    security=_BUYER,
    tags=_TAGS,
    responses=problem_responses("not_found", "not_cancellable"),
)
async def cancel(request: ApiRequest, task_id: FromPath[str]) -> schemas.Task:
    """Cancel a task while it is queued; its price is refunded."""
    view = await cancel_task(
        services_of(request).market, request.buyer_id, task_id, request.replay(render.task)
    )
    return render.task(view)


@post(
    "/api/task/{task_id:str}/rating",
    status_code=200,
    opt=route_options(auth="buyer", rate="buyer_write", replay=True),
    operation_id="rateTask",
    security=_BUYER,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def rate(
    request: ApiRequest, task_id: FromPath[str], data: JSONBody[bodies.RatingBody]
) -> schemas.Task:
    """Rate a result; moves no money."""
    view = await rate_task(
        services_of(request).market,
        request.buyer_id,
        task_id,
        data.rating,
        request.replay(render.task),
    )
    return render.task(view)


HANDLERS: Final = [post_one, get_one, list_all, cancel, rate]
