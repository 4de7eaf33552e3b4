"""Tasks by the hundred thousand, with the ledger as true as if each had been posted alone.

One statement writes the tasks of a chunk and one their charges, as `post_task` would: the same
price, the same order in the queue, the same transfers past the same guards. What is left out are
the events that nobody reads here.
"""

import time
from collections.abc import Sequence

import msgspec
import psycopg

from openclaw_jobs.economy import price_bonus_seconds, price_cents
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.tasks.rules import queue_rank
from openclaw_jobs.workers import Preferences, WorkerIdentity

CREDIT_CENTS = 10_000_000_000
PROMPT = (
    "Summarise the attached minutes in five sentences for somebody who was not there, name every"
    " decision with who is to carry it out and by when, and say which questions were left open. "
    "Answer in the language of the minutes."
)
RESULT = (
    "The board approved the budget. Ana files the report by Friday; Ben asks the supplier for a "
    "second offer. Open: who chairs in June."
)
CATEGORIES = ("general", "coding", "data", "research", "translation", "writing")
_CHUNK = 20_000


class Buyer(msgspec.Struct, frozen=True):
    """A buyer with its key."""

    buyer_id: str
    key: str


class SeededWorker(msgspec.Struct, frozen=True):
    """A worker with its token."""

    identity: WorkerIdentity
    token: str


async def make_buyers(market: Market, count: int) -> list[Buyer]:
    """Buyers with more credit than a run can spend."""
    made = []
    for number in range(count):
        email = f"buyer{number}-{time.monotonic_ns()}@example.com"
        buyer_id, key = await create_funded_buyer(market, email, CREDIT_CENTS, "bench")
        made.append(Buyer(buyer_id, key.key))
    return made


async def make_workers(market: Market, count: int) -> list[SeededWorker]:
    """Workers that take any task and as many as the contract allows."""
    preferences = Preferences(max_concurrent=1000)
    made = []
    for number in range(count):
        profile, token = await connect_worker(
            market,
            name=f"worker {number}",
            model=None,
            capabilities=[],
            preferences=preferences,
            replay=None,
        )
        identity = WorkerIdentity(
            worker_id=profile.worker_id,
            tier=profile.tier,
            standing=profile.standing,
            suspended_until=None,
            preferences=preferences,
            schedule=None,
        )
        made.append(SeededWorker(identity, token))
    return made


def add_tasks(
    market: Market,
    dsn: str,
    buyers: Sequence[Buyer],
    count: int,
    categories: Sequence[str] = CATEGORIES,
) -> None:
    """Queue `count` tasks, spread over buyers and categories."""
    now = market.clock.now()
    config = market.config
    prices = [price_cents(config.pricing, category, len(PROMPT)) for category in categories]
    ranks = [queue_rank(now, price_bonus_seconds(config.dispatch, price)) for price in prices]
    with psycopg.connect(dsn) as conn:
        conn.execute("SET ROLE openclaw_app")
        row = conn.execute("SELECT count(*) FROM tasks").fetchone()
        first = 0 if row is None else int(row[0])
        for start in range(first, first + count, _CHUNK):
            values = {
                "first": start,
                "last": min(start + _CHUNK, first + count) - 1,
                "buyers": [buyer.buyer_id for buyer in buyers],
                "categories": list(categories),
                "prices": prices,
                "ranks": ranks,
                "prompt": PROMPT,
                "now": now,
                "expiry": config.dispatch.queue_expiry_seconds,
            }
            for statement in _CHUNK_STATEMENTS:
                conn.execute(statement, values)
            conn.commit()


# The ids are well-formed and grow, as those of posted tasks do.
_FRESH = """
    SELECT 'task_' || lpad(n::text, 26, '0') AS id,
        ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS transfer_id,
        (%(buyers)s::text[])[1 + n %% cardinality(%(buyers)s::text[])] AS buyer_id,
        (%(categories)s::text[])[1 + n %% cardinality(%(categories)s::text[])] AS category,
        (%(prices)s::bigint[])[1 + n %% cardinality(%(prices)s::bigint[])] AS price,
        (%(ranks)s::bigint[])[1 + n %% cardinality(%(ranks)s::bigint[])] + n / 100 AS queue_rank
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
_CHUNK_STATEMENTS = (
    f"""
    WITH fresh AS ({_FRESH}), texts AS (
        INSERT INTO task_inputs (task_id, prompt) SELECT id, %(prompt)s FROM fresh
    )
    INSERT INTO tasks (id, buyer_id, category, price_cents, promo_cents, queue_rank, created_at,
        expires_at)
    SELECT id, buyer_id, category, price, price, queue_rank, %(now)s,
        %(now)s::timestamptz + make_interval(secs => %(expiry)s)
    FROM fresh
    """,  # noqa: S608 - own text
    f"""
    WITH fresh AS ({_FRESH}), written AS (
        INSERT INTO transfers (id, key, kind, posting_count)
        SELECT transfer_id, 'charge:' || id, 'task_charge', 2 FROM fresh
    )
    INSERT INTO postings (transfer_id, line, account, owner, amount_cents)
    SELECT transfer_id, 1, 'buyer:promo', buyer_id, price FROM fresh
    UNION ALL SELECT transfer_id, 2, 'escrow:task', id, -price FROM fresh
    """,  # noqa: S608 - own text
    f"""
    WITH spent AS (SELECT buyer_id, sum(price)::bigint AS cents FROM ({_FRESH}) f GROUP BY 1),
    totals AS (
        UPDATE buyer_totals t SET spent_cents = t.spent_cents + s.cents
        FROM spent s WHERE t.buyer_id = s.buyer_id
    )
    UPDATE balances b SET balance_cents = b.balance_cents - s.cents
    FROM spent s WHERE b.owner = s.buyer_id AND b.account = 'buyer:promo'
    """,  # noqa: S608 - own text
)
