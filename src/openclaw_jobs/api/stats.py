"""What is going on right now, and what providers told us, for the operator."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.operator_money import in_cents
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.inspect_events import list_events, replay_event
from openclaw_jobs.market.models_parties import EventRow
from openclaw_jobs.market.read_stats import (
    AGES_S,
    Amount,
    CategoryQueue,
    CreditsWaiting,
    Latency,
    Outcomes,
    Stats,
    StatsReader,
    Webhooks,
)
from openclaw_jobs.payments.deposits import DepositDesk
from openclaw_jobs.quality.store_reading import Figures

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that wait or are held.

    `complete` is false when the queue is too long to be counted to its end. `by_age` of a
    category counts the tasks up to each age of `age_ends_s`, and those older than all.
    """

    queued: int
    complete: bool
    claimed: int
    age_ends_s: list[int]
    categories: list[CategoryQueue]


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """Workers by tier and standing; online are those parked or holding a task."""

    online: int
    working: int
    by_tier: dict[str, dict[str, int]]


class CoverageStats(msgspec.Struct, frozen=True, kw_only=True):
    """How far what stands at the rails covers what is owed, promotional credit included."""

    assets: dict[str, int]
    owed: dict[str, int]
    assets_cents: int
    owed_cents: int
    percent: float | None
    alert_below_percent: float
    alert: bool


class MoneyStats(msgspec.Struct, frozen=True, kw_only=True):
    """What every account holds, what was posted today (UTC) by kind, and how far it covers."""

    as_of: str
    accounts: dict[str, int]
    today: dict[str, Amount]
    coverage: CoverageStats


class StatsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Live figures."""

    at: str
    queue: QueueStats
    workers: WorkerStats
    latency: Latency
    money: MoneyStats
    payouts: dict[str, Amount]
    credits_waiting: CreditsWaiting
    webhooks: Webhooks
    quality: Outcomes
    checks: Figures


class EventEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider told us."""

    source: str
    event_id: str
    type: str
    status: str
    attempts: int
    error: str | None
    received_at: str
    handled_at: str | None


class EventList(msgspec.Struct, frozen=True):
    """Events, newest first."""

    events: list[EventEntry]
    next_cursor: str | None


class EventReopened(msgspec.Struct, frozen=True):
    """An event that will be worked once more."""

    source: str
    event_id: str
    status: str


def stats_routes(market: Market, desk: DepositDesk, alert_below_percent: float) -> list[Any]:
    """The routes; below so much coverage the figures say `alert`."""
    reader = StatsReader(market, alert_below_percent)

    @get(
        "/api/admin/stats",
        opt=route_options(auth="operator", rate="admin"),
        operation_id="getStats",
        security=_OPERATOR,
        tags=_TAGS,
    )
    async def stats() -> StatsDocument:
        """Live counts, latencies of the last hour, and money."""
        return stats_document(await reader.read())

    @get(
        "/api/admin/webhook-events",
        opt=route_options(auth="operator", rate="admin"),
        operation_id="listWebhookEvents",
        security=_OPERATOR,
        tags=_TAGS,
    )
    async def events(
        status: FromQuery[Literal["pending", "done", "ignored", "failed"] | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> EventList:
        """What providers told us, newest first."""
        before = None if cursor is None else _read_cursor(cursor)
        page = await list_events(market, before, status, limit)
        last = page.resume_after
        return EventList([_event(e) for e in page.events], None if last is None else _cursor(last))

    @post(
        "/api/admin/webhook-events/{source:str}/{event_id:str}/replay",
        status_code=200,
        opt=route_options(auth="operator", rate="admin"),
        operation_id="replayWebhookEvent",
        security=_OPERATOR,
        tags=_TAGS,
        responses=problem_responses("not_found"),
    )
    async def replay(
        request: ApiRequest, source: FromPath[str], event_id: FromPath[str]
    ) -> EventReopened:
        """Have an event worked once more; one that was done changes nothing."""
        await replay_event(market, desk, source, event_id, request.operator)
        return EventReopened(source, event_id, "pending")

    return [stats, events, replay]


def stats_document(found: Stats) -> StatsDocument:
    """The figures as they go over the wire."""
    queue, totals, coverage = found.queue, found.totals, found.coverage
    return StatsDocument(
        at=rfc3339(found.at),
        queue=QueueStats(
            queued=queue.queued,
            complete=queue.complete,
            claimed=queue.claimed,
            age_ends_s=list(AGES_S),
            categories=queue.categories,
        ),
        workers=WorkerStats(
            online=found.workers.online,
            working=found.workers.working,
            by_tier=found.workers.by_tier,
        ),
        latency=found.latency,
        money=MoneyStats(
            as_of=rfc3339(totals.as_of),
            accounts=in_cents(totals.accounts),
            today=totals.today,
            coverage=CoverageStats(
                assets=in_cents(coverage.assets),
                owed=in_cents(coverage.owed),
                assets_cents=coverage.assets_cents,
                owed_cents=coverage.owed_cents,
                percent=coverage.percent,
                alert_below_percent=coverage.alert_below_percent,
                alert=coverage.alert,
            ),
        ),
        payouts=totals.payouts,
        credits_waiting=found.credits_waiting,
        webhooks=found.webhooks,
        quality=totals.outcomes,
        checks=totals.checks,
    )


def _event(row: EventRow) -> EventEntry:
    return EventEntry(
        source=row.source,
        event_id=row.event_id,
        type=row.type,
        status=row.status,
        attempts=row.attempts,
        error=row.error,
        received_at=rfc3339(row.received_at),
        handled_at=rfc3339_or_none(row.handled_at),
    )


def _cursor(last: EventRow) -> str:
    place = [last.received_at.isoformat(), last.source, last.event_id]
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str, str]:
    wrong: Final = invalid("cursor", "This is no cursor of this list.")
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, source, event_id = msgspec.json.decode(raw, type=tuple[datetime, str, str])
    except (ValueError, binascii.Error):
        raise wrong from None
    if at.tzinfo is None or "\0" in source + event_id:
        raise wrong
    return at, source, event_id
