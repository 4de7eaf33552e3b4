"""SQL of lots: what becomes of an earning after its settlement.

Whoever changes a worker's lots holds the worker's balances first (`ledger.lock_balances`).
"""

from collections.abc import Sequence

from openclaw_jobs.db import Connection
from openclaw_jobs.payments.models import DueEarning, Lot, LotChange

_LOT = """task_id, worker_id, gross_cents, commission_cents, net_cents, status, available_cents,
    withdrawn_cents, clawed_cents"""


async def select_due_workers(conn: Connection, limit: int) -> list[str]:
    """The workers of the `limit` lots that have been due for longest by the database's clock."""
    cursor = await conn.execute(
        """
        SELECT DISTINCT worker_id FROM (
            SELECT worker_id FROM earnings WHERE status = 'frozen' AND release_at <= now()
            ORDER BY release_at LIMIT %s) AS due
        """,
        (limit,),
    )
    return [row[0] for row in await cursor.fetchall()]


async def select_due(conn: Connection, workers: Sequence[str], limit: int) -> list[DueEarning]:
    """Frozen lots of these workers that are due, oldest first."""
    cursor = await conn.execute(
        """
        SELECT task_id, worker_id, net_cents FROM earnings
        WHERE status = 'frozen' AND release_at <= now() AND worker_id = ANY(%s)
        ORDER BY release_at, task_id LIMIT %s
        """,
        (list(workers), limit),
    )
    return [DueEarning(*row) for row in await cursor.fetchall()]


async def release(conn: Connection, task_ids: Sequence[str], repaid_cents: Sequence[int]) -> None:
    """Make frozen lots available, less what repays a debt."""
    await conn.execute(
        """
        UPDATE earnings e SET status = 'available', available_cents = e.net_cents - r.repaid,
            clawed_cents = r.repaid
        FROM unnest(%s::text[], %s::bigint[]) AS r (task_id, repaid)
        WHERE e.task_id = r.task_id COLLATE "C" AND e.status = 'frozen'
        """,
        (list(task_ids), list(repaid_cents)),
    )


async def lock_lot(conn: Connection, task_id: str) -> Lot | None:
    """A task's lot."""
    cursor = await conn.execute(
        f"SELECT {_LOT} FROM earnings WHERE task_id = %s FOR UPDATE",  # noqa: S608 - own columns
        (task_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else Lot(*row)


async def lock_open_lots(conn: Connection, worker_id: str, needed_cents: int) -> list[Lot]:
    """A worker's available lots, oldest first, as many as `needed_cents` takes."""
    cursor = await conn.execute(
        f"""
        SELECT {_LOT} FROM earnings WHERE task_id IN (
            SELECT task_id FROM (
                SELECT task_id, sum(available_cents) OVER (ORDER BY release_at, task_id)
                    - available_cents AS before
                FROM earnings WHERE worker_id = %s AND available_cents > 0) AS running
            WHERE before < %s)
        ORDER BY release_at, task_id FOR UPDATE
        """,  # noqa: S608 - own columns
        (worker_id, needed_cents),
    )
    return [Lot(*row) for row in await cursor.fetchall()]


async def lock_clawed_lots(conn: Connection, worker_id: str, needed_cents: int) -> list[Lot]:
    """A worker's lots that something was clawed back of, as many as `needed_cents` takes."""
    cursor = await conn.execute(
        f"""
        SELECT {_LOT} FROM earnings WHERE task_id IN (
            SELECT task_id FROM (
                SELECT task_id, sum(clawed_cents) OVER (ORDER BY release_at, task_id)
                    - clawed_cents AS before
                FROM earnings WHERE worker_id = %s AND clawed_cents > 0) AS running
            WHERE before < %s)
        ORDER BY release_at, task_id FOR UPDATE
        """,  # noqa: S608 - own columns
        (worker_id, needed_cents),
    )
    return [Lot(*row) for row in await cursor.fetchall()]


async def update_lots(conn: Connection, changes: Sequence[LotChange]) -> None:
    """Move parts of lots that are locked; every lot still adds up, or the database refuses."""
    if not changes:
        return
    await conn.execute(
        """
        UPDATE earnings e SET available_cents = e.available_cents + c.available,
            withdrawn_cents = e.withdrawn_cents + c.withdrawn,
            clawed_cents = e.clawed_cents + c.clawed,
            status = CASE WHEN c.credited THEN 'credited' ELSE e.status END
        FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bool[])
            AS c (task_id, available, withdrawn, clawed, credited)
        WHERE e.task_id = c.task_id COLLATE "C"
        """,
        (
            [c.task_id for c in changes],
            [c.available_cents for c in changes],
            [c.withdrawn_cents for c in changes],
            [c.clawed_cents for c in changes],
            [c.credited for c in changes],
        ),
    )
