"""What an operator's pages show of the whole, of one worker or one buyer."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs.economy import ConfigVersion
from openclaw_jobs.economy import service as economy
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market import store_office as store
from openclaw_jobs.market import store_parties, store_proofs
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.models_parties import BuyerRow, WorkerRow
from openclaw_jobs.market.profit_and_loss import ProfitAndLoss, profit_and_loss
from openclaw_jobs.market.store_office import Todo
from openclaw_jobs.market.store_proofs import ProofRecord
from openclaw_jobs.payments.reconciliation import store as reconciliation
from openclaw_jobs.quality.record import Record
from openclaw_jobs.quality.standing import Suspension

_SUSPENSIONS: Final = 10


class WorkerFile(msgspec.Struct, frozen=True):
    """A worker with what checks have found of it, and how often it was stopped."""

    worker: WorkerRow
    record: Record
    suspensions: list[Suspension]


async def read_todo(market: Market) -> tuple[Todo, ProofRecord | None]:
    """How much waits for an operator, and when the ledger was proven last."""
    async with market.db.read() as conn:
        findings = sum(report.found for report in await reconciliation.select_latest(conn))
        return await store.count_todo(conn, findings), await store_proofs.select_latest(conn)


async def recent_result(market: Market, days: int) -> ProfitAndLoss:
    """Commission and expenses of the last UTC days, today's so far among them."""
    now = market.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return await profit_and_loss(market, midnight - timedelta(days=days - 1), now)


async def read_worker(market: Market, worker_id: str) -> WorkerFile:
    """A worker.

    Raises:
        Problem: `not_found`.
    """
    if not is_id("wrk", worker_id):
        raise not_found("worker")
    async with market.db.read() as conn:
        found = await store_parties.select_workers(
            conn, before=None, standing=None, tier=None, limit=1, worker_id=worker_id
        )
        if not found:
            raise not_found("worker")
        record = await store.select_record(conn, worker_id)
        stops = await store.select_suspensions(conn, worker_id, _SUSPENSIONS)
    return WorkerFile(found[0], record, stops)


async def read_buyer(market: Market, buyer_id: str) -> BuyerRow:
    """A buyer.

    Raises:
        Problem: `not_found`.
    """
    if not is_id("byr", buyer_id):
        raise not_found("buyer")
    async with market.db.read() as conn:
        found = await store_parties.select_buyers(
            conn, before=None, suspended=None, limit=1, buyer_id=buyer_id
        )
    if not found:
        raise not_found("buyer")
    return found[0]


async def read_history(
    market: Market, key: str, limit: int, before: int | None = None
) -> list[ConfigVersion]:
    """Versions of a section of the configuration, newest first; those under `before` if given.

    Raises:
        Problem: `not_found` for an unknown key.
    """
    async with market.db.read() as conn:
        return await economy.history(conn, key, limit, before)


async def name_actors(market: Market, actors: Iterable[str]) -> dict[str, str]:
    """The e-mail addresses of those actors that are users, by id."""
    users = sorted({actor for actor in actors if is_id("usr", actor)})
    if not users:
        return {}
    async with market.db.read() as conn:
        return await store.select_names(conn, users)
