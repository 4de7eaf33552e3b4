"""Queues and crowds of workers, written past the doors where a test needs many."""

from collections.abc import Sequence
from typing import Any

import psycopg

from openclaw_jobs.market.context import Market
from openclaw_jobs.market.open_accounts import connect_worker
from openclaw_jobs.workers import TIERS, Preferences, Tier, WorkerIdentity


async def hire(
    market: Market,
    dsn: str,
    tier: Tier = "bronze",
    **wants: Any,  # noqa: ANN401 - fields of Preferences
) -> WorkerIdentity:
    """A worker of this tier."""
    preferences = Preferences(**wants)
    profile, _ = await connect_worker(
        market, name=None, model=None, capabilities=[], preferences=preferences, replay=None
    )
    run(dsn, "UPDATE workers SET tier = %s WHERE id = %s", tier, profile.worker_id)
    return WorkerIdentity(profile.worker_id, tier, "active", None, preferences, None)


def queue(
    dsn: str,
    count: int,
    prefix: str,
    *,
    rank: int = 0,
    category: str = "general",
    price_cents: int = 10,
    min_tier: Tier = "bronze",
    tried_by: Sequence[str] = (),
) -> list[str]:
    """Queue tasks that nobody paid for: the ledger is of no account where this is used."""
    ids = [f"task_{prefix}{number:06}" for number in range(count)]
    with psycopg.connect(dsn) as conn:
        conn.execute(
            "INSERT INTO tasks (id, buyer_id, category, price_cents, promo_cents, min_tier,"
            " queue_rank, attempts, expires_at) SELECT id, 'byr_nobody', %s, %s, 0, %s, %s, %s,"
            " now() + interval '1 day' FROM unnest(%s::text[]) AS t (id)",
            (category, price_cents, TIERS.index(min_tier), rank, len(tried_by), ids),
        )
        conn.execute(
            "INSERT INTO task_inputs (task_id, prompt) SELECT id, 'x' FROM unnest(%s::text[])"
            " AS t (id)",
            (ids,),
        )
        conn.execute(
            "INSERT INTO attempts (task_id, attempt, worker_id, outcome, token_hash, claimed_at)"
            " SELECT id, n, worker_id, 'released', sha256(''), now()"
            " FROM unnest(%s::text[]) AS t (id)"
            " CROSS JOIN unnest(%s::text[]) WITH ORDINALITY AS w (worker_id, n)",
            (ids, list(tried_by)),
        )
    return ids


def run(
    dsn: str,
    statement: str,
    *values: Any,  # noqa: ANN401 - whatever psycopg takes
) -> list[tuple[Any, ...]]:
    """Run a statement as superuser; its rows, if it has any."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        cursor = conn.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
