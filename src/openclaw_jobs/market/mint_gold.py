"""Arbitrated tasks become gold tasks, where their buyers said that they may."""

from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import store_golds as store
from openclaw_jobs.quality.checks import Check, Finding
from openclaw_jobs.quality.record import Verdict


async def mint_gold(unit: Unit, check: Check, finding: Finding) -> None:
    """Keep an arbitrated task with the two results that agreed, if one was good and one bad."""
    decided = {finding.first, finding.second}
    if check.original_task_id is None or decided != {Verdict.GOOD, Verdict.BAD}:
        return
    good = check.original_task_id if finding.first is Verdict.GOOD else check.copy_task_id
    if good is None or check.arbiter_task_id is None:
        return
    await store.mint(unit.conn, new_id("gold"), check.original_task_id, good, check.arbiter_task_id)
