"""SQL of reconciliation: what the ledger has of a rail, what is stuck, and the reports.

It reads by time (`transfers_by_time`), or whole tables where a report needs them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.ledger import Account
from openclaw_jobs.payments.reconciliation.models import Finding, PostedOnRail, Reconciliation

_REPORT = "rail, since, until, matched, findings, error, created_at"


class _Findings(msgspec.Struct):
    """What the column `findings` holds."""

    found: int
    items: list[Finding]


async def select_posted(
    conn: Connection, rail: Account, since: datetime, until: datetime
) -> list[PostedOnRail]:
    """Postings on a rail's account in [since, until)."""
    cursor = await conn.execute(
        """
        SELECT t.created_at, t.kind, t.key, p.amount_cents, d.cents
        FROM (SELECT id, created_at, kind, key FROM transfers
            WHERE created_at >= %s AND created_at < %s ORDER BY created_at, id OFFSET 0) AS t
        CROSS JOIN LATERAL (
            SELECT line, amount_cents FROM postings
            WHERE transfer_id = t.id AND account = %s AND owner IS NULL OFFSET 0) AS p
        LEFT JOIN disputes d ON t.kind IN ('dispute_opened', 'dispute_won')
            AND d.id = split_part(t.key, ':', 2) COLLATE "C"
        ORDER BY t.created_at, t.id, p.line
        """,
        (since, until, rail.value),
    )
    return [PostedOnRail(*row) for row in await cursor.fetchall()]


