"""An operator looks through workers and buyers, suspends them, and reads who did what."""

from datetime import datetime
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
from openclaw_jobs.audit import AuditPage
from openclaw_jobs.market.inspect_events import DepositRows, list_all_deposits
from openclaw_jobs.market.manage_parties import (
    list_audit,
    list_buyers,
    list_workers,
    reinstate_worker,
    suspend_buyer,
    suspend_worker,
)
from openclaw_jobs.market.models_parties import BuyerRow, DepositRow, WorkerRow
from openclaw_jobs.workers.models import Standing, Tier

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]

_NO_REASON: Final = "Suspended by the operator."
"""What a worker reads that was suspended without a reason."""

Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class SuspendBody(Body, frozen=True, kw_only=True):
    """Why, which the worker reads too; and until when, null for good. All of it may be left out."""

    reason: Reason | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None


class SuspendBuyerBody(Body, frozen=True, kw_only=True):
    """Why."""

    reason: Reason


class WorkerList(msgspec.Struct, frozen=True):
    """Workers, newest first."""

    workers: list[WorkerRow]
    next_cursor: str | None


class BuyerList(msgspec.Struct, frozen=True):
    """Buyers, newest first."""

    buyers: list[BuyerRow]
    next_cursor: str | None


class AllDeposits(msgspec.Struct, frozen=True):
    """Deposits of all buyers, newest first."""

    deposits: list[DepositRow]
    next_cursor: str | None


@get(
    "/api/admin/workers",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listWorkers",
    security=_OPERATOR,
    tags=_TAGS,
)
async def workers(
    request: ApiRequest,
    status: FromQuery[Standing | None] = None,
    tier: FromQuery[Tier | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> WorkerList:
    """Workers, newest first, by the standing that counts now and by tier."""
    page = await list_workers(services_of(request).market, cursor, status, tier, limit)
    return WorkerList(page.workers, page.resume_after)


@post(
    "/api/admin/workers/{worker_id:str}/suspend",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="suspendWorker",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def suspend(
    request: ApiRequest, worker_id: FromPath[str], data: JSONBody[SuspendBody]
) -> WorkerRow:
    """Keep a worker from work; the tasks that it holds go back to the queue."""
    services = services_of(request)
    suspended = await suspend_worker(
        services.market,
        worker_id,
        data.reason or _NO_REASON,
        data.until,
        request.operator,
        request.replay(_as_it_is),
    )
    services.matcher.dismiss(worker_id)
    return suspended


@post(
    "/api/admin/workers/{worker_id:str}/reinstate",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="reinstateWorker",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def reinstate(request: ApiRequest, worker_id: FromPath[str]) -> WorkerRow:
    """Let a worker work again."""
    return await reinstate_worker(
        services_of(request).market, worker_id, request.operator, request.replay(_as_it_is)
    )


@get(
    "/api/admin/buyers",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listBuyers",
    security=_OPERATOR,
    tags=_TAGS,
)
async def buyers(
    request: ApiRequest,
    status: FromQuery[Literal["active", "suspended"] | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> BuyerList:
    """Buyers with their balances, newest first."""
    suspended = None if status is None else status == "suspended"
    page = await list_buyers(services_of(request).market, cursor, suspended=suspended, limit=limit)
    return BuyerList(page.buyers, page.resume_after)


@post(
    "/api/admin/buyers/{buyer_id:str}/suspend",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="suspendBuyer",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def suspend_one_buyer(
    request: ApiRequest, buyer_id: FromPath[str], data: JSONBody[SuspendBuyerBody]
) -> BuyerRow:
    """Let a buyer post no more tasks; what it has posted runs on."""
    return await suspend_buyer(
        services_of(request).market,
        buyer_id,
        data.reason,
        request.operator,
        request.replay(_as_it_is),
    )


@get(
    "/api/admin/deposits",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listAllDeposits",
    security=_OPERATOR,
    tags=_TAGS,
)
async def deposits(
    request: ApiRequest,
    status: FromQuery[Literal["creating", "open", "paid", "failed", "expired"] | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> AllDeposits:
    """Deposits of all buyers, newest first."""
    page: DepositRows = await list_all_deposits(services_of(request).market, cursor, status, limit)
    return AllDeposits(page.deposits, page.resume_after)


@get(
    "/api/admin/audit",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listAudit",
    security=_OPERATOR,
    tags=_TAGS,
)
async def audit_log(
    request: ApiRequest, limit: Limit = 50, cursor: FromQuery[str | None] = None
) -> AuditPage:
    """Who did what as operator, newest first."""
    return await list_audit(services_of(request).market, limit, cursor)


def _as_it_is(row: WorkerRow | BuyerRow) -> WorkerRow | BuyerRow:
    return row


HANDLERS: Final = [
    workers,
    suspend,
    reinstate,
    buyers,
    suspend_one_buyer,
    deposits,
    audit_log,
]
