"""A buyer reads its tasks, and waits for them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.buyers import BuyerTotals
from openclaw_jobs.buyers import totals as buyer_totals
from openclaw_jobs.dispatch.store import nodes
from openclaw_jobs.events import Signal
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.context import Market
from openclaw_jobs.quality import rules
from openclaw_jobs.quality.store_standing import select_evidence
from openclaw_jobs.tasks import TERMINAL, TaskPage, TaskStatus, TaskView, store

_MAX_COUNTED: Final = 1000
HAVE_RESULTS: Final = frozenset({"completed", "credited", "credit_review"})
NODE_SILENT_SECONDS: Final = 10
"""A node not heard of for this long is taken for gone."""


class QueuePlace(msgspec.Struct, frozen=True):
    """Where a queued task stands: 1 is next. The wait is an estimate, None if nothing is known."""

    position: int
    workers_online: int
    estimated_wait_s: int | None


class Balance(msgspec.Struct, frozen=True):
    """What a buyer has, by where it came from, and its lifetime sums, in cents."""

    promo_cents: int
    paid_cents: int
    lifetime: BuyerTotals


async def get_task(market: Market, buyer_id: str, task_id: str, wait_seconds: float) -> TaskView:
    """A buyer's own task; waits up to `wait_seconds` for it to end.

    Raises:
        Problem: `not_found`.
    """
    deadline = market.monotonic() + wait_seconds
    with market.bus.subscribe(buyer_id, task_id) as subscription:
        while True:
            async with market.db.read() as conn:
                view = await store.select_view(conn, buyer_id, task_id)
            if view is None:
                raise not_found("task")
            left = deadline - market.monotonic()
            if view.status in TERMINAL or left <= 0:
                break
            if await subscription.wait(left) is Signal.CLOSED:
                break
    (judged,) = await _with_confidence(market, [view])
    return judged


async def _with_confidence(market: Market, views: list[TaskView]) -> list[TaskView]:
    """Say of each result how sure the platform is of it."""
    sure = await confidence_of(market, [v.task_id for v in views if v.status in HAVE_RESULTS])
    return [
        view
        if (found := sure.get(view.task_id)) is None
        else msgspec.structs.replace(view, confidence=found)
        for view in views
    ]


async def confidence_of(market: Market, task_ids: Sequence[str]) -> dict[str, float]:
    """How sure the platform is of the results of these tasks, 0 to 1, as far as it can say."""
    if not task_ids:
        return {}
    async with market.db.read() as conn:
        evidence = await select_evidence(conn, list(task_ids))
    return {task_id: round(rules.confidence(*found), 2) for task_id, found in evidence.items()}


async def queue_place(market: Market, view: TaskView) -> QueuePlace | None:
    """Where a task stands in its queue; None if it is not queued."""
    if view.status != "queued":
        return None
    return await place_in_queue(market, view.category, view.queue_rank, view.task_id)


async def place_in_queue(market: Market, category: str, rank: int, task_id: str) -> QueuePlace:
    """Where a queued task of this category and `queue_rank` stands."""
    async with market.db.read() as conn:
        ahead = await store.count_ahead(conn, category, rank, task_id, _MAX_COUNTED)
        online = await nodes.count_online(conn, NODE_SILENT_SECONDS)
    seconds = market.durations.seconds(category)
    estimate = None if seconds is None or online == 0 else round(seconds * (ahead + 1) / online)
    return QueuePlace(ahead + 1, online, estimate)


async def list_tasks(
    market: Market, buyer_id: str, before: str | None, status: TaskStatus | None, limit: int
) -> TaskPage:
    """A page of a buyer's tasks, newest first; `before` is the last id of the page before."""
    async with market.db.read() as conn:
        views = await store.select_page(conn, buyer_id, before, status, limit + 1)
    more = len(views) > limit
    page = await _with_confidence(market, views[:limit])
    return TaskPage(page, page[-1].task_id if more else None)


async def get_balance(market: Market, buyer_id: str) -> Balance:
    """What a buyer has.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.transaction() as conn:
        balances = await ledger.balances(conn, buyer_id)
        totals = await buyer_totals(conn, buyer_id)
    if totals is None:
        raise not_found("buyer")
    return Balance(balances[Account.BUYER_PROMO], balances[Account.BUYER_PAID], totals)
