"""Posting, balances and the proof. Nothing here commits; the caller owns the transaction."""

from collections.abc import Awaitable, Callable, Sequence

import psycopg

from openclaw_jobs.db import Connection
from openclaw_jobs.ledger import store
from openclaw_jobs.ledger.models import (
    BUYER_ACCOUNTS,
    OWNER_PREFIXES,
    WORKER_ACCOUNTS,
    Account,
    Proof,
    Transfer,
)


async def open_accounts(conn: Connection, owner: str, accounts: Sequence[Account]) -> None:
    """Give a new buyer or worker a balance of zero in each account.

    Raises:
        ValueError: An account has no balances, or is not for this type of owner.
        psycopg.errors.UniqueViolation: One is open already.
    """
    for account in accounts:
        kept = account in BUYER_ACCOUNTS or account in WORKER_ACCOUNTS
        if not kept or owner.partition("_")[0] != OWNER_PREFIXES[account]:
            raise ValueError(f"{account} is not an account to open for {owner}")
    await store.insert_balances(conn, owner, accounts)


async def post(conn: Connection, transfers: Sequence[Transfer]) -> None:
    """Write transfers with their postings and move the balances that they touch, all or none.

    One statement for the whole batch. The balances are locked in the order of (owner, account),
    so batches never deadlock among themselves; a caller that locks more does so before, and in
    an order of its own. The floor is held for the batch as a whole, not line by line.
    Transactions run at READ COMMITTED, as the pool's do.

    Raises:
        InsufficientFunds: A balance would fall below zero.
        DuplicateTransfer: One of the facts is in the ledger already.
        UnknownAccount: `open_accounts` was never called for an owner.
        ValueError: An id, key or actor is not plain (see `rules.is_plain`).
        psycopg.errors.CheckViolation: A transfer is not whole and balanced, or a line names an
            account or owner that the chart does not know; `rules` builds none such.
    """
    if not transfers:
        return
    try:
        await store.call_ledger_post(conn, transfers)
    except psycopg.Error as exc:
        meant = store.refusal(exc)
        if meant is None:
            raise
        raise meant from exc


async def balances(conn: Connection, owner: str, *, for_update: bool = False) -> dict[Account, int]:
    """What the platform owes one buyer or worker, in cents by account; empty if none was opened.

    Args:
        conn: With `for_update`, a connection inside a transaction.
        owner: A buyer's or a worker's id.
        for_update: Hold the balances still until the transaction ends.
    """
    return await store.select_balances(conn, owner, for_update=for_update)


async def lock_balances(conn: Connection, owners: Sequence[str]) -> dict[str, dict[Account, int]]:
    """The balances of several buyers or workers, held still until the transaction ends."""
    return await (await ask_balances(conn, owners))()


async def ask_balances(
    conn: Connection, owners: Sequence[str]
) -> Callable[[], Awaitable[dict[str, dict[Account, int]]]]:
    """As `lock_balances`, to be sent with a statement that follows.

    What follows is done when they are held; what is returned waits for the answer.
    """
    asked = await store.ask_balances(conn, sorted(set(owners)))

    async def answer() -> dict[str, dict[Account, int]]:
        found: dict[str, dict[Account, int]] = {}
        for owner, account, cents in await asked():
            found.setdefault(owner, {})[Account(account)] = cents
        return found

    return answer


async def is_posted(conn: Connection, key: str) -> bool:
    """Whether a fact is in the ledger, by its own name."""
    return await store.select_is_posted(conn, key)


async def verify(conn: Connection) -> Proof:
    """Prove the ledger from its postings, in one snapshot.

    Every transfer is whole and sums to zero, none lacks its postings, every cached balance is
    what its postings say, no balance is missing, and nothing is owed less than zero. It reads
    the whole ledger, so its statement time-out has to fit.
    """
    return await store.select_proof(conn)
