"""SQL of buyers."""

from collections.abc import Sequence

from openclaw_jobs.buyers.models import BuyerTotals, TotalsChange
from openclaw_jobs.db import Connection


async def insert_buyer(conn: Connection, buyer_id: str, user_id: str) -> None:
    """Insert a buyer with its row of sums."""
    await conn.execute("INSERT INTO buyers (id, user_id) VALUES (%s, %s)", (buyer_id, user_id))
    await conn.execute("INSERT INTO buyer_totals (buyer_id) VALUES (%s)", (buyer_id,))


async def select_buyer_of_user(conn: Connection, user_id: str) -> str | None:
    """The id of the buyer that a user is."""
    cursor = await conn.execute("SELECT id FROM buyers WHERE user_id = %s", (user_id,))
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def select_totals(conn: Connection, buyer_id: str) -> BuyerTotals | None:
    """A buyer's lifetime sums."""
    cursor = await conn.execute(
        "SELECT deposited_cents, bonus_cents, spent_cents, credited_cents"
        " FROM buyer_totals WHERE buyer_id = %s",
        (buyer_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else BuyerTotals(*row)


async def add_totals(conn: Connection, changes: Sequence[TotalsChange]) -> None:
    """Add to the sums of buyers that are given in id order, each once."""
    await conn.execute(
        """
        WITH change AS (
            SELECT * FROM unnest(%(buyers)s::text[], %(deposited)s::bigint[], %(bonus)s::bigint[],
                %(spent)s::bigint[], %(credited)s::bigint[])
                AS c (buyer_id, deposited, bonus, spent, credited)
        ), locked AS (
            SELECT buyer_id FROM buyer_totals WHERE buyer_id = ANY(%(buyers)s::text[])
            ORDER BY buyer_id FOR UPDATE
        )
        UPDATE buyer_totals t
        SET deposited_cents = t.deposited_cents + c.deposited,
            bonus_cents = t.bonus_cents + c.bonus,
            spent_cents = t.spent_cents + c.spent,
            credited_cents = t.credited_cents + c.credited
        FROM change c JOIN locked USING (buyer_id) WHERE t.buyer_id = c.buyer_id
        """,
        {
            "buyers": [c.buyer_id for c in changes],
            "deposited": [c.deposited_cents for c in changes],
            "bonus": [c.bonus_cents for c in changes],
            "spent": [c.spent_cents for c in changes],
            "credited": [c.credited_cents for c in changes],
        },
    )


async def select_suspended(conn: Connection, buyer_id: str) -> bool:
    """Whether a buyer is suspended."""
    cursor = await conn.execute(
        "SELECT suspended_at IS NOT NULL FROM buyers WHERE id = %s", (buyer_id,)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def select_suspended_among(conn: Connection, buyer_ids: Sequence[str]) -> set[str]:
    """Which of these buyers are suspended."""
    cursor = await conn.execute(
        "SELECT id FROM buyers WHERE id = ANY(%s) AND suspended_at IS NOT NULL",
        (list(buyer_ids),),
    )
    return {row[0] for row in await cursor.fetchall()}


async def set_suspended(conn: Connection, buyer_id: str, reason: str) -> None:
    """Suspend a buyer; one that is suspended already keeps its first reason."""
    await conn.execute(
        "UPDATE buyers SET suspended_at = now(), suspended_reason = %s"
        " WHERE id = %s AND suspended_at IS NULL",
        (reason, buyer_id),
    )


async def clear_suspended(conn: Connection, buyer_id: str, reason: str | None) -> bool:
    """End a suspension, with a reason only the one that has it; False if there was none."""
    cursor = await conn.execute(
        """
        UPDATE buyers SET suspended_at = NULL, suspended_reason = NULL
        WHERE id = %(buyer)s AND suspended_at IS NOT NULL
            AND (%(reason)s::text IS NULL OR suspended_reason = %(reason)s)
        """,
        {"buyer": buyer_id, "reason": reason},
    )
    return cursor.rowcount == 1
