"""The figures in `/metrics` that only the database knows, read seldom and cheaply."""

import asyncio
from collections.abc import Collection
from typing import Final, get_args

import msgspec
import psycopg
import structlog

from openclaw_jobs.db import Connection, is_unavailable
from openclaw_jobs.dispatch.store import nodes
from openclaw_jobs.kit.metrics import bounded
from openclaw_jobs.market import store_metrics as store
from openclaw_jobs.market import store_proofs, store_stats
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.read_tasks import NODE_SILENT_SECONDS
from openclaw_jobs.market.store_proofs import ProofRecord
from openclaw_jobs.payments.payouts import PayoutStatus

__all__ = ["CHECK_STAGES", "MOST_COUNTED", "MetricsReader", "StoredFigures"]

_log = structlog.get_logger(__name__)

FRESH_FOR_S: Final = 5.0
"""However often a process is scraped, it reads no more often than this; a slow reading rests."""
MOST_COUNTED: Final = 20_000
"""Up to here tasks of a category, payouts of a state and checks of a stage are counted."""
VERDICT_WINDOW_S: Final = 86_400
CHECK_STAGES: Final = (
    *("due", "copying", "comparing", "arbitrating", "deciding"),
    *("decided", "void"),
)

_MOST_CATEGORIES: Final = 1_000
_MOST_VERDICTS: Final = 10_000
_TIMEOUT_S: Final = 3.0
# A reading may take this share of one connection, however long the tables grow.
_REST_PER_WORK: Final = 20


class CategoryDepth(msgspec.Struct, frozen=True):
    """Queued tasks of one category, and the age in seconds of the one that is next."""

    queued: int
    head_age_s: float


class PayoutsInState(msgspec.Struct, frozen=True):
    """Payouts in one state: how many, their cents, and the oldest's age in seconds."""

    count: int
    cents: int
    oldest_s: float


class StoredFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the database said.

    Attributes:
        queue: By category; those without a price of their own are together in `other`.
        held: Leases.
        holders: Workers that hold one.
        online: Workers that are parked somewhere or hold a task.
        payouts: By state.
        checks: By stage.
        good: Results that checks found good in the last day.
        bad: Results that checks found bad in the last day.
        webhooks: Events of providers that wait.
        webhooks_oldest_s: The age of the oldest of them.
        credits: Credits that wait for an operator.
        proof: The latest proof of the ledger; None before the first.
    """

    queue: dict[str, CategoryDepth]
    held: int
    holders: int
    online: int
    payouts: dict[str, PayoutsInState]
    checks: dict[str, int]
    good: int
    bad: int
    webhooks: int
    webhooks_oldest_s: float
    credits: int
    proof: ProofRecord | None


class MetricsReader:
    """Reads the figures at most once in `FRESH_FOR_S`, however many ask at once."""

    def __init__(self, market: Market) -> None:
        """Nothing read yet."""
        self._market = market
        self._reading = asyncio.Lock()
        self._found: StoredFigures | None = None
        self._read_at = 0.0
        self._again_at = float("-inf")

    async def read(self) -> tuple[StoredFigures | None, float]:
        """The figures, None while the database does not answer, and their age in seconds."""
        async with self._reading:
            started = self._market.monotonic()
            if started >= self._again_at:
                self._found = await self._ask()
                self._read_at = now = self._market.monotonic()
                self._again_at = now + max(FRESH_FOR_S, (now - started) * _REST_PER_WORK)
        return self._found, self._market.monotonic() - self._read_at

    async def _ask(self) -> StoredFigures | None:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._market.db.read() as conn:
                return await _read(conn, self._market.config.pricing.base_cents)
        except (TimeoutError, psycopg.Error) as error:
            # A scrape is answered all the same: what a process counts itself needs no database.
            known = isinstance(error, TimeoutError) or is_unavailable(error)
            _log.warning("metrics_unread", exc_info=None if known else error)
            return None


async def _read(conn: Connection, known: Collection[str]) -> StoredFigures:
    held, holders = await store_stats.count_claimed(conn)
    good, bad = await store.count_verdicts(conn, VERDICT_WINDOW_S, _MOST_VERDICTS)
    webhooks, webhooks_oldest_s = await store.count_webhooks(conn)
    to_decide, _, _ = await store_stats.select_credits_waiting(conn)
    states = get_args(PayoutStatus)
    return StoredFigures(
        queue=_by_label(await store.select_queue(conn, _MOST_CATEGORIES, MOST_COUNTED), known),
        held=held,
        holders=holders,
        online=await nodes.count_online(conn, NODE_SILENT_SECONDS),
        payouts={
            state: PayoutsInState(count, cents, oldest_s)
            for state, count, cents, oldest_s in await store.select_payouts(
                conn, states, MOST_COUNTED
            )
        },
        checks=dict(await store.select_checks(conn, CHECK_STAGES, MOST_COUNTED)),
        good=good,
        bad=bad,
        webhooks=webhooks,
        webhooks_oldest_s=webhooks_oldest_s,
        credits=to_decide,
        proof=await store_proofs.select_latest(conn),
    )


def _by_label(
    rows: list[tuple[str, int, float]], known: Collection[str]
) -> dict[str, CategoryDepth]:
    depths = {category: CategoryDepth(0, 0.0) for category in known}
    for category, queued, age_s in rows:
        label = bounded(category, known)
        so_far = depths.get(label, CategoryDepth(0, 0.0))
        depths[label] = CategoryDepth(so_far.queued + queued, max(so_far.head_age_s, age_s))
    return depths
