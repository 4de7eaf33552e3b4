"""The statement of an account: what it held, every posting in a period, and what it held then."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.db import Connection
from openclaw_jobs.kit.errors import Problem, invalid, not_found
from openclaw_jobs.kit.ids import is_id, typed_id
from openclaw_jobs.ledger import Account, Position, Posting
from openclaw_jobs.ledger import store_statements as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.store import begin_snapshot, plan_by_index, plan_for_whole_tables

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
"""Before all postings."""
END: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""After all postings."""

_MAX_STREAMS: Final = 2
_RETRY_S: Final = "10"
# Each holds a connection and a snapshot for as long as its reader takes.
_streams = asyncio.Semaphore(_MAX_STREAMS)


class AccountBalance(msgspec.Struct, frozen=True):
    """What one account held at both ends of a period, in cents."""

    account: Account
    opening_cents: int
    closing_cents: int


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting, or what an account held (`opening_balance`, `closing_balance`).

    Amounts count as the account's own kind does: what is received, owed or spent is positive.

    Attributes:
        at: The time of its transfer.
        transaction: The transfer's id, `txn_…`.
        kind: Which fact it is of.
        key: The fact's own name.
        account: Where the money stands.
        counter_accounts: The accounts on the other side of its transfer.
        amount_cents: What the posting adds to the account.
        balance_cents: What the account holds after it.
    """

    kind: str
    account: Account
    balance_cents: int
    at: datetime | None = None
    transaction: str | None = None
    key: str | None = None
    counter_accounts: tuple[Account, ...] = ()
    amount_cents: int | None = None


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a statement; the balances are of the whole period.

    Attributes:
        account: Whose, or which platform account's.
        balances: What each of its accounts held.
        lines: Postings, oldest first.
        resume_at: Where the next page begins, if there is one.
    """

    account: str
    balances: list[AccountBalance]
    lines: list[StatementLine]
    resume_at: Position | None


async def get_statement(
    market: Market, name: str, since: datetime, until: datetime, start: Position | None, limit: int
) -> Statement:
    """A page of the statement of a buyer, a worker or a platform account.

    Args:
        market: Where.
        name: `byr_…`, `wrk_…` or an account that belongs to nobody, such as `stripe`.
        since: The period's beginning.
        until: Its end, not part of it.
        start: Where the page before ended.
        limit: The most lines.

    Raises:
        Problem: `not_found`, or `validation_failed` for a period that ends before it begins.
    """
    accounts = _accounts(name, since, until)
    async with market.db.transaction() as conn:
        await begin_snapshot(conn)
        await _require(conn, name)
        first = max(start, Position(since)) if start else Position(since)
        found = await store.select_postings(conn, name, first, until, limit + 1)
        await plan_for_whole_tables(conn)
        opening = await store.sum_before(conn, name, Position(since))
        closing = await store.sum_before(conn, name, Position(until))
        running = await store.sum_before(conn, name, first) if start else dict(opening)
    more = len(found) > limit
    return Statement(
        account=name,
        balances=[AccountBalance(a, _held(a, opening), _held(a, closing)) for a in accounts],
        lines=_lines(found[:limit], running),
        resume_at=found[limit].position if more else None,
    )


async def stream_statement(
    market: Market, name: str, since: datetime, until: datetime
) -> AsyncGenerator[list[StatementLine], None]:
    """A whole statement, batch by batch, from one snapshot of the database.

    Each account's opening balance comes first and its closing balance last, so that a reader
    knows that it has all. A reader that stalls longer than a transaction may idle loses the rest.

    Raises:
        Problem: As `get_statement`; `unavailable` while others read as many as this process
            serves at once.
    """
    accounts = _accounts(name, since, until)
    if _streams.locked():
        raise Problem(
            "unavailable",
            "Other statements are being read; try again in a moment.",
            headers={"Retry-After": _RETRY_S},
        )
    async with _streams, market.db.transaction() as conn:
        await begin_snapshot(conn)
        await _require(conn, name)
        await plan_for_whole_tables(conn)
        running = await store.sum_before(conn, name, Position(since))
        await plan_by_index(conn)
        yield [_balance("opening_balance", account, running) for account in accounts]
        async with store.open_postings(conn, name, Position(since), until) as batches:
            async for batch in batches:
                yield _lines(batch, running)
        yield [_balance("closing_balance", account, running) for account in accounts]


def _accounts(name: str, since: datetime, until: datetime) -> tuple[Account, ...]:
    if since > until:
        raise invalid("to", "The period ends before it begins.")
    accounts = ledger.accounts_of(name)
    if not accounts:
        raise not_found("account")
    return accounts


async def _require(conn: Connection, name: str) -> None:
    """Refuse a buyer or worker that there is not; platform accounts are always there."""
    known = name in set(Account) or (
        (is_id("byr", name) or is_id("wrk", name)) and await ledger.balances(conn, name)
    )
    if not known:
        raise not_found("account")


def _held(account: Account, posted: Mapping[Account, int]) -> int:
    return ledger.balance_cents(account, posted.get(account, 0))


def _balance(kind: str, account: Account, posted: Mapping[Account, int]) -> StatementLine:
    return StatementLine(kind=kind, account=account, balance_cents=_held(account, posted))


def _lines(postings: Sequence[Posting], running: dict[Account, int]) -> list[StatementLine]:
    """Postings as lines; `running` is what was posted before them, and then after them."""
    lines: list[StatementLine] = []
    for posting in postings:
        account = posting.account
        running[account] = running.get(account, 0) + posting.amount_cents
        lines.append(
            StatementLine(
                kind=posting.kind,
                account=account,
                balance_cents=_held(account, running),
                at=posting.position.at,
                transaction=typed_id("txn", posting.position.transfer_id),
                key=posting.key,
                counter_accounts=posting.counter_accounts,
                amount_cents=ledger.balance_cents(account, posting.amount_cents),
            )
        )
    return lines
