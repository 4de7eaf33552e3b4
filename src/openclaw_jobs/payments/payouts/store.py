"""SQL of payouts, their attempts and the lots that they are made of."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from openclaw_jobs.db import Connection
from openclaw_jobs.payments.models import Lot
from openclaw_jobs.payments.payouts.models import (
    Attempt,
    DuePayout,
    Payout,
    PayoutMethod,
    PayoutStatus,
)
from openclaw_jobs.payments.providers.base import Prepared, ProviderName

_PAYOUT = """p.id, p.worker_id, p.amount_cents, p.fee_cents, p.method, p.address, p.provider,
    p.status, p.attempt, p.approved_by, p.approved_at, p.error, p.created_at, p.ended_at"""
_ATTEMPT = """a.payout_id, a.attempt, a.provider, a.key, a.reference, a.signed, a.valid_until,
    a.prepared_at IS NOT NULL, a.status"""
_PAYOUT_COLUMNS = 14


def _payout(row: Sequence[Any]) -> Payout:
    return Payout(**dict(zip(Payout.__struct_fields__, row, strict=True)))


def _attempt(row: Sequence[Any]) -> Attempt:
    return Attempt(**dict(zip(Attempt.__struct_fields__, row, strict=True)))


async def insert_payout(
    conn: Connection,
    payout_id: str,
    worker_id: str,
    amount_cents: int,
    method: PayoutMethod,
    address: str,
) -> Payout:
    """Insert a pending payout."""
    cursor = await conn.execute(
        "INSERT INTO payouts AS p (id, worker_id, amount_cents, method, address)"  # noqa: S608 - own columns
        f" VALUES (%s, %s, %s, %s, %s) RETURNING {_PAYOUT}",
        (payout_id, worker_id, amount_cents, method, address),
    )
    row = await cursor.fetchone()
    if row is None:  # pragma: no cover - INSERT … RETURNING always answers
        message = "the payout was not inserted"
        raise RuntimeError(message)
    return _payout(row)


async def withdrawn_since(conn: Connection, worker_id: str, since: datetime) -> int:
    """What a worker has asked for since then, without what was rejected or failed."""
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(amount_cents), 0)::bigint FROM payouts
        WHERE worker_id = %s AND created_at >= %s AND status NOT IN ('rejected', 'failed')
        """,
        (worker_id, since),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def replace_lots(
    conn: Connection, payout_id: str, task_ids: Sequence[str], cents: Sequence[int]
) -> None:
    """Say which lots a payout is made of, instead of those it may have been made of before."""
    await conn.execute("DELETE FROM payout_lots WHERE payout_id = %s", (payout_id,))
    await conn.execute(
        "INSERT INTO payout_lots (payout_id, task_id, cents)"
        " SELECT %s, unnest(%s::text[]), unnest(%s::bigint[])",
        (payout_id, list(task_ids), list(cents)),
    )


async def lock_lots(conn: Connection, payout_id: str) -> list[tuple[Lot, int]]:
    """The lots that a payout is made of, oldest first, and how much of each is in it."""
    cursor = await conn.execute(
        """
        SELECT e.task_id, e.worker_id, e.gross_cents, e.commission_cents, e.net_cents, e.status,
            e.available_cents, e.withdrawn_cents, e.clawed_cents, l.cents
        FROM payout_lots l JOIN earnings e ON e.task_id = l.task_id
        WHERE l.payout_id = %s ORDER BY e.release_at, e.task_id FOR UPDATE OF e
        """,
        (payout_id,),
    )
    return [(Lot(*row[:-1]), row[-1]) for row in await cursor.fetchall()]


