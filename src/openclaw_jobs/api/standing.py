"""A worker's standing, its appeal, and an operator's answer to it."""

from typing import Annotated, Final, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.appeal_suspension import (
    StandingView,
    appeal,
    decide_appeal,
    list_appeals,
    read_standing,
)
from openclaw_jobs.market.public_quality import QualityFigures, read_quality
from openclaw_jobs.quality.standing import Appeal, Suspension
from openclaw_jobs.workers.rules import effective_standing

_WORKER: list[dict[str, list[str]]] = [{"worker": []}]
_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Worker"]
_OPERATOR_TAGS: Final = ["Operator"]

Words = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"\S")]


class AppealBody(Body, frozen=True, kw_only=True):
    """Why the worker should be let back."""

    text: Words


class AnswerBody(Body, frozen=True, kw_only=True):
    """What the worker is told."""

    answer: Words


class OwnResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result of the worker's own that was found wrong; null if its text was erased."""

    task_id: str
    category: str
    completed_at: str | None
    result: str | None


class AppealState(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker said, and what came of it."""

    text: str
    status: Literal["waiting", "upheld", "rejected"]
    answer: str | None
    appealed_at: str
    decided_at: str | None


class StandingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker may work, and if not, why."""

    status: str
    reason: str | None
    since: str | None
    suspended_until: str | None
    strikes: int
    results: list[OwnResult]
    may_appeal: bool
    appeal: AppealState | None


class AppealEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal as an operator sees it; `task_ids` are the results that were found bad."""

    id: str
    worker_id: str
    name: str | None
    tier: str
    good: int
    bad: int
    completed: int
    task_ids: list[str]
    suspended_at: str
    text: str
    status: str
    answer: str | None
    appealed_at: str
    decided_by: str | None
    decided_at: str | None


class AppealList(msgspec.Struct, frozen=True):
    """Appeals, and where the list goes on."""

    appeals: list[AppealEntry]
    next_cursor: str | None


def appeal_state(suspension: Suspension) -> AppealState | None:
    """The appeal of a suspension as its worker sees it."""
    if suspension.appeal is None or suspension.appealed_at is None:
        return None
    return AppealState(
        text=suspension.appeal,
        status=_status(suspension),
        answer=suspension.answer,
        appealed_at=rfc3339(suspension.appealed_at),
        decided_at=rfc3339_or_none(suspension.decided_at),
    )


def _status(suspension: Suspension) -> Literal["waiting", "upheld", "rejected"]:
    if suspension.decided_at is None:
        return "waiting"
    return "upheld" if suspension.upheld else "rejected"


def _standing(view: StandingView, request: ApiRequest) -> StandingAnswer:
    profile, suspension = view.profile, view.suspension
    now = services_of(request).market.clock.now()
    standing = effective_standing(profile.standing, profile.suspended_until, now)
    active = standing == "active"
    stopped = None if active else suspension
    return StandingAnswer(
        status=standing,
        reason=None if active else profile.suspended_reason,
        since=None if stopped is None else rfc3339(stopped.started_at),
        suspended_until=None if active else rfc3339_or_none(profile.suspended_until),
        strikes=profile.strikes,
        results=[]
        if stopped is None
        else [
            OwnResult(
                task_id=r.task_id,
                category=r.category,
                completed_at=rfc3339_or_none(r.completed_at),
                result=r.result,
            )
            for r in view.results
        ],
        may_appeal=stopped is not None
        and stopped.cause == "quality"
        and stopped.appealed_at is None,
        appeal=None if stopped is None else appeal_state(stopped),
    )


def _entry(found: Appeal) -> AppealEntry:
    suspension = found.suspension
    state = appeal_state(suspension)
    return AppealEntry(
        id=suspension.suspension_id,
        worker_id=suspension.worker_id,
        name=found.name,
        tier=found.tier,
        good=found.good,
        bad=found.bad,
        completed=suspension.completed,
        task_ids=suspension.task_ids,
        suspended_at=rfc3339(suspension.started_at),
        text="" if state is None else state.text,
        status=_status(suspension),
        answer=suspension.answer,
        appealed_at="" if state is None else state.appealed_at,
        decided_by=suspension.decided_by,
        decided_at=rfc3339_or_none(suspension.decided_at),
    )


@get(
    "/api/worker/standing",
    opt=route_options(auth="worker", rate="api_read"),
    operation_id="getStanding",
    security=_WORKER,
    tags=_TAGS,
)
async def get_standing(request: ApiRequest) -> StandingAnswer:
    """Whether this worker may work; if it was stopped, its own results that speak against it."""
    view = await read_standing(services_of(request).market, request.worker.worker_id)
    return _standing(view, request)


@post(
    "/api/worker/appeal",
    status_code=202,
    opt=route_options(auth="worker", rate="worker_write", replay=True),
    operation_id="appealSuspension",
    security=_WORKER,
    tags=_TAGS,
)
async def post_appeal(request: ApiRequest, data: JSONBody[AppealBody]) -> AppealState:
    """Say something to a suspension, once; an operator answers."""
    market = services_of(request).market
    made = await appeal(
        market, request.worker.worker_id, data.text, request.replay(_made, status=202)
    )
    return _made(made)


def _made(suspension: Suspension) -> AppealState:
    state = appeal_state(suspension)
    if state is None:
        raise LookupError("the appeal that was just written is not there")
    return state


@get(
    "/api/admin/appeals",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listAppeals",
    security=_OPERATOR,
    tags=_OPERATOR_TAGS,
)
async def get_appeals(
    request: ApiRequest,
    status: FromQuery[Literal["waiting", "decided"] | None] = "waiting",
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> AppealList:
    """Appeals that wait, oldest first; or those decided, newest first."""
    page = await list_appeals(
        services_of(request).market, waiting=status != "decided", before=cursor, limit=limit
    )
    return AppealList([_entry(a) for a in page.appeals], page.resume_after)


@post(
    "/api/admin/appeals/{suspension_id:str}/uphold",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="upholdAppeal",
    security=_OPERATOR,
    tags=_OPERATOR_TAGS,
    responses=problem_responses("not_found"),
)
async def uphold(
    request: ApiRequest, suspension_id: FromPath[str], data: JSONBody[AnswerBody]
) -> AppealState:
    """Let the worker back in, with nothing spoken against it."""
    return await _decide(request, suspension_id, data, uphold=True)


@post(
    "/api/admin/appeals/{suspension_id:str}/reject",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="rejectAppeal",
    security=_OPERATOR,
    tags=_OPERATOR_TAGS,
    responses=problem_responses("not_found"),
)
async def reject(
    request: ApiRequest, suspension_id: FromPath[str], data: JSONBody[AnswerBody]
) -> AppealState:
    """Let the suspension stand."""
    return await _decide(request, suspension_id, data, uphold=False)


async def _decide(
    request: ApiRequest, suspension_id: str, data: AnswerBody, *, uphold: bool
) -> AppealState:
    decided = await decide_appeal(
        services_of(request).market,
        suspension_id,
        uphold=uphold,
        answer=data.answer,
        actor=request.operator,
        replay=request.replay(_made),
    )
    return _made(decided)


@get(
    "/api/quality",
    opt=route_options(auth="public", rate="api_read"),
    operation_id="getQuality",
    tags=["Public"],
)
async def get_quality(request: ApiRequest) -> QualityFigures:
    """How results are checked here, in figures of the last 30 days."""
    return await read_quality(services_of(request).market)


HANDLERS: Final = [get_standing, post_appeal, get_appeals, uphold, reject, get_quality]
