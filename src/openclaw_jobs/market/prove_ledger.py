"""The proof that the money adds up, across all modules, in one snapshot."""

from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.ledger import Proof
from openclaw_jobs.market import store, store_payout_proof
from openclaw_jobs.market.context import Market
from openclaw_jobs.payments.deposits import store as deposits
from openclaw_jobs.quality import store_proof as checks

_MAX_VIOLATIONS: Final = 100


async def prove_ledger(market: Market) -> Proof:
    """Prove the ledger, and that tasks, earnings, deposits, checks and sums agree with it.

    It reads everything once, so it is as slow as the ledger is long; it blocks nobody.
    """
    async with market.db.transaction() as conn:
        await store.begin_snapshot(conn)
        await store.take_any_time(conn)
        await store.plan_for_whole_tables(conn)
        proof = await ledger.verify(conn)
        violations = await store.select_violations(conn, _MAX_VIOLATIONS)
        violations += await store_payout_proof.select_violations(conn, _MAX_VIOLATIONS)
        violations += await deposits.select_violations(conn, _MAX_VIOLATIONS)
        violations += await checks.select_violations(conn, _MAX_VIOLATIONS)
    return msgspec.structs.replace(
        proof,
        ok=proof.ok and not violations,
        violations=(*proof.violations, *violations),
    )
