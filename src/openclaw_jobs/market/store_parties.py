"""SQL of what an operator sees and does of workers and buyers, across their modules."""

from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.market.models_parties import BuyerRow, DepositRow, EventRow, WorkerRow


async def select_workers(
    conn: Connection,
    *,
    before: str | None,
    standing: str | None,
    tier: str | None,
    limit: int,
    worker_id: str | None = None,
    find: str | None = None,
) -> list[WorkerRow]:
    """Workers under the id `before`, newest first; or the one with this id.

    `find` is an e-mail address, or part of a name.
    """
    cursor = await conn.execute(
        """
        SELECT w.id, w.name, w.model, w.tier, w.counts, w.counts, w.suspended_until,
            w.suspended_reason, w.strikes, w.email, w.created_at,
            s.completed, s.failed, s.expired, s.credited,
            (SELECT count(*) FROM leases l WHERE l.worker_id = w.id),
            coalesce((SELECT b.balance_cents FROM balances b
                WHERE b.owner = w.id AND b.account = 'worker:frozen'), 0),
            coalesce((SELECT b.balance_cents FROM balances b
                WHERE b.owner = w.id AND b.account = 'worker:available'), 0),
            coalesce((SELECT b.balance_cents FROM balances b
                WHERE b.owner = w.id AND b.account = 'receivable:worker'), 0)
        FROM (
            SELECT *, CASE WHEN standing = 'suspended' AND suspended_until <= now()
                THEN 'active' ELSE standing END AS counts
            FROM workers
        ) AS w JOIN worker_stats s ON s.worker_id = w.id
        WHERE (%(id)s::text IS NULL OR w.id = %(id)s)
            AND (%(before)s::text IS NULL OR w.id < %(before)s)
            AND (%(standing)s::text IS NULL OR w.counts = %(standing)s)
            AND (%(tier)s::text IS NULL OR w.tier = %(tier)s)
            AND (%(find)s::text IS NULL OR lower(w.email) = lower(%(find)s)
                OR position(lower(%(find)s) IN lower(w.name)) > 0)
        ORDER BY w.id DESC LIMIT %(limit)s
        """,
        {
            "id": worker_id,
            "before": before,
            "standing": standing,
            "tier": tier,
            "find": find,
            "limit": limit,
        },
    )
    return [WorkerRow(*row) for row in await cursor.fetchall()]


async def select_buyers(
    conn: Connection,
    *,
    before: str | None,
    suspended: bool | None,
    limit: int,
    buyer_id: str | None = None,
    find: str | None = None,
) -> list[BuyerRow]:
    """Buyers under the id `before`, newest first; or the one with this id.

    `find` is part of an e-mail address.
    """
    cursor = await conn.execute(
        """
        SELECT b.id, u.email, b.suspended_at, b.suspended_reason, b.created_at,
            coalesce((SELECT p.balance_cents FROM balances p
                WHERE p.owner = b.id AND p.account = 'buyer:paid'), 0),
            coalesce((SELECT p.balance_cents FROM balances p
                WHERE p.owner = b.id AND p.account = 'buyer:promo'), 0),
            coalesce((SELECT p.balance_cents FROM balances p
                WHERE p.owner = b.id AND p.account = 'receivable:buyer'), 0),
            t.deposited_cents, t.bonus_cents, t.spent_cents, t.credited_cents
        FROM buyers b JOIN users u ON u.id = b.user_id JOIN buyer_totals t ON t.buyer_id = b.id
        WHERE (%(id)s::text IS NULL OR b.id = %(id)s)
            AND (%(before)s::text IS NULL OR b.id < %(before)s)
            AND (%(suspended)s::bool IS NULL OR (b.suspended_at IS NOT NULL) = %(suspended)s)
            AND (%(find)s::text IS NULL OR position(lower(%(find)s) IN lower(u.email)) > 0)
        ORDER BY b.id DESC LIMIT %(limit)s
        """,
        {"id": buyer_id, "before": before, "suspended": suspended, "find": find, "limit": limit},
    )
    return [BuyerRow(*row) for row in await cursor.fetchall()]


async def select_held(conn: Connection, worker_id: str) -> list[str]:
    """The tasks that a worker holds."""
    cursor = await conn.execute("SELECT task_id FROM leases WHERE worker_id = %s", (worker_id,))
    return [row[0] for row in await cursor.fetchall()]


async def suspend_worker(
    conn: Connection, worker_id: str, reason: str, until: datetime | None
) -> bool:
    """Suspend a worker until a time, or for good; False if there is none such."""
    cursor = await conn.execute(
        "UPDATE workers SET standing = 'suspended', suspended_reason = %s, suspended_until = %s"
        " WHERE id = %s",
        (reason, until, worker_id),
    )
    return cursor.rowcount == 1


async def reinstate_worker(conn: Connection, worker_id: str) -> bool:
    """Make a worker active again, with no strikes; False if there is none such."""
    cursor = await conn.execute(
        "UPDATE workers SET standing = 'active', suspended_reason = NULL, suspended_until = NULL,"
        " strikes = 0 WHERE id = %s",
        (worker_id,),
    )
    return cursor.rowcount == 1


async def select_events(
    conn: Connection,
    *,
    before: tuple[datetime, str, str] | None,
    status: str | None,
    limit: int,
) -> list[EventRow]:
    """What providers told us before a time (source and id part those of one time), newest first."""
    at, source, event_id = before or (None, None, None)
    cursor = await conn.execute(
        """
        SELECT source, event_id, type, status, attempts, error, received_at, handled_at
        FROM webhook_events
        WHERE (%(at)s::timestamptz IS NULL
                OR (received_at, source, event_id) < (%(at)s, %(source)s, %(id)s))
            AND (%(status)s::text IS NULL OR status = %(status)s)
        ORDER BY received_at DESC, source DESC, event_id DESC LIMIT %(limit)s
        """,
        {"at": at, "source": source, "id": event_id, "status": status, "limit": limit},
    )
    return [EventRow(*row) for row in await cursor.fetchall()]


async def select_deposits(
    conn: Connection, *, before: str | None, status: str | None, limit: int
) -> list[DepositRow]:
    """All buyers' deposits under the id `before`, newest first."""
    cursor = await conn.execute(
        """
        SELECT id, buyer_id, pack, cents, bonus_cents, refunded_cents, fee_cents, status,
            session_id, payment_intent_id, charge_id, created_at, paid_at
        FROM deposits
        WHERE (%(before)s::text IS NULL OR id < %(before)s)
            AND (%(status)s::text IS NULL OR status = %(status)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"before": before, "status": status, "limit": limit},
    )
    return [DepositRow(*row) for row in await cursor.fetchall()]
