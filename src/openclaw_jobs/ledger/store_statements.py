"""The SQL of statements: postings of one account in the order of time, and sums up to a place.

A buyer's or worker's postings are found by `postings_by_owner`; those of a platform account by
the time of their transfers (`transfers_by_time`), since an index on them would be paid for at
each settlement and a report is seldom asked for.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, LiteralString

from openclaw_jobs.db import Connection
from openclaw_jobs.ledger.models import EXPENSES, Account, Position, Posting

# Written out as in the index's own condition, so that any plan may use the index. The order of
# the joins is fixed (OFFSET 0 keeps a subquery whole): a planner that knows little of young tables
# would read the whole ledger by time to find a few postings of one owner, or join it row by row.
_OF_OWNER: LiteralString = """
    (SELECT transfer_id, line, account, amount_cents FROM postings
        WHERE owner = %(name)s AND account IN ('buyer:paid', 'buyer:promo', 'receivable:buyer',
            'worker:frozen', 'worker:available', 'receivable:worker') OFFSET 0) AS p
    CROSS JOIN LATERAL (
        SELECT id, created_at, kind, key FROM transfers WHERE id = p.transfer_id OFFSET 0) AS t
"""
_OF_PLATFORM: LiteralString = """
    (SELECT id, created_at, kind, key FROM transfers
        WHERE created_at < %(until)s AND (created_at, id) >= (%(at)s, %(id)s)
        ORDER BY created_at, id OFFSET 0) AS t
    CROSS JOIN LATERAL (
        SELECT transfer_id, line, account, amount_cents FROM postings
        WHERE transfer_id = t.id AND owner IS NULL AND account = %(name)s OFFSET 0) AS p
"""
_BATCH = 1000


def _is_platform(name: str) -> bool:
    return name in set(Account)


def _lines(name: str) -> LiteralString:
    return f"""
        SELECT s.*, ARRAY(
            SELECT DISTINCT o.account FROM postings o WHERE o.transfer_id = s.id
                AND sign(o.amount_cents) <> sign(s.amount_cents) ORDER BY o.account)
        FROM (
            SELECT t.created_at, t.id, p.line, t.kind, t.key, p.account, p.amount_cents
            FROM {_OF_PLATFORM if _is_platform(name) else _OF_OWNER}
            WHERE t.created_at < %(until)s
                AND (t.created_at, t.id, p.line) >= (%(at)s, %(id)s, %(line)s)
            ORDER BY t.created_at, t.id, p.line LIMIT %(limit)s
        ) AS s ORDER BY s.created_at, s.id, s.line
        """  # noqa: S608 - own tables


def _range(name: str, start: Position, until: datetime, limit: int | None) -> dict[str, object]:
    return {
        "name": name,
        "at": start.at,
        "id": start.transfer_id,
        "line": start.line,
        "until": until,
        "limit": limit,
    }


def _posting(row: tuple[Any, ...]) -> Posting:
    return Posting(
        position=Position(row[0], row[1], row[2]),
        kind=row[3],
        key=row[4],
        account=Account(row[5]),
        amount_cents=row[6],
        counter_accounts=tuple(Account(name) for name in row[7]),
    )


async def select_postings(
    conn: Connection, name: str, start: Position, until: datetime, limit: int
) -> list[Posting]:
    """The first postings of an owner or platform account from `start`, before `until`."""
    cursor = await conn.execute(_lines(name), _range(name, start, until, limit))
    return [_posting(row) for row in await cursor.fetchall()]


@asynccontextmanager
async def open_postings(
    conn: Connection, name: str, start: Position, until: datetime
) -> AsyncIterator[AsyncIterator[list[Posting]]]:
    """All of them, read batch by batch from one cursor of the transaction that `conn` is in."""

    async def batches() -> AsyncIterator[list[Posting]]:
        while rows := await cursor.fetchmany(_BATCH):
            yield [_posting(row) for row in rows]

    async with conn.cursor("statement") as cursor:
        await cursor.execute(_lines(name), _range(name, start, until, None))
        yield batches()


async def sum_before(conn: Connection, name: str, end: Position) -> dict[Account, int]:
    """The sum of an owner's or platform account's postings before a place, by account.

    For a platform account it reads the whole ledger.
    """
    tables: LiteralString = _OF_OWNER
    if _is_platform(name):
        tables = """
            postings AS p JOIN transfers AS t ON t.id = p.transfer_id
                AND p.owner IS NULL AND p.account = %(name)s
            """
    cursor = await conn.execute(
        f"""
        SELECT p.account, sum(p.amount_cents) FROM {tables}
        WHERE (t.created_at, t.id, p.line) < (%(at)s, %(id)s, %(line)s)
        GROUP BY p.account
        """,  # noqa: S608 - own tables
        {"name": name, "at": end.at, "id": end.transfer_id, "line": end.line},
    )
    return {Account(row[0]): int(row[1]) for row in await cursor.fetchall()}


async def sum_by_day(
    conn: Connection, since: datetime, until: datetime
) -> list[tuple[datetime, Account, int]]:
    """What was posted to commission and expenses, by UTC day (its midnight) and account."""
    cursor = await conn.execute(
        """
        SELECT date_trunc('day', t.created_at, 'UTC') AS day, p.account, sum(p.amount_cents)
        FROM transfers t JOIN postings p ON p.transfer_id = t.id
        WHERE t.created_at >= %s AND t.created_at < %s AND p.account = ANY(%s)
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        (since, until, [Account.COMMISSION.value, *sorted(EXPENSES)]),
    )
    return [(row[0], Account(row[1]), int(row[2])) for row in await cursor.fetchall()]


async def sum_accounts(conn: Connection) -> dict[Account, int]:
    """The sum of all postings by account; reads the whole ledger."""
    cursor = await conn.execute("SELECT account, sum(amount_cents) FROM postings GROUP BY account")
    return {Account(row[0]): int(row[1]) for row in await cursor.fetchall()}


async def sum_kinds(conn: Connection, since: datetime) -> dict[str, tuple[int, int]]:
    """How many transfers of each kind there were from `since` on, and how much they moved."""
    cursor = await conn.execute(
        """
        SELECT t.kind, count(DISTINCT t.id), sum(p.amount_cents)
        FROM transfers t JOIN postings p ON p.transfer_id = t.id AND p.amount_cents > 0
        WHERE t.created_at >= %s GROUP BY t.kind
        """,
        (since,),
    )
    return {row[0]: (row[1], int(row[2])) for row in await cursor.fetchall()}
