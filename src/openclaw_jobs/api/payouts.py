"""Money out: what a worker withdraws, and what an operator sees of it."""

import csv
import io
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.decide_payout import export_payouts, list_all_payouts
from openclaw_jobs.market.withdraw import Withdrawal, list_payouts, withdraw
from openclaw_jobs.payments.payouts import Payout, PayoutStatus
from openclaw_jobs.payments.providers.base import ProviderName

_WORKER: list[dict[str, list[str]]] = [{"worker": []}]
_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]


class WithdrawBody(Body, frozen=True, kw_only=True):
    """How much to withdraw."""

    amount_cents: Annotated[int, Meta(ge=1, le=2**53)]


class Withdrawn(msgspec.Struct, frozen=True):
    """A payout that was asked for, and what is left to withdraw."""

    payout_id: str
    payout_status: PayoutStatus
    amount_cents: int
    available_cents: int


class WorkerPayout(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as its worker sees it; `reason` says why it failed, was rejected or came back."""

    payout_id: str
    amount_cents: int
    payout_status: PayoutStatus
    method: str
    address: str
    reason: str | None
    created_at: str
    ended_at: str | None


class PayoutList(msgspec.Struct, frozen=True):
    """A page of a worker's payouts, newest first."""

    payouts: list[WorkerPayout]
    next_cursor: str | None


class OperatorPayout(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as an operator sees it."""

    payout_id: str
    worker_id: str
    amount_cents: int
    fee_cents: int
    payout_status: PayoutStatus
    method: str
    address: str
    provider: str | None
    attempt: int
    approved_by: str | None
    approved_at: str | None
    error: str | None
    created_at: str
    ended_at: str | None


class OperatorPayoutList(msgspec.Struct, frozen=True):
    """A page of payouts, newest first."""

    payouts: list[OperatorPayout]
    next_cursor: str | None


@post(
    "/api/worker/withdraw",
    status_code=201,
    opt=route_options(auth="worker", rate="withdraw", replay=True),
    operation_id="withdraw",
    security=_WORKER,
    tags=["Worker"],
    responses=problem_responses(
        "suspended",
        "payout_not_bound",
        "email_not_verified",
        "payout_change_pending",
        "limit_exceeded",
    ),
)
async def withdrawal(request: ApiRequest, data: JSONBody[WithdrawBody]) -> Withdrawn:
    """Set available earnings aside for a payout, which waits for approval."""
    made = await withdraw(
        services_of(request).market,
        request.worker.worker_id,
        data.amount_cents,
        request.replay(_withdrawn, status=201),
    )
    return _withdrawn(made)


def _withdrawn(made: Withdrawal) -> Withdrawn:
    payout = made.payout
    return Withdrawn(payout.payout_id, payout.status, payout.amount_cents, made.available_cents)


@get(
    "/api/worker/payouts",
    opt=route_options(auth="worker", rate="api_read"),
    operation_id="listWorkerPayouts",
    security=_WORKER,
    tags=["Worker"],
)
async def own(
    request: ApiRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    cursor: FromQuery[str | None] = None,
) -> PayoutList:
    """The worker's payouts, newest first."""
    page = await list_payouts(
        services_of(request).market, request.worker.worker_id, _read_cursor(cursor), limit
    )
    return PayoutList([_worker_payout(p) for p in page.payouts], page.next_cursor)


def _worker_payout(payout: Payout) -> WorkerPayout:
    told = payout.status in {"failed", "rejected", "returned"}
    return WorkerPayout(
        payout_id=payout.payout_id,
        amount_cents=payout.amount_cents,
        payout_status=payout.status,
        method=payout.method,
        address=payout.address,
        reason=payout.error if told else None,
        created_at=rfc3339(payout.created_at),
        ended_at=rfc3339_or_none(payout.ended_at),
    )


@get(
    "/api/admin/payouts",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listPayouts",
    security=_OPERATOR,
    tags=["Operator"],
)
async def all_payouts(
    request: ApiRequest,
    status: FromQuery[PayoutStatus | None] = None,
    provider: FromQuery[ProviderName | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
    cursor: FromQuery[str | None] = None,
    format: FromQuery[Literal["json", "csv"]] = "json",  # noqa: A002 - the query's own name
) -> Response[OperatorPayoutList | str]:
    """All payouts, newest first; as CSV, those that were approved and wait, oldest first."""
    market = services_of(request).market
    if format == "csv":
        found = await export_payouts(market, status=status, provider=provider)
        return Response(
            _csv(found),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="payouts.csv"'},
        )
    page = await list_all_payouts(
        market, status=status, provider=provider, before=_read_cursor(cursor), limit=limit
    )
    return Response(
        OperatorPayoutList([operator_payout(p) for p in page.payouts], page.next_cursor)
    )


def _csv(payouts: list[Payout]) -> str:
    """Ids, statuses, addresses and amounts only: nothing that a spreadsheet takes for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            "payout_id",
            "worker_id",
            "method",
            "address",
            "amount_usd",
            "payout_status",
            "approved_at",
        ]
    )
    for payout in payouts:
        writer.writerow(
            [
                payout.payout_id,
                payout.worker_id,
                payout.method,
                payout.address,
                f"{payout.amount_cents // 100}.{payout.amount_cents % 100:02d}",
                payout.status,
                rfc3339_or_none(payout.approved_at),
            ]
        )
    return out.getvalue()


def operator_payout(payout: Payout) -> OperatorPayout:
    """A payout as an operator sees it."""
    return OperatorPayout(
        payout_id=payout.payout_id,
        worker_id=payout.worker_id,
        amount_cents=payout.amount_cents,
        fee_cents=payout.fee_cents,
        payout_status=payout.status,
        method=payout.method,
        address=payout.address,
        provider=payout.provider,
        attempt=payout.attempt,
        approved_by=payout.approved_by,
        approved_at=rfc3339_or_none(payout.approved_at),
        error=payout.error,
        created_at=rfc3339(payout.created_at),
        ended_at=rfc3339_or_none(payout.ended_at),
    )


def _read_cursor(cursor: str | None) -> str | None:
    if cursor is not None and not is_id("pay", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    return cursor


HANDLERS: Final = [withdrawal, own, all_payouts]
