"""How a worker is reached and where it is paid."""

from typing import Annotated, Final

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Meta

from openclaw_jobs.api import render, schemas
from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.market.bind_contact import BoundEmail, bind_email, bind_payout, verify_email
from openclaw_jobs.market.worker_account import WorkerAccount
from openclaw_jobs.workers.rules import effective_standing

_WORKER: list[dict[str, list[str]]] = [{"worker": []}]

Address = Annotated[str, Meta(min_length=1, max_length=254)]


class EmailBody(Body, frozen=True, kw_only=True):
    """Where to mail a code."""

    email: Address


class CodeBody(Body, frozen=True, kw_only=True):
    """The code that was mailed."""

    code: Annotated[str, Meta(min_length=1, max_length=32)]


class PaypalBody(Body, frozen=True, kw_only=True, tag_field="method", tag="paypal"):
    """To be paid by PayPal."""

    email: Address


class SolanaBody(Body, frozen=True, kw_only=True, tag_field="method", tag="solana"):
    """To be paid in USDC on Solana."""

    address: Address


class CodeMailed(msgspec.Struct, frozen=True):
    """Where a code was mailed, and until when it proves the address."""

    email: str
    code_expires_at: str


@post(
    "/api/worker/bind-email",
    status_code=202,
    opt=route_options(auth="worker", rate="email_code", replay=True),
    operation_id="bindEmail",
    security=_WORKER,
    tags=["Worker"],
    responses=problem_responses("rate_limited", "unavailable"),
)
async def email(request: ApiRequest, data: JSONBody[EmailBody]) -> CodeMailed:
    """Mail a code that proves the address; the one before stops working."""
    services = services_of(request)
    bound = await bind_email(
        services.market,
        request.worker.worker_id,
        data.email,
        request.replay(_mailed, status=202),
        can_mail=services.can_mail,
    )
    return _mailed(bound)


def _mailed(bound: BoundEmail) -> CodeMailed:
    return CodeMailed(bound.email, rfc3339(bound.expires_at))


@post(
    "/api/worker/verify-email",
    status_code=200,
    opt=route_options(auth="worker", rate="worker_write", replay=True),
    operation_id="verifyEmail",
    security=_WORKER,
    tags=["Worker"],
)
async def verify(request: ApiRequest, data: JSONBody[CodeBody]) -> schemas.Me:
    """Prove the address by the code that was mailed there."""
    market = services_of(request).market
    account = await verify_email(market, request.worker.worker_id, data.code, request.replay(_me))
    return _me(account)


def _me(account: WorkerAccount) -> schemas.Me:
    profile = account.profile
    standing = effective_standing(profile.standing, profile.suspended_until, account.contact.now)
    return render.me(account, standing)


@post(
    "/api/worker/bind-payout",
    status_code=200,
    opt=route_options(auth="worker", rate="worker_write", replay=True),
    operation_id="bindPayout",
    security=_WORKER,
    tags=["Worker"],
)
async def payout_address(
    request: ApiRequest, data: JSONBody[PaypalBody | SolanaBody]
) -> schemas.Me:
    """Say where to be paid; a change keeps withdrawals back for a while, and is mailed."""
    paypal = isinstance(data, PaypalBody)
    account = await bind_payout(
        services_of(request).market,
        request.worker.worker_id,
        "paypal" if paypal else "solana",
        data.email if isinstance(data, PaypalBody) else data.address,
        request.replay(_me),
    )
    return _me(account)


HANDLERS: Final = [email, verify, payout_address]
