"""What is going on right now, for the operator."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.dispatch.store import nodes
from openclaw_jobs.ledger import Account
from openclaw_jobs.ledger import store_statements as statements
from openclaw_jobs.market import store_stats as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.profit_and_loss import Coverage, coverage
from openclaw_jobs.market.read_tasks import NODE_SILENT_SECONDS
from openclaw_jobs.market.store import begin_snapshot, plan_for_whole_tables
from openclaw_jobs.quality import store_reading
from openclaw_jobs.quality.store_reading import Figures
from openclaw_jobs.workers.models import TIERS

AGES_S: Final = (10, 60, 600, 3600)
"""Where the counts of queued tasks by age are parted, in seconds."""
PERCENTILES: Final = (0.5, 0.9, 0.95, 0.99)
LATENCY_WINDOW_S: Final = 3600

_MAX_QUEUED: Final = 50_000
_MAX_TRANSFERS: Final = 20_000
_STANDINGS: Final = ("active", "suspended", "banned")
# Sums over whole tables may take this share of one connection, however large the tables grow.
_REST_PER_WORK: Final = 20
_CHEAP_S: Final = 0.1


class CategoryQueue(msgspec.Struct, frozen=True):
    """Queued tasks of one category; `by_age` has one count up to each of `AGES_S`, and the rest."""

    category: str
    queued: int
    oldest_s: int
    by_age: list[int]


class Queue(msgspec.Struct, frozen=True):
    """All queued and claimed tasks.

    Attributes:
        queued: How many wait, of those that were looked at.
        complete: Whether all were looked at.
        claimed: How many are held.
        categories: Those that have any.
    """

    queued: int
    complete: bool
    claimed: int
    categories: list[CategoryQueue]


class Workers(msgspec.Struct, frozen=True):
    """Workers by tier and standing; online are those parked somewhere or holding a task."""

    online: int
    working: int
    by_tier: dict[str, dict[str, int]]


class Latency(msgspec.Struct, frozen=True):
    """Of tasks settled in the window: seconds in the queue and at work, by percentile."""

    window_s: int
    samples: int
    queue_wait_s: dict[str, float]
    work_s: dict[str, float]


class Amount(msgspec.Struct, frozen=True):
    """How many, and how many cents in all."""

    count: int
    amount_cents: int


class CreditsWaiting(msgspec.Struct, frozen=True):
    """Credits that an operator has to decide on."""

    count: int
    amount_cents: int
    oldest_at: datetime | None


class Webhooks(msgspec.Struct, frozen=True):
    """Events of providers that are not worked yet, or never could be."""

    pending: int
    oldest_pending_at: datetime | None
    failed: int


class Outcomes(msgspec.Struct, frozen=True):
    """How claims ended since the beginning; rates are shares from 0 to 1."""

    completed: int
    failed: int
    expired: int
    credited: int
    completion_rate: float
    credit_rate: float


class Totals(msgspec.Struct, frozen=True):
    """What takes a look at whole tables.

    Attributes:
        as_of: When it was looked at.
        workers: By tier and standing.
        accounts: What each account holds, in cents.
        today: Transfers of the UTC day by kind.
        payouts: By state.
        outcomes: How claims ended.
        checks: What hidden checks did in the last 24 hours.
    """

    as_of: datetime
    workers: dict[str, dict[str, int]]
    accounts: dict[Account, int]
    today: dict[str, Amount]
    payouts: dict[str, Amount]
    outcomes: Outcomes
    checks: Figures


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """All figures; `totals` may be older than the others."""

    at: datetime
    queue: Queue
    workers: Workers
    latency: Latency
    credits_waiting: CreditsWaiting
    webhooks: Webhooks
    totals: Totals
    coverage: Coverage


class StatsReader:
    """Reads the figures, sums over whole tables no more often than their cost allows.

    Args:
        market: Where.
        alert_below_percent: Below this coverage the operator is told.
    """

    def __init__(self, market: Market, alert_below_percent: float) -> None:
        """Nothing read yet."""
        self._market = market
        self._alert_below_percent = alert_below_percent
        self._totals: Totals | None = None
        self._fresh_until = 0.0
        self._reading = asyncio.Lock()

    async def read(self) -> Stats:
        """The figures of now."""
        totals = await self._recent_totals()
        async with self._market.db.read() as conn:
            rows, complete = await store.select_queue(conn, AGES_S, _MAX_QUEUED)
            claimed, working = await store.count_claimed(conn)
            online = await nodes.count_online(conn, NODE_SILENT_SECONDS)
            samples, waits, works = await store.select_latencies(
                conn, LATENCY_WINDOW_S, _MAX_TRANSFERS, PERCENTILES
            )
            waiting = await store.select_credits_waiting(conn)
            webhooks = await store.select_webhooks(conn)
        categories = [CategoryQueue(*row) for row in rows]
        return Stats(
            at=self._market.clock.now(),
            queue=Queue(sum(c.queued for c in categories), complete, claimed, categories),
            workers=Workers(online, working, totals.workers),
            latency=Latency(LATENCY_WINDOW_S, samples, _named(waits), _named(works)),
            credits_waiting=CreditsWaiting(*waiting),
            webhooks=Webhooks(*webhooks),
            totals=totals,
            coverage=coverage(totals.accounts, self._alert_below_percent),
        )

    async def _recent_totals(self) -> Totals:
        async with self._reading:
            if self._totals is None or self._market.monotonic() >= self._fresh_until:
                started = self._market.monotonic()
                self._totals = await _read_totals(self._market)
                now = self._market.monotonic()
                took = now - started
                self._fresh_until = now + (0 if took < _CHEAP_S else took * _REST_PER_WORK)
            return self._totals


async def _read_totals(market: Market) -> Totals:
    now = market.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    async with market.db.transaction() as conn:
        await begin_snapshot(conn)
        await plan_for_whole_tables(conn)
        counted = await store.count_workers(conn)
        completed, failed, expired, credited = await store.sum_worker_stats(conn)
        posted = await statements.sum_accounts(conn)
        kinds = await statements.sum_kinds(conn, midnight)
        payouts = await store.sum_payouts(conn)
        checks = await store_reading.select_figures(conn)
    by_tier = {str(tier): dict.fromkeys(_STANDINGS, 0) for tier in TIERS}
    for tier, standing, count in counted:
        by_tier[tier][standing] = count
    ended = completed + failed + expired
    return Totals(
        as_of=now,
        workers=by_tier,
        accounts=_balances(posted),
        today={kind: Amount(*found) for kind, found in sorted(kinds.items())},
        payouts={status: Amount(count, cents) for status, count, cents in payouts},
        outcomes=Outcomes(
            completed=completed,
            failed=failed,
            expired=expired,
            credited=credited,
            completion_rate=round(completed / ended, 4) if ended else 1.0,
            credit_rate=round(credited / completed, 4) if completed else 0.0,
        ),
        checks=checks,
    )


def _balances(posted: Mapping[Account, int]) -> dict[Account, int]:
    return {account: ledger.balance_cents(account, posted.get(account, 0)) for account in Account}


def _named(percentiles: list[float]) -> dict[str, float]:
    return {
        f"p{round(share * 100)}": round(seconds, 3)
        for share, seconds in zip(PERCENTILES, percentiles, strict=False)
    }
