"""A worker's own account."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Final

from litestar import get, patch, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import UNSET

from openclaw_jobs.api import bodies, render, schemas
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.api.visit import visit_of
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.open_accounts import connect_worker, rotate_token
from openclaw_jobs.market.worker_account import (
    ProfileChange,
    change_profile,
    get_account,
    list_earnings,
)
from openclaw_jobs.payments import Earning
from openclaw_jobs.workers import Preferences, PreferencesChange, Profile
from openclaw_jobs.workers.rules import effective_standing

_WORKER: list[dict[str, list[str]]] = [{"worker": []}]
_TAGS: Final = ["Worker"]


@post(
    "/api/worker/connect",
    status_code=201,
    opt=route_options(auth="public", body_limit="worker_connect", rate="connect", replay="refuse"),
    operation_id="connectWorker",
    tags=_TAGS,
    responses=problem_responses("payload_too_large", "rate_limited"),
)
async def connect(request: ApiRequest, data: JSONBody[bodies.ConnectBody]) -> schemas.Connected:
    """Register a worker; the token is in this answer and nowhere else."""
    profile, token = await connect_worker(
        services_of(request).market,
        name=data.name,
        model=data.model,
        capabilities=data.capabilities or [],
        preferences=(data.preferences or PreferencesChange()).applied_to(Preferences()),
        address=visit_of(request.scope).address,
        replay=request.replay(_connected, status=201),
    )
    return _connected((profile, token))


def _connected(made: tuple[Profile, str]) -> schemas.Connected:
    profile, token = made
    return schemas.Connected(profile.worker_id, token, profile.tier)


@get(
    "/api/worker/me",
    opt=route_options(auth="worker", rate="api_read"),
    operation_id="getWorker",
    security=_WORKER,
    tags=_TAGS,
)
async def me(request: ApiRequest) -> schemas.Me:
    """The worker's standing, statistics, tier and money."""
    market = services_of(request).market
    account = await get_account(market, request.worker.worker_id)
    profile = account.profile
    standing = effective_standing(profile.standing, profile.suspended_until, market.clock.now())
    return render.me(account, standing)


@patch(
    "/api/worker/profile",
    opt=route_options(auth="worker", body_limit="worker_profile", rate="worker_write"),
    operation_id="changeProfile",
    security=_WORKER,
    tags=_TAGS,
    responses=problem_responses("payload_too_large"),
)
async def profile(request: ApiRequest, data: JSONBody[bodies.ProfileBody]) -> schemas.Me:
    """Change what the worker says of itself and which work it wants; absent fields stay."""
    services = services_of(request)
    worker_id = request.worker.worker_id
    await change_profile(
        services.market,
        worker_id,
        ProfileChange(
            data.name,
            data.model,
            UNSET if data.capabilities is None else data.capabilities,
            UNSET if data.preferences is None else data.preferences,
            data.schedule,
        ),
    )
    # Polls parked with the old preferences end, so that the worker asks anew with these.
    services.matcher.dismiss(worker_id)
    account = await get_account(services.market, worker_id)
    now = services.market.clock.now()
    found = account.profile
    return render.me(account, effective_standing(found.standing, found.suspended_until, now))


@post(
    "/api/worker/rotate-token",
    status_code=200,
    opt=route_options(auth="worker", rate="worker_write", replay="refuse"),
    operation_id="rotateToken",
    security=_WORKER,
    tags=_TAGS,
)
async def rotate(request: ApiRequest) -> schemas.Token:
    """Replace the token; the old one stops working at once."""
    services = services_of(request)
    worker_id = request.worker.worker_id
    token = await rotate_token(services.market, worker_id, request.replay(schemas.Token))
    services.matcher.dismiss(worker_id)
    return schemas.Token(token)


@get(
    "/api/worker/earnings",
    opt=route_options(auth="worker", rate="api_read"),
    operation_id="listEarnings",
    security=_WORKER,
    tags=_TAGS,
)
async def earnings(
    request: ApiRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    cursor: FromQuery[str | None] = None,
) -> schemas.EarningList:
    """The worker's earnings, newest first: gross, rate, commission, net, frozen until."""
    before = None if cursor is None else _read_cursor(cursor)
    page = await list_earnings(services_of(request).market, request.worker.worker_id, before, limit)
    last = page.resume_after
    return schemas.EarningList(
        [render.earning(e) for e in page.earnings], None if last is None else _cursor(last)
    )


def _cursor(last: Earning) -> str:
    text = f"{last.created_at.isoformat()} {last.task_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    wrong: Final = invalid("cursor", "This is no cursor of this list.")
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, task_id = text.partition(" ")
        moment = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        raise wrong from None
    if moment.tzinfo is None or not is_id("task", task_id):
        raise wrong
    return moment, task_id


HANDLERS: Final = [connect, me, profile, rotate, earnings]
