"""An auditor that shares nothing with the ledger's code: its own SQL and its own arithmetic.

It reads the raw tables row by row and recomputes in Python what everybody is owed. It knows the
rules of double entry and the signs of the accounts, from the design and not from the package.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import psycopg

FLOORED = {
    "buyer:paid",
    "buyer:promo",
    "worker:frozen",
    "worker:available",
    "escrow:task",
    "payout",
    "dispute_hold",
    "receivable:buyer",
    "receivable:worker",
}
OWED_TO_US = {"receivable:buyer", "receivable:worker"}
CACHED = {"buyer:paid", "buyer:promo", "worker:frozen", "worker:available", *OWED_TO_US}
ENDINGS = {"settle", "refund"}


@dataclass
class Audit:
    """What the books say.

    Attributes:
        balances: What is owed, by owner and account, zero included where a row is kept.
        escrow: What each task holds; those that hold nothing are left out.
        platform: Debits less credits of each account of the platform.
        keys: The key of every transfer.
    """

    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    escrow: dict[str, int] = field(default_factory=dict)
    platform: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


def audit(conn: psycopg.Connection) -> Audit:
    """Recompute everything; an AssertionError says what does not add up."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        transfers = conn.execute("SELECT id, key, kind, posting_count FROM transfers").fetchall()
        postings = conn.execute(
            "SELECT transfer_id, line, account, owner, amount_cents FROM postings"
        ).fetchall()
        kept = conn.execute("SELECT owner, account, balance_cents FROM balances").fetchall()
    _check_transfers(transfers, postings)
    return _recompute(transfers, postings, kept)


def _check_transfers(
    transfers: list[tuple[object, str, str, int]],
    postings: list[tuple[object, int, str, str | None, int]],
) -> None:
    lines: dict[object, list[int]] = defaultdict(list)
    totals: dict[object, int] = defaultdict(int)
    for transfer_id, line, _account, _owner, cents in postings:
        assert cents, f"{transfer_id} has a posting of nothing"
        lines[transfer_id].append(line)
        totals[transfer_id] += cents
    assert set(lines) == {row[0] for row in transfers}, "a transfer or its postings are missing"
    for transfer_id, key, _kind, count in transfers:
        assert sorted(lines[transfer_id]) == list(range(1, count + 1)), f"{key} is not whole"
        assert totals[transfer_id] == 0, f"{key} is out by {totals[transfer_id]}"
    ended = [key.partition(":")[2] for _, key, _, _ in transfers if key.split(":")[0] in ENDINGS]
    assert len(ended) == len(set(ended)), "a task was both settled and refunded"


def _recompute(
    transfers: list[tuple[object, str, str, int]],
    postings: list[tuple[object, int, str, str | None, int]],
    kept: list[tuple[str, str, int]],
) -> Audit:
    found = Audit(keys={row[1] for row in transfers})
    owed: dict[tuple[str | None, str], int] = defaultdict(int)
    for _id, _line, account, owner, cents in postings:
        owed[owner, account] += cents if account in OWED_TO_US else -cents
    for (owner, account), cents in owed.items():
        assert account not in FLOORED or cents >= 0, f"{account} of {owner} is {cents}"
        if account == "escrow:task":
            assert owner is not None
            if cents:
                found.escrow[owner] = cents
        elif owner is None:
            found.platform[account] = -cents
    for owner, account, cents in kept:
        assert cents == owed.get((owner, account), 0), f"{account} of {owner} is kept as {cents}"
        found.balances[owner, account] = cents
    missing = {pair for pair in owed if pair[1] in CACHED} - set(found.balances)
    assert not missing, f"no balance is kept for {missing}"
    return found
