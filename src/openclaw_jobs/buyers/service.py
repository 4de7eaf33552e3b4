"""Buyers: functions over a connection; the caller commits."""

from collections import defaultdict
from collections.abc import Iterable

from openclaw_jobs.buyers import store
from openclaw_jobs.buyers.models import BuyerTotals, TotalsChange
from openclaw_jobs.db import Connection
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.ids import new_id


async def create_buyer(conn: Connection, user_id: str) -> str:
    """Make a user a buyer; returns the buyer's id. Its accounts are the ledger's to open."""
    buyer_id = new_id("byr")
    await store.insert_buyer(conn, buyer_id, user_id)
    return buyer_id


async def buyer_of_user(conn: Connection, user_id: str) -> str | None:
    """The buyer that a user is, or None."""
    return await store.select_buyer_of_user(conn, user_id)


async def totals(conn: Connection, buyer_id: str) -> BuyerTotals | None:
    """A buyer's lifetime sums, None if there is no such buyer."""
    return await store.select_totals(conn, buyer_id)


async def update_totals(conn: Connection, changes: Iterable[TotalsChange]) -> None:
    """Add to lifetime sums; several changes of one buyer are added up first."""
    by_buyer: defaultdict[str, list[TotalsChange]] = defaultdict(list)
    for change in changes:
        by_buyer[change.buyer_id].append(change)
    if not by_buyer:
        return
    merged = [
        TotalsChange(
            buyer_id=buyer_id,
            deposited_cents=sum(c.deposited_cents for c in each),
            bonus_cents=sum(c.bonus_cents for c in each),
            spent_cents=sum(c.spent_cents for c in each),
            credited_cents=sum(c.credited_cents for c in each),
        )
        for buyer_id, each in sorted(by_buyer.items())
    ]
    await store.add_totals(conn, merged)


async def refuse_suspended(conn: Connection, buyer_id: str) -> None:
    """Let a buyer through that is not suspended.

    Raises:
        Problem: 403 `suspended`.
    """
    if await store.select_suspended(conn, buyer_id):
        raise suspended_problem()


def suspended_problem() -> Problem:
    """The refusal of a suspended buyer."""
    return Problem(
        "suspended",
        "This account is suspended over a disputed payment and can post no tasks until it is"
        " settled. Write to the operator.",
        suspended_until=None,
    )


async def suspended_among(conn: Connection, buyer_ids: Iterable[str]) -> set[str]:
    """Which of these buyers are suspended."""
    return await store.select_suspended_among(conn, sorted(set(buyer_ids)))


async def suspend(conn: Connection, buyer_id: str, reason: str) -> None:
    """Let a buyer post no more tasks; a suspension that is in force keeps its reason."""
    await store.set_suspended(conn, buyer_id, reason)


async def reinstate(conn: Connection, buyer_id: str, reason: str | None = None) -> bool:
    """End a suspension, with `reason` only the one of that reason; False if there was none."""
    return await store.clear_suspended(conn, buyer_id, reason)
