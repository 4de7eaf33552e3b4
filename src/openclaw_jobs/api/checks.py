"""What an operator sees of checks, and decides."""

from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Raw, UnsetType

from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.overrule_verdict import overrule_verdict
from openclaw_jobs.market.read_checks import get_check, list_checks
from openclaw_jobs.quality.checks import CheckKind, CheckRow, CheckStage
from openclaw_jobs.quality.record import Verdict

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]


class VerdictBody(Body, frozen=True, kw_only=True):
    """What the results are; at least one of them."""

    first: Verdict | UnsetType = UNSET
    second: Verdict | UnsetType = UNSET
    note: Annotated[str, Meta(max_length=2000)] | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One of the results that a check is about; parts are null until they are there."""

    task_id: str | None
    worker_id: str | None
    result: str | None


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: `good`, `bad`, `inconclusive`, or null of a result that there is not."""

    first: str | None
    second: str | None


class CheckEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A check: the original is `first`, its copy or the gold task `second`, the arbiter `third`."""

    id: str
    kind: str
    stage: str
    category: str
    price_cents: int
    gold_id: str | None
    prompt: str | UnsetType = UNSET
    messages: Raw | UnsetType = UNSET
    answers: list[str] | None
    first: Execution | None
    second: Execution | None
    third: Execution | None
    agree: bool | None
    similarity: float | None
    method: str | None
    engine: str | None
    why: str | None
    verdict: Verdicts | None
    reason: str | None
    evidence: dict[str, Any] | None
    decided_by: str | None
    spent_cents: int
    reserved_cents: int
    due_at: str
    created_at: str
    decided_at: str | None


class CheckList(msgspec.Struct, frozen=True):
    """Checks, newest first."""

    checks: list[CheckEntry]
    next_cursor: str | None


@get(
    "/api/admin/quality",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listChecks",
    security=_OPERATOR,
    tags=_TAGS,
)
async def checks(
    request: ApiRequest,
    stage: FromQuery[CheckStage | None] = None,
    kind: FromQuery[CheckKind | None] = None,
    worker_id: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
    cursor: FromQuery[str | None] = None,
) -> CheckList:
    """Checks with the results that they compare, newest first."""
    page = await list_checks(services_of(request).market, cursor, stage, kind, worker_id, limit)
    return CheckList([check_entry(row) for row in page.checks], page.resume_after)


@get(
    "/api/admin/quality/{check_id:str}",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="getCheck",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def check(request: ApiRequest, check_id: FromPath[str]) -> CheckEntry:
    """One check."""
    return check_entry(await get_check(services_of(request).market, check_id))


@post(
    "/api/admin/quality/{check_id:str}/verdict",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="overruleCheck",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "validation_failed", "wrong_state"),
)
async def verdict(
    request: ApiRequest, check_id: FromPath[str], data: JSONBody[VerdictBody]
) -> CheckEntry:
    """Judge the results of a check, whatever it found; the same again changes nothing."""
    sides = {"first": data.first, "second": data.second}
    verdicts = {side: said for side, said in sides.items() if isinstance(said, Verdict)}
    if not verdicts:
        raise invalid("first", "Give first, second or both.")
    changed = await overrule_verdict(
        services_of(request).market,
        check_id,
        verdicts,
        data.note,
        actor=request.operator,
        replay=request.replay(check_entry),
    )
    return check_entry(changed)


def check_entry(row: CheckRow) -> CheckEntry:
    """A check as it goes over the wire."""
    return CheckEntry(
        id=row.check_id,
        kind=row.kind,
        stage=row.stage,
        category=row.category,
        price_cents=row.price_cents,
        gold_id=row.gold_id,
        prompt=UNSET if row.prompt is None else row.prompt,
        messages=UNSET if row.messages is None else Raw(row.messages.encode()),
        answers=row.answers,
        first=_execution(row.original_task_id, row.first_worker_id, row.first_result),
        second=_execution(row.copy_task_id, row.second_worker_id, row.second_result),
        third=_execution(row.arbiter_task_id, row.third_worker_id, row.third_result),
        agree=row.agree,
        similarity=None if row.similarity is None else round(row.similarity, 4),
        method=row.method,
        engine=row.engine,
        why=row.why,
        verdict=None
        if row.first_verdict is None and row.second_verdict is None
        else Verdicts(first=row.first_verdict, second=row.second_verdict),
        reason=row.reason,
        evidence=None if row.evidence is None else msgspec.json.decode(row.evidence),
        decided_by=row.decided_by,
        spent_cents=row.spent_cents,
        reserved_cents=row.reserved_cents,
        due_at=rfc3339(row.due_at),
        created_at=rfc3339(row.created_at),
        decided_at=rfc3339_or_none(row.decided_at),
    )


def _execution(task_id: str | None, worker_id: str | None, result: str | None) -> Execution | None:
    if task_id is None:
        return None
    return Execution(task_id=task_id, worker_id=worker_id, result=result)


HANDLERS: Final = [checks, check, verdict]
