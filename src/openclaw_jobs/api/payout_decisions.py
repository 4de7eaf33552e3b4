"""What an operator decides on payouts."""

from typing import Annotated, Final

from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.payouts import OperatorPayout, operator_payout
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.market.decide_payout import (
    approve_payout,
    mark_failed,
    mark_paid,
    mark_returned,
    reject_payout,
    retry_payout,
)
from openclaw_jobs.payments.providers.base import ProviderName

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]

Note = Annotated[str, Meta(min_length=1, max_length=500)]


class ApproveBody(Body, frozen=True, kw_only=True):
    """By whom to pay; without a name by the provider of the payout's method."""

    provider: ProviderName | None = None


class RejectBody(Body, frozen=True, kw_only=True):
    """Why not; the worker reads it."""

    reason: Note | None = None


class ReferenceBody(Body, frozen=True, kw_only=True):
    """What names the payment in the bank's books."""

    reference: Note


class ReasonBody(Body, frozen=True, kw_only=True):
    """Why it was not paid, or came back; the worker reads it."""

    reason: Note


@post(
    "/api/admin/payouts/{payout_id:str}/approve",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="approvePayout",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "wrong_state", "unavailable"),
)
async def approve(
    request: ApiRequest, payout_id: FromPath[str], data: JSONBody[ApproveBody]
) -> OperatorPayout:
    """Let a pending payout be paid."""
    services = services_of(request)
    changed = await approve_payout(
        services.market,
        services.providers,
        payout_id,
        data.provider,
        actor=request.operator,
        replay=request.replay(operator_payout),
    )
    return operator_payout(changed)


@post(
    "/api/admin/payouts/{payout_id:str}/retry",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="retryPayout",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "wrong_state", "limit_exceeded", "unavailable"),
)
async def retry(
    request: ApiRequest, payout_id: FromPath[str], data: JSONBody[ApproveBody]
) -> OperatorPayout:
    """Pay a failed payout after all: its money is set aside anew."""
    services = services_of(request)
    changed = await retry_payout(
        services.market,
        services.providers,
        payout_id,
        data.provider,
        actor=request.operator,
        replay=request.replay(operator_payout),
    )
    return operator_payout(changed)


@post(
    "/api/admin/payouts/{payout_id:str}/reject",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="rejectPayout",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "wrong_state"),
)
async def reject(
    request: ApiRequest, payout_id: FromPath[str], data: JSONBody[RejectBody]
) -> OperatorPayout:
    """Refuse a pending payout; its money is the worker's again."""
    changed = await reject_payout(
        services_of(request).market,
        payout_id,
        data.reason,
        actor=request.operator,
        replay=request.replay(operator_payout),
    )
    return operator_payout(changed)


@post(
    "/api/admin/payouts/{payout_id:str}/mark-paid",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="markPayoutPaid",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "wrong_state"),
)
async def paid(
    request: ApiRequest, payout_id: FromPath[str], data: JSONBody[ReferenceBody]
) -> OperatorPayout:
    """Say that a payout was paid by hand, or that one of unknown outcome was paid."""
    changed = await mark_paid(
        services_of(request).market,
        payout_id,
        data.reference,
        actor=request.operator,
        replay=request.replay(operator_payout),
    )
    return operator_payout(changed)


@post(
    "/api/admin/payouts/{payout_id:str}/mark-failed",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="markPayoutFailed",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "wrong_state"),
)
async def failed(
    request: ApiRequest, payout_id: FromPath[str], data: JSONBody[ReasonBody]
) -> OperatorPayout:
    """Say that a payout was not paid and won't be; its money is the worker's again."""
    changed = await mark_failed(
        services_of(request).market,
        payout_id,
        data.reason,
        actor=request.operator,
        replay=request.replay(operator_payout),
    )
    return operator_payout(changed)


@post(
    "/api/admin/payouts/{payout_id:str}/mark-returned",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="markPayoutReturned",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found", "wrong_state"),
)
async def returned(
    request: ApiRequest, payout_id: FromPath[str], data: JSONBody[ReasonBody]
) -> OperatorPayout:
    """Say that a paid payout came back; its money is the worker's again."""
    changed = await mark_returned(
        services_of(request).market,
        payout_id,
        data.reason,
        actor=request.operator,
        replay=request.replay(operator_payout),
    )
    return operator_payout(changed)


HANDLERS: Final = [approve, retry, reject, paid, failed, returned]
