"""What an operator sees of workers who are wrong in the same way."""

from typing import Annotated, Final

import msgspec
from litestar import get
from litestar.params import FromQuery, QueryParameter

from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.kit.timefmt import rfc3339_or_none
from openclaw_jobs.market.note_pairs import PairEntry, after_cursor, list_pairs

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]


class OneOfPair(msgspec.Struct, frozen=True):
    """One of the two workers."""

    worker_id: str
    status: str


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """A gold task that both answered wrongly; a text that was erased is null."""

    gold_id: str
    first_check_id: str
    second_check_id: str
    first_result: str | None
    second_result: str | None


class WorkerPair(msgspec.Struct, frozen=True, kw_only=True):
    """Two workers who were wrong about the same gold tasks, and how likely chance would do it."""

    first: OneOfPair
    second: OneOfPair
    both_bad: int
    same_bad: int
    chance: float
    flagged_at: str | None
    mistakes: list[Mistake]


class PairList(msgspec.Struct, frozen=True):
    """Pairs, those of the newest workers first."""

    pairs: list[WorkerPair]
    next_cursor: str | None


@get(
    "/api/admin/pairs",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listPairs",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("validation_failed"),
)
async def pairs(
    request: ApiRequest,
    flagged: FromQuery[bool] = True,  # noqa: FBT002 - a query
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
    cursor: FromQuery[str | None] = None,
) -> PairList:
    """Pairs whose wrong answers agree more often than strangers' do, or all that were counted."""
    market = services_of(request).market
    page = await list_pairs(market, after_cursor(cursor), limit, flagged=flagged)
    return PairList([_entry(entry) for entry in page.pairs], page.next_cursor)


def _entry(entry: PairEntry) -> WorkerPair:
    pair = entry.pair
    return WorkerPair(
        first=OneOfPair(pair.first_worker_id, pair.first_standing),
        second=OneOfPair(pair.second_worker_id, pair.second_standing),
        both_bad=pair.both_bad,
        same_bad=pair.same_bad,
        chance=entry.chance,
        flagged_at=rfc3339_or_none(pair.flagged_at),
        mistakes=[
            Mistake(
                gold_id=one.gold_id,
                first_check_id=one.first_check_id,
                second_check_id=one.second_check_id,
                first_result=one.first_result,
                second_result=one.second_result,
            )
            for one in entry.mistakes
        ],
    )


HANDLERS: Final = [pairs]