async def lock_payout(conn: Connection, payout_id: str) -> Payout | None:
    """A payout, held still until the transaction ends."""
    cursor = await conn.execute(
        f"SELECT {_PAYOUT} FROM payouts p WHERE id = %s FOR NO KEY UPDATE",  # noqa: S608 - own columns
        (payout_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else _payout(row)


async def is_taken(conn: Connection, payout_id: str) -> bool:
    """Whether a process has a payout in hand, and may be about to send it."""
    cursor = await conn.execute(
        "SELECT taken_until > now() FROM payouts WHERE id = %s", (payout_id,)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def save_payout(
    conn: Connection, payout: Payout, check_in_s: float = 0, *, in_hand: bool = False
) -> None:
    """Write what has become of a payout that is locked; it is due again after so many seconds.

    `in_hand`: the process that has taken it goes on with it.
    """
    await conn.execute(
        """
        UPDATE payouts SET fee_cents = %s, provider = %s, status = %s, attempt = %s,
            approved_by = %s, approved_at = %s, error = %s, ended_at = %s,
            next_check_at = now() + %s * interval '1 second',
            taken_until = CASE WHEN %s THEN taken_until END
        WHERE id = %s
        """,
        (
            payout.fee_cents,
            payout.provider,
            payout.status,
            payout.attempt,
            payout.approved_by,
            payout.approved_at,
            payout.error,
            payout.ended_at,
            check_in_s,
            in_hand,
            payout.payout_id,
        ),
    )


async def delay_check(conn: Connection, payout_id: str, error: str, check_in_s: float) -> None:
    """Try a payout that is still under way again later, and keep why."""
    await conn.execute(
        """
        UPDATE payouts SET error = %s, next_check_at = now() + %s * interval '1 second',
            taken_until = NULL
        WHERE id = %s AND status IN ('approved', 'submitting', 'submitted', 'unknown')
        """,
        (error, check_in_s, payout_id),
    )


async def lock_small(
    conn: Connection, up_to_cents: int, methods: Collection[str], limit: int
) -> list[Payout]:
    """Pending payouts of active workers that are small enough, oldest first; none is waited for."""
    cursor = await conn.execute(
        f"""
        SELECT {_PAYOUT} FROM payouts p
        WHERE p.status = 'pending' AND p.amount_cents <= %s AND p.method = ANY(%s)
            AND EXISTS (SELECT FROM workers w WHERE w.id = p.worker_id AND (w.standing = 'active'
                OR w.standing = 'suspended' AND w.suspended_until <= now()))
        ORDER BY p.created_at LIMIT %s FOR NO KEY UPDATE OF p SKIP LOCKED
        """,  # noqa: S608 - own columns
        (up_to_cents, list(methods), limit),
    )
    return [_payout(row) for row in await cursor.fetchall()]


async def take_due(
    conn: Connection, providers: Collection[str], limit: int, hold_s: float
) -> list[DuePayout]:
    """Payouts that are due at these providers, longest first, not due again for `hold_s`."""
    cursor = await conn.execute(
        f"""
        WITH due AS (
            SELECT id FROM payouts
            WHERE status IN ('approved', 'submitting', 'submitted', 'unknown')
                AND next_check_at <= now() AND provider = ANY(%s)
            ORDER BY next_check_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE payouts p SET next_check_at = now() + %s * interval '1 second',
                taken_until = now() + %s * interval '1 second'
            FROM due WHERE p.id = due.id RETURNING p.*
        )
        SELECT {_PAYOUT}, extract(epoch FROM now() - coalesce(a.created_at, now()))::float8,
            {_ATTEMPT}
        FROM taken p LEFT JOIN payout_attempts a ON a.payout_id = p.id AND a.attempt = p.attempt
        """,  # noqa: S608 - own columns
        (list(providers), limit, hold_s, hold_s),
    )
    return [
        DuePayout(
            payout=_payout(row[:_PAYOUT_COLUMNS]),
            age_s=row[_PAYOUT_COLUMNS],
            attempt=None
            if row[_PAYOUT_COLUMNS + 1] is None
            else _attempt(row[_PAYOUT_COLUMNS + 1 :]),
        )
        for row in await cursor.fetchall()
    ]


async def insert_attempt(
    conn: Connection, payout_id: str, attempt: int, provider: ProviderName, key: str
) -> Attempt:
    """Insert an attempt that nothing has been done for yet."""
    cursor = await conn.execute(
        "INSERT INTO payout_attempts AS a (payout_id, attempt, provider, key)"  # noqa: S608 - own columns
        f" VALUES (%s, %s, %s, %s) RETURNING {_ATTEMPT}",
        (payout_id, attempt, provider, key),
    )
    row = await cursor.fetchone()
    if row is None:  # pragma: no cover - INSERT … RETURNING always answers
        message = "the attempt was not inserted"
        raise RuntimeError(message)
    return _attempt(row)


async def select_attempt(conn: Connection, payout_id: str, attempt: int) -> Attempt | None:
    """An attempt."""
    cursor = await conn.execute(
        f"SELECT {_ATTEMPT} FROM payout_attempts a WHERE payout_id = %s AND attempt = %s",  # noqa: S608 - own columns
        (payout_id, attempt),
    )
    row = await cursor.fetchone()
    return None if row is None else _attempt(row)


async def save_prepared(conn: Connection, payout_id: str, attempt: int, prepared: Prepared) -> None:
    """Keep what was prepared; once only, as what is kept may have been sent."""
    await conn.execute(
        """
        UPDATE payout_attempts SET reference = %s, signed = %s, valid_until = %s,
            prepared_at = now()
        WHERE payout_id = %s AND attempt = %s AND prepared_at IS NULL AND status = 'started'
        """,
        (prepared.reference, prepared.signed, prepared.valid_until, payout_id, attempt),
    )


async def end_attempt(
    conn: Connection,
    payout_id: str,
    attempt: int,
    status: str,
    *,
    reference: str | None = None,
    error: str | None = None,
) -> None:
    """Write how far an attempt has come; a reference, once known, stays."""
    await conn.execute(
        """
        UPDATE payout_attempts SET status = %s, reference = coalesce(%s, reference), error = %s,
            ended_at = CASE WHEN %s IN ('paid', 'failed') THEN now() END
        WHERE payout_id = %s AND attempt = %s
        """,
        (status, reference, error, status, payout_id, attempt),
    )


async def select_page(
    conn: Connection, worker_id: str, before: str | None, limit: int
) -> list[Payout]:
    """A worker's payouts with ids under `before`, newest first."""
    cursor = await conn.execute(
        f"""
        SELECT {_PAYOUT} FROM payouts p WHERE p.worker_id = %s
            AND (%s::text IS NULL OR p.id < %s COLLATE "C")
        ORDER BY p.id DESC LIMIT %s
        """,  # noqa: S608 - own columns
        (worker_id, before, before, limit),
    )
    return [_payout(row) for row in await cursor.fetchall()]


async def select_all(
    conn: Connection,
    statuses: Collection[PayoutStatus] | None,
    provider: ProviderName | None,
    before: str | None,
    limit: int,
) -> list[Payout]:
    """Payouts of all workers with ids under `before`, newest first."""
    cursor = await conn.execute(
        f"""
        SELECT {_PAYOUT} FROM payouts p
        WHERE (%(statuses)s::text[] IS NULL OR p.status = ANY(%(statuses)s))
            AND (%(provider)s::text IS NULL OR p.provider = %(provider)s)
            AND (%(before)s::text IS NULL OR p.id < %(before)s COLLATE "C")
        ORDER BY p.id DESC LIMIT %(limit)s
        """,  # noqa: S608 - own columns
        {
            "statuses": None if statuses is None else sorted(statuses),
            "provider": provider,
            "before": before,
            "limit": limit,
        },
    )
    return [_payout(row) for row in await cursor.fetchall()]
