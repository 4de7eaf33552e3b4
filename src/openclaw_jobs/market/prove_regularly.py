"""The ledger is proved again and again, and every node can tell when it last was."""

import time
from typing import Final

import structlog

from openclaw_jobs.market import store, store_proofs
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.market.store_proofs import ProofRecord
from openclaw_jobs.market.unit import begin

_log = structlog.get_logger(__name__)

EVERY_S: Final = 600.0
"""The least time between two proofs. A ledger that takes long to prove is proved less often."""

# A proof reads everything; it may take this share of the time of one connection and one core.
_REST_PER_WORK: Final = 50
_KEEP: Final = 1_000


async def prove_regularly(market: Market) -> bool | None:
    """Prove the ledger if nobody has for a while, and keep what was found.

    Any number of processes may call this. A proof holds no lock, so that it blocks nobody; two may
    begin one at the same moment, which costs time and nothing else.

    Returns:
        Whether it adds up; None if no proof was due.
    """
    async with market.db.read() as conn:
        if not _is_due(await store_proofs.select_latest(conn)):
            return None
    started = time.monotonic()
    proof = await prove_ledger(market)
    took_s = time.monotonic() - started
    if not proof.ok:
        # The sentences name owners and transfers, no texts and no secrets.
        _log.error("ledger_violated", violations=list(proof.violations[:10]))
    async with begin(market) as unit:
        if await store.try_job_lock(unit.conn, "prove_ledger"):
            await store_proofs.delete_old(unit.conn, _KEEP)
        await store_proofs.insert_proof(
            unit.conn,
            took_s=took_s,
            ok=proof.ok,
            transactions=proof.transactions,
            violations=len(proof.violations),
        )
    return proof.ok


def _is_due(latest: ProofRecord | None) -> bool:
    return latest is None or latest.age_s >= max(EVERY_S, latest.took_s * _REST_PER_WORK)
