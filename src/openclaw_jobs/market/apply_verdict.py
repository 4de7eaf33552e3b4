"""A verdict takes effect, all of it in one transaction: money, record, and the buyer's review.

Locks are taken in one order by everybody: tasks by id, the check, its gold task, workers' balances
and lots, the ledger, statistics, records.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import random_delay
from openclaw_jobs.market.mint_gold import mint_gold
from openclaw_jobs.market.note_pairs import Wrongs, note_pairs
from openclaw_jobs.market.take_back import apply_credit, claw_back
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import rules
from openclaw_jobs.quality import store_checks as store
from openclaw_jobs.quality import store_records as records
from openclaw_jobs.quality.checks import BY_RULES, Check, CheckStage, Finding, Outcome
from openclaw_jobs.quality.record import Verdict
from openclaw_jobs.quality.store_pairs import lock_gold
from openclaw_jobs.tasks import store_credits

_KIN: Final = "two of its workers may be one person"


async def apply_finding(
    market: Market,
    unit: Unit,
    check_id: str,
    stage: CheckStage,
    finding: Finding | None,
    wrongs: Wrongs | None = None,
) -> bool:
    """Move a check on by what was found of it.

    Args:
        market: Where.
        unit: A transaction that has locked nothing yet.
        check_id: The check.
        stage: Where it stood when its texts were read.
        finding: What comparing them came to; None if they are gone.
        wrongs: How a wrong answer to a gold task compares with those of others.

    Returns:
        Whether this call moved it; False if it stands elsewhere by now.
    """
    check = await lock_check(unit, check_id)
    if check is None or check.stage != stage:
        return False
    if finding is None:
        await store.set_void(unit.conn, check_id, "a text was erased")
        return True
    await store.keep_finding(
        unit.conn,
        check_id,
        (finding.agree, finding.similarity, finding.method, finding.engine, finding.why),
        msgspec.json.encode(finding.evidence).decode(),
    )
    if wrongs is not None and check.gold_id is not None:
        await lock_gold(unit.conn, check.gold_id)
    if await _are_kin(market, unit, check):
        await store.set_void(unit.conn, check_id, _KIN)
        return True
    if finding.asks_third:
        await store.ask_third(unit.conn, check_id, random_delay(market, unit))
        return True
    await store.decide(unit.conn, check_id, finding.first, finding.second, finding.reason, BY_RULES)
    failpoint("check.judged")
    verdicts = verdicts_of(check, finding.first, finding.second)
    await take_money_back(unit, [task for task, v in verdicts.items() if v is Verdict.BAD])
    failpoint("check.blamed")
    await _record(unit, check, verdicts)
    failpoint("check.recorded")
    if wrongs is not None:
        await note_pairs(unit, check, wrongs)
    if check.original_task_id is not None:
        await settle_review(unit, check.original_task_id, finding.first, BY_RULES)
    if stage == "deciding":
        await mint_gold(unit, check, finding)
    return True


async def lock_check(unit: Unit, check_id: str) -> Check | None:
    """Lock a check, and before it the tasks that it is about."""
    seen = await store.select_check(unit.conn, check_id)
    if seen is None:
        return None
    tasks = (seen.original_task_id, seen.copy_task_id, seen.arbiter_task_id)
    await store.lock_tasks(unit.conn, [task for task in tasks if task is not None])
    return await store.lock_check(unit.conn, check_id)


def verdicts_of(check: Check, first: Verdict | None, second: Verdict | None) -> dict[str, Verdict]:
    """The verdicts by task; a task without one is left out."""
    pairs = ((check.original_task_id, first), (check.copy_task_id, second))
    return {task: v for task, v in pairs if task is not None and v is not None}


async def _are_kin(market: Market, unit: Unit, check: Check) -> bool:
    workers = (check.first_worker_id, check.second_worker_id, check.third_worker_id)
    known = [worker for worker in workers if worker is not None]
    return len(known) > 1 and await store.are_kin(
        unit.conn, known, by_network=market.config.quality.separate_by_address
    )


async def take_money_back(unit: Unit, task_ids: list[str]) -> None:
    """Give the prices of locked tasks back whose results were bad, unless that was done before."""
    found = [await store_credits.lock_task(unit.conn, task, None) for task in sorted(task_ids)]
    bad = [task for task in found if task and task.status in {"completed", "credit_review"}]
    if len(bad) > 1:
        await ledger.lock_balances(unit.conn, [task.worker_id or "" for task in bad])
    for task in bad:
        if task.buyer_id is None:
            await claw_back(unit, task)
        else:
            await apply_credit(unit, task)


async def _record(unit: Unit, check: Check, verdicts: Mapping[str, Verdict]) -> None:
    """Add what was found to the records of the workers, each result once."""
    workers = {
        check.original_task_id: check.first_worker_id,
        check.copy_task_id: check.second_worker_id,
    }
    outcomes = [
        Outcome(task_id, worker_id, check.check_id, verdict is Verdict.BAD)
        for task_id, verdict in verdicts.items()
        if verdict is not Verdict.INCONCLUSIVE and (worker_id := workers[task_id]) is not None
    ]
    new = await records.insert_outcomes(unit.conn, outcomes, BY_RULES) if outcomes else set()
    bad = {outcome.worker_id: outcome.bad for outcome in outcomes if outcome.task_id in new}
    if bad:
        found = await records.lock_records(unit.conn, sorted(bad))
        changed = {
            worker: rules.after_outcome(record, bad=bad[worker]) for worker, record in found.items()
        }
        await records.update_records(unit.conn, changed)


async def settle_review(unit: Unit, task_id: str, verdict: Verdict | None, by: str) -> None:
    """Decide a buyer's demand for its money by what was found of the result.

    A bad one was credited already; what is inconclusive waits for an operator.
    """
    credit = await store_credits.select_credit(unit.conn, task_id)
    if credit is None or credit.status != "review":
        return
    task = await store_credits.lock_task(unit.conn, task_id, None)
    if task is None:
        return
    if verdict is Verdict.BAD:
        await store_credits.decide_credit(unit.conn, task_id, "credited", by, task.now)
    elif verdict is Verdict.GOOD:
        await store_credits.set_status(unit.conn, task_id, "completed", 0)
        await store_credits.decide_credit(unit.conn, task_id, "rejected", by, task.now)
        unit.tell(task.buyer_id, "task.completed", task_id, status="completed")
