"""Gold tasks: an operator adds and retires them, and a scheduler may slip them in now."""

from typing import Annotated, Final

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Raw, UnsetType

from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.inject_gold import Injected, inject_now
from openclaw_jobs.market.manage_golds import add_gold, list_golds, retire_gold
from openclaw_jobs.quality.store_golds import Gold
from openclaw_jobs.tasks.models import Category, Message

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]

AcceptedAnswer = Annotated[str, Meta(max_length=65_536)]


class BenchmarkBody(Body, frozen=True, kw_only=True):
    """A text, as a buyer would post it, with every answer that is accepted."""

    prompt: Annotated[str, Meta(max_length=131_072)] | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=1000)] | None = None
    category: Category = "general"
    answers: Annotated[list[AcceptedAnswer], Meta(min_length=1, max_length=50)]


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """A gold task; one that was minted from a buyer's task names it."""

    id: str
    category: str
    prompt: str | UnsetType = UNSET
    messages: Raw | UnsetType = UNSET
    answers: list[str]
    exposures: int
    created_by: str
    buyer_id: str | None
    origin_task_id: str | None
    created_at: str
    retired_at: str | None


class BenchmarkList(msgspec.Struct, frozen=True):
    """Gold tasks, newest first."""

    benchmarks: list[Benchmark]
    next_cursor: str | None


@get(
    "/api/admin/benchmarks",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listBenchmarks",
    security=_OPERATOR,
    tags=_TAGS,
)
async def benchmarks(
    request: ApiRequest,
    live: FromQuery[bool | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
    cursor: FromQuery[str | None] = None,
) -> BenchmarkList:
    """Gold tasks, newest first; with `live` only those that may be shown, or only the others."""
    page = await list_golds(services_of(request).market, cursor, limit, live=live)
    return BenchmarkList([benchmark(gold) for gold in page.golds], page.resume_after)


@post(
    "/api/admin/benchmarks",
    status_code=201,
    opt=route_options(auth="operator", rate="admin", body_limit="task_input", replay=True),
    operation_id="addBenchmark",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("validation_failed"),
)
async def add(request: ApiRequest, data: JSONBody[BenchmarkBody]) -> Benchmark:
    """Add a gold task."""
    added = await add_gold(
        services_of(request).market,
        prompt=data.prompt,
        messages=data.messages,
        category=data.category,
        answers=data.answers,
        actor=request.operator,
        replay=request.replay(benchmark, status=201),
    )
    return benchmark(added)


@delete(
    "/api/admin/benchmarks/{gold_id:str}",
    status_code=204,
    opt=route_options(auth="operator", rate="admin"),
    operation_id="retireBenchmark",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def retire(request: ApiRequest, gold_id: FromPath[str]) -> None:
    """Show a gold task to nobody any more."""
    await retire_gold(services_of(request).market, gold_id, actor=request.operator)


@post(
    "/api/cron/benchmark-inject",
    status_code=200,
    opt=route_options(auth="operator", rate="admin"),
    operation_id="cronBenchmarkInject",
    security=_OPERATOR,
    tags=_TAGS,
)
async def inject(request: ApiRequest) -> Injected:
    """Slip gold tasks in now: at least one, if the economy allows any."""
    return await inject_now(services_of(request).market)


def benchmark(gold: Gold) -> Benchmark:
    """A gold task as it goes over the wire."""
    return Benchmark(
        id=gold.gold_id,
        category=gold.category,
        prompt=UNSET if gold.prompt is None else gold.prompt,
        messages=UNSET if gold.messages is None else Raw(gold.messages.encode()),
        answers=gold.answers,
        exposures=gold.exposures,
        created_by=gold.created_by,
        buyer_id=gold.buyer_id,
        origin_task_id=gold.origin_task_id,
        created_at=rfc3339(gold.created_at),
        retired_at=rfc3339_or_none(gold.retired_at),
    )


HANDLERS: Final = [benchmarks, add, retire, inject]