async def select_names(conn: Connection, subjects: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """All names by which a rail may know these Checkout sessions, charges and payouts."""
    cursor = await conn.execute(
        """
        WITH asked AS (SELECT DISTINCT unnest(%s::text[]) COLLATE "C" AS subject)
        SELECT a.subject, ARRAY[d.id, d.session_id, d.payment_intent_id, d.charge_id]
        FROM asked a JOIN deposits d ON d.session_id = a.subject
        UNION ALL
        SELECT a.subject, ARRAY[d.id, d.session_id, d.payment_intent_id, d.charge_id]
        FROM asked a JOIN deposits d ON d.charge_id = a.subject
        UNION ALL
        SELECT a.subject, ARRAY[t.key, t.reference]
        FROM asked a JOIN payout_attempts t ON t.payout_id = a.subject
        """,
        (list(subjects),),
    )
    names: dict[str, tuple[str, ...]] = {}
    for subject, found in await cursor.fetchall():
        names[subject] = (*names.get(subject, ()), *(n for n in found if n is not None))
    return names


async def select_unpaid_deposits(conn: Connection, names: Sequence[str]) -> dict[str, str]:
    """By any of its names at Stripe, the deposit that has not been credited here."""
    cursor = await conn.execute(
        """
        WITH asked AS (SELECT DISTINCT unnest(%s::text[]) COLLATE "C" AS name)
        SELECT a.name, d.id FROM asked a JOIN deposits d ON d.id = a.name
            WHERE d.status <> 'paid'
        UNION ALL SELECT a.name, d.id FROM asked a JOIN deposits d ON d.session_id = a.name
            WHERE d.status <> 'paid'
        UNION ALL SELECT a.name, d.id FROM asked a JOIN deposits d ON d.payment_intent_id = a.name
            WHERE d.status <> 'paid'
        UNION ALL SELECT a.name, d.id FROM asked a JOIN deposits d ON d.charge_id = a.name
            WHERE d.status <> 'paid'
        """,
        (list(names),),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def select_aged_payouts(conn: Connection, before: datetime, limit: int) -> list[Finding]:
    """Payouts that were approved before a time and are neither paid nor back, oldest first."""
    cursor = await conn.execute(
        """
        SELECT id, approved_at, amount_cents, status, error FROM payouts
        WHERE status IN ('approved', 'submitting', 'submitted', 'unknown') AND approved_at < %s
        ORDER BY approved_at, id LIMIT %s
        """,
        (before, limit),
    )
    return [
        Finding(
            kind="payout_aged",
            reference=row[0],
            at=row[1],
            ledger_cents=row[2],
            detail=row[3] if row[4] is None else f"{row[3]}: {row[4]}",
        )
        for row in await cursor.fetchall()
    ]


async def select_stuck(conn: Connection, limit: int) -> list[Finding]:
    """Money in escrow of tasks that have ended, and of payouts that have; reads the ledger."""
    cursor = await conn.execute(
        """
        WITH held AS (
            SELECT account, owner, -sum(amount_cents) AS cents FROM postings
            WHERE account IN ('escrow:task', 'payout') GROUP BY account, owner
            HAVING sum(amount_cents) <> 0
        )
        SELECT 'escrow_stuck', h.owner, coalesce(t.completed_at, now()), h.cents,
            coalesce(t.status, 'unknown')
        FROM held h LEFT JOIN tasks t ON t.id = h.owner
        WHERE h.account = 'escrow:task'
            AND (t.id IS NULL OR t.status NOT IN ('queued', 'claimed'))
        UNION ALL
        SELECT 'payout_stuck', h.owner, coalesce(p.ended_at, now()), h.cents,
            coalesce(p.status, 'unknown')
        FROM held h LEFT JOIN payouts p ON p.id = h.owner
        WHERE h.account = 'payout'
            AND (p.id IS NULL OR p.status IN ('paid', 'failed', 'rejected', 'returned'))
        LIMIT %s
        """,
        (limit,),
    )
    return [
        Finding(kind=row[0], reference=row[1], at=row[2], ledger_cents=int(row[3]), detail=row[4])
        for row in await cursor.fetchall()
    ]


async def select_bad_events(conn: Connection, before: datetime, limit: int) -> list[Finding]:
    """Events that have failed, and those that wait since before a time, oldest first."""
    cursor = await conn.execute(
        """
        SELECT status, source, event_id, received_at, type, error FROM (
            (SELECT * FROM webhook_events WHERE status = 'failed'
                ORDER BY received_at LIMIT %(limit)s)
            UNION ALL
            (SELECT * FROM webhook_events WHERE status = 'pending' AND received_at < %(before)s
                LIMIT %(limit)s)
        ) AS bad ORDER BY received_at, event_id LIMIT %(limit)s
        """,
        {"before": before, "limit": limit},
    )
    return [
        Finding(
            kind="webhook_failed" if row[0] == "failed" else "webhook_aged",
            reference=f"{row[1]}/{row[2]}",
            at=row[3],
            detail=row[4] if row[5] is None else f"{row[4]}: {row[5]}",
        )
        for row in await cursor.fetchall()
    ]


async def insert_report(conn: Connection, report: Reconciliation) -> None:
    """Keep what a comparison found."""
    await conn.execute(
        "INSERT INTO reconciliations (rail, since, until, matched, findings, error, created_at)"
        " VALUES (%s, %s, %s, %s, %s::jsonb, %s, %s)",
        (
            report.rail,
            report.since,
            report.until,
            report.matched,
            msgspec.json.encode(_Findings(report.found, report.findings)).decode(),
            report.error,
            report.created_at,
        ),
    )


async def select_latest(conn: Connection) -> list[Reconciliation]:
    """The latest report on each rail."""
    cursor = await conn.execute(
        f"SELECT DISTINCT ON (rail) {_REPORT} FROM reconciliations ORDER BY rail, id DESC"  # noqa: S608 - own columns
    )
    return [_report(row) for row in await cursor.fetchall()]


async def select_history(conn: Connection, rail: str, limit: int) -> list[Reconciliation]:
    """The latest reports on one rail, newest first."""
    cursor = await conn.execute(
        f"SELECT {_REPORT} FROM reconciliations WHERE rail = %s ORDER BY id DESC LIMIT %s",  # noqa: S608 - own columns
        (rail, limit),
    )
    return [_report(row) for row in await cursor.fetchall()]


def _report(row: Sequence[Any]) -> Reconciliation:
    found = msgspec.convert(row[4], _Findings)
    return Reconciliation(
        rail=row[0],
        since=row[1],
        until=row[2],
        matched=row[3],
        found=found.found,
        findings=found.items,
        error=row[5],
        created_at=row[6],
    )
