"""SQL of the proofs of the ledger that were made: when, how long they took, what they found."""

from datetime import datetime

import msgspec

from openclaw_jobs.db import Connection


class ProofRecord(msgspec.Struct, frozen=True):
    """One proof of the ledger.

    Attributes:
        proved_at: When it ended.
        age_s: How long ago that is, by the database's clock.
        took_s: How long it took, in seconds.
        ok: Whether there was no violation.
        transactions: How many transfers there were.
        violations: How many violations it listed.
    """

    proved_at: datetime
    age_s: float
    took_s: float
    ok: bool
    transactions: int
    violations: int


async def select_latest(conn: Connection) -> ProofRecord | None:
    """The newest proof; None before the first."""
    cursor = await conn.execute(
        "SELECT proved_at, extract(epoch FROM clock_timestamp() - proved_at)::float8, took_s, ok,"
        " transactions, violations FROM ledger_proofs ORDER BY id DESC LIMIT 1"
    )
    row = await cursor.fetchone()
    return None if row is None else ProofRecord(*row)


async def insert_proof(
    conn: Connection, *, took_s: float, ok: bool, transactions: int, violations: int
) -> None:
    """Keep what a proof found."""
    await conn.execute(
        "INSERT INTO ledger_proofs (took_s, ok, transactions, violations) VALUES (%s, %s, %s, %s)",
        (took_s, ok, transactions, violations),
    )


async def delete_old(conn: Connection, keep: int) -> None:
    """Forget all but the newest `keep` proofs."""
    await conn.execute(
        "DELETE FROM ledger_proofs WHERE id <= (SELECT max(id) FROM ledger_proofs) - %s", (keep,)
    )
