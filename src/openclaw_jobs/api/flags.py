"""An operator reads what looked like abuse, and says what has been looked at."""

from typing import Annotated, Final, Literal

from litestar import get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.flags import Flag, FlagKind, FlagPage
from openclaw_jobs.market.watch_abuse import dismiss_flag, list_flags

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]


@get(
    "/api/admin/flags",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listFlags",
    security=_OPERATOR,
    tags=_TAGS,
)
async def flags(
    request: ApiRequest,
    status: FromQuery[Literal["open", "dismissed"] | None] = None,
    kind: FromQuery[FlagKind | None] = None,
    subject: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
    cursor: FromQuery[str | None] = None,
) -> FlagPage:
    """What looked like abuse, newest first."""
    return await list_flags(
        services_of(request).market,
        dismissed=None if status is None else status == "dismissed",
        kind=kind,
        subject=subject,
        cursor=cursor,
        limit=limit,
    )


@post(
    "/api/admin/flags/{flag_id:str}/dismiss",
    status_code=200,
    opt=route_options(auth="operator", rate="admin", replay=True),
    operation_id="dismissFlag",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def dismiss(request: ApiRequest, flag_id: FromPath[str]) -> Flag:
    """Say that a flag has been looked at; news of the same opens it again."""
    return await dismiss_flag(
        services_of(request).market, flag_id, request.operator, request.replay(_as_it_is)
    )


def _as_it_is(flag: Flag) -> Flag:
    return flag


HANDLERS: Final = [flags, dismiss]
