"""Verdicts take effect, all of each in one transaction: money, record, and the buyer's review.

Locks are taken in one order by everybody: tasks by id, the check, its gold task, workers' balances
and lots, the ledger, statistics, records.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
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
from openclaw_jobs.quality import store_judging as store
from openclaw_jobs.quality import store_records as records
from openclaw_jobs.quality.checks import (
    BY_RULES,
    Check,
    CheckStage,
    Finding,
    Outcome,
    Step,
    stage_of,
)
from openclaw_jobs.quality.record import Verdict
from openclaw_jobs.quality.store_pairs import lock_gold
from openclaw_jobs.tasks import store_credits

_KIN: Final = "two of its workers may be one person"


class Compared(msgspec.Struct, frozen=True):
    """A check whose texts were compared.

    Attributes:
        check_id: The check.
        stage: Where it stood when its texts were read.
        finding: What comparing them came to; None if they are gone.
        wrongs: How a wrong answer to a gold task compares with those of others.
    """

    check_id: str
    stage: CheckStage
    finding: Finding | None
    wrongs: Wrongs | None = None

    @property
    def blames(self) -> bool:
        """Whether a result was found bad, and its price goes back."""
        found = self.finding
        return found is not None and Verdict.BAD in {found.first, found.second}


async def apply_findings(market: Market, unit: Unit, compared: Sequence[Compared]) -> set[str]:
    """Move checks on by what was found of them, all with the same statements.

    Args:
        market: Where.
        unit: A transaction that has locked nothing yet.
        compared: Checks in id order. One that blames somebody comes alone: the money of two could
            not be locked in order.

    Returns:
        Those that this call moved, by id; who stands elsewhere by now is left as it is.
    """
    by_id = {one.check_id: one for one in compared}
    blames = any(one.blames for one in compared)
    if blames and len(compared) > 1:
        raise ValueError("a check that blames somebody is judged alone")
    await store.lock_tasks(unit.conn, list(by_id), hidden=blames)
    checks = [
        check
        for check in await store.lock_checks(unit.conn, list(by_id))
        if check.stage == by_id[check.check_id].stage
    ]
    if not checks:
        return set()
    for check in checks:
        if by_id[check.check_id].wrongs is not None and check.gold_id is not None:
            await lock_gold(unit.conn, check.gold_id)
    kin = await _kin(market, unit, [c for c in checks if by_id[c.check_id].finding is not None])
    steps = [_step(market, unit, by_id[c.check_id], is_kin=c.check_id in kin) for c in checks]
    await store.move_on(unit.conn, steps)
    failpoint("check.judged")
    judged = [
        (check, step)
        for check, step in zip(checks, steps, strict=True)
        if step.decided_by is not None
    ]
    await _take_effect(unit, judged)
    for check, _ in judged:
        if (wrongs := by_id[check.check_id].wrongs) is not None:
            await note_pairs(unit, check, wrongs)
    await _settle_reviews(unit, judged)
    for check, step in judged:
        if check.stage == "deciding" and step.finding is not None:
            await mint_gold(unit, check, step.finding)
    return {check.check_id for check in checks}


def _step(market: Market, unit: Unit, one: Compared, *, is_kin: bool) -> Step:
    found = one.finding
    if found is None:
        reason = "a text was erased"
        return Step(check_id=one.check_id, stage="void", finding=None, reason=reason)
    if is_kin:
        return Step(check_id=one.check_id, stage="void", finding=found, reason=_KIN)
    if found.asks_third:
        return Step(
            check_id=one.check_id,
            stage="arbitrating",
            finding=found,
            delay_seconds=random_delay(market, unit),
        )
    return Step(
        check_id=one.check_id,
        stage=stage_of(found.first, found.second),
        finding=found,
        first=found.first,
        second=found.second,
        reason=found.reason,
        decided_by=BY_RULES,
    )


async def _kin(market: Market, unit: Unit, checks: Sequence[Check]) -> set[str]:
    """Those of these checks of whose workers two are one, or share a mark."""
    pairs: dict[str, list[tuple[str, str]]] = {}
    for check in checks:
        workers = (check.first_worker_id, check.second_worker_id, check.third_worker_id)
        known = sorted(worker for worker in workers if worker is not None)
        pairs[check.check_id] = list(combinations(known, 2))
    strangers = {(a, b) for some in pairs.values() for a, b in some if a != b}
    by_network = market.config.quality.separate_by_address
    kin = (
        await store.select_kin(unit.conn, strangers, by_network=by_network) if strangers else set()
    )
    return {
        check_id
        for check_id, some in pairs.items()
        if any(a == b or (a, b) in kin for a, b in some)
    }


async def lock_check(unit: Unit, check_id: str) -> Check | None:
    """Lock a check, and before it the tasks that it is about."""
    await store.lock_tasks(unit.conn, [check_id], hidden=True)
    return next(iter(await store.lock_checks(unit.conn, [check_id])), None)


def verdicts_of(check: Check, first: Verdict | None, second: Verdict | None) -> dict[str, Verdict]:
    """The verdicts by task; a task without one is left out."""
    pairs = ((check.original_task_id, first), (check.copy_task_id, second))
    return {task: v for task, v in pairs if task is not None and v is not None}


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


async def _take_effect(unit: Unit, judged: Sequence[tuple[Check, Step]]) -> None:
    """Take the money back of what is bad, and add what was found to the workers' records."""
    found = [(check, verdicts_of(check, step.first, step.second)) for check, step in judged]
    bad = [task for _, verdicts in found for task, v in verdicts.items() if v is Verdict.BAD]
    await take_money_back(unit, bad)
    failpoint("check.blamed")
    outcomes: dict[str, Outcome] = {}
    for check, verdicts in found:
        for outcome in _outcomes(check, verdicts):
            # A result may be looked at by two checks; it counts once.
            outcomes.setdefault(outcome.task_id, outcome)
    if outcomes:
        await _record(unit, list(outcomes.values()))
    failpoint("check.recorded")


def _outcomes(check: Check, verdicts: Mapping[str, Verdict]) -> list[Outcome]:
    workers = {
        check.original_task_id: check.first_worker_id,
        check.copy_task_id: check.second_worker_id,
    }
    return [
        Outcome(task_id, worker_id, check.check_id, verdict is Verdict.BAD)
        for task_id, verdict in verdicts.items()
        if verdict is not Verdict.INCONCLUSIVE and (worker_id := workers[task_id]) is not None
    ]


async def _record(unit: Unit, outcomes: Sequence[Outcome]) -> None:
    """Add outcomes to the records of the workers in their order, each result once."""
    new = await records.insert_outcomes(unit.conn, outcomes, BY_RULES)
    fresh = [outcome for outcome in outcomes if outcome.task_id in new]
    if not fresh:
        return
    changed = await records.lock_records(unit.conn, sorted({one.worker_id for one in fresh}))
    for one in fresh:
        changed[one.worker_id] = rules.after_outcome(changed[one.worker_id], bad=one.bad)
    await records.update_records(unit.conn, changed)


async def _settle_reviews(unit: Unit, judged: Sequence[tuple[Check, Step]]) -> None:
    """Decide what buyers ask back for results that were judged."""
    verdicts = [
        (check.original_task_id, step.first)
        for check, step in judged
        if check.original_task_id is not None and step.first in {Verdict.GOOD, Verdict.BAD}
    ]
    if verdicts:
        waiting = await store_credits.select_in_review(unit.conn, [task for task, _ in verdicts])
        for task_id, verdict in verdicts:
            if task_id in waiting:
                await settle_review(unit, task_id, verdict, BY_RULES)


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
