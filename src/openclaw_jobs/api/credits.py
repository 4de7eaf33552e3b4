"""Money back for a bad result: what a buyer asks, and what an operator decides."""

from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from openclaw_jobs.api.bodies import Body, ShortText
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.credit_task import CreditOutcome, credit_task
from openclaw_jobs.market.decide_credit import decide_credit, list_waiting_credits
from openclaw_jobs.tasks.models import Credit

_BUYER: list[dict[str, list[str]]] = [{"buyer": []}]
_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]


class CreditBody(Body, frozen=True, kw_only=True):
    """Why the result was bad."""

    reason: ShortText | None = None


class Credited(msgspec.Struct, frozen=True):
    """A task whose price is the buyer's again."""

    id: str
    status: str
    credited_cents: int
    balance_cents: int


class CreditInReview(msgspec.Struct, frozen=True):
    """A demand that an operator decides on."""

    id: str
    status: str


class CreditDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A demand for credit as an operator sees it."""

    task_id: str
    buyer_id: str
    worker_id: str
    amount_cents: int
    reason: str | None
    status: str
    requested_at: str
    decided_at: str | None
    decided_by: str | None


class CreditList(msgspec.Struct, frozen=True):
    """Demands that wait, oldest first."""

    credits: list[CreditDecision]


@post(
    "/api/task/{task_id:str}/credit",
    status_code=200,
    opt=route_options(auth="buyer", rate="buyer_write", replay=True),
    operation_id="creditTask",
    security=_BUYER,
    tags=["Buyer"],
    responses=problem_responses("not_found", "already_credited", "not_creditable"),
)
async def credit(
    request: ApiRequest, task_id: FromPath[str], data: JSONBody[CreditBody]
) -> Response[Credited | CreditInReview]:
    """Ask a result's price back; past the buyer's automatic limit an operator decides (202)."""
    outcome = await credit_task(
        services_of(request).market,
        request.buyer_id,
        task_id,
        data.reason,
        request.replay(_outcome, status=_status),
    )
    return Response(_outcome(outcome), status_code=_status(outcome))


def _outcome(outcome: CreditOutcome) -> Credited | CreditInReview:
    if not outcome.credited:
        return CreditInReview(outcome.task_id, "credit_review")
    return Credited(outcome.task_id, "credited", outcome.credited_cents, outcome.balance_cents)


def _status(outcome: CreditOutcome) -> int:
    return 200 if outcome.credited else 202


@get(
    "/api/admin/credits",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listCredits",
    security=_OPERATOR,
    tags=["Operator"],
)
async def waiting(
    request: ApiRequest, limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50
) -> CreditList:
    """Credits that wait for a decision, oldest first."""
    found = await list_waiting_credits(services_of(request).market, limit)
    return CreditList([_decision(c) for c in found])


@post(
    "/api/admin/credits/{task_id:str}/approve",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="approveCredit",
    security=_OPERATOR,
    tags=["Operator"],
    responses=problem_responses("not_found", "not_creditable"),
)
async def approve(request: ApiRequest, task_id: FromPath[str]) -> CreditDecision:
    """Credit a task whose buyer is past its automatic limit."""
    return await _decide(request, task_id, approve=True)


@post(
    "/api/admin/credits/{task_id:str}/reject",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="rejectCredit",
    security=_OPERATOR,
    tags=["Operator"],
    responses=problem_responses("not_found", "not_creditable"),
)
async def reject(request: ApiRequest, task_id: FromPath[str]) -> CreditDecision:
    """Leave the worker paid."""
    return await _decide(request, task_id, approve=False)


async def _decide(request: ApiRequest, task_id: str, *, approve: bool) -> CreditDecision:
    decided = await decide_credit(
        services_of(request).market,
        task_id,
        approve=approve,
        actor=request.operator,
        replay=request.replay(_decision),
    )
    return _decision(decided)


def _decision(found: Credit) -> CreditDecision:
    return CreditDecision(
        task_id=found.task_id,
        buyer_id=found.buyer_id,
        worker_id=found.worker_id,
        amount_cents=found.amount_cents,
        reason=found.reason,
        status=found.status,
        requested_at=rfc3339(found.requested_at),
        decided_at=rfc3339_or_none(found.decided_at),
        decided_by=found.decided_by,
    )


HANDLERS: Final = [credit, waiting, approve, reject]
