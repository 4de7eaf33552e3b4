"""An operator judges a result otherwise than a check did, or in its stead."""

from collections.abc import Mapping

from openclaw_jobs import audit, ledger
from openclaw_jobs.kit.errors import Problem, invalid, not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.apply_verdict import lock_check, settle_review, take_money_back
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.take_back import give_again
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.quality import rules, store_judging, store_reading
from openclaw_jobs.quality import store_records as records
from openclaw_jobs.quality.checks import Check, CheckRow, Outcome
from openclaw_jobs.quality.record import Verdict
from openclaw_jobs.tasks import store_credits


async def overrule_verdict(
    market: Market,
    check_id: str,
    verdicts: Mapping[str, Verdict],
    note: str | None,
    *,
    actor: str,
    replay: Replay[CheckRow] | None,
) -> CheckRow:
    """Judge the results of a check; what is said again changes nothing.

    A result that becomes bad has its price taken back, as if the check had found it so. One that
    was bad and becomes good, or inconclusive, counts so in its worker's record from now on, and
    the platform pays the worker what was taken from it. What a buyer got back stays the buyer's.

    Args:
        market: Where.
        check_id: The check.
        verdicts: `first`, `second` or both: of the original, and of the copy or gold task.
        note: Why, for the audit log.
        actor: The operator.
        replay: How to answer the request if it comes again.

    Raises:
        Problem: `not_found`, `validation_failed` for a result that there is not, or `wrong_state`
            for one that is to be bad for the second time: its worker was paid again for it.
    """

    async def effect(unit: Unit) -> CheckRow:
        check = await lock_check(unit, check_id) if is_id("chk", check_id) else None
        if check is None:
            raise not_found("check")
        if _changes(check, verdicts):
            await _overrule(unit, check, verdicts, note, actor)
        found = await store_reading.select_one(unit.conn, check_id)
        if found is None:
            raise not_found("check")
        return found

    return await run(market, effect, replay)


def _changes(check: Check, verdicts: Mapping[str, Verdict]) -> bool:
    has = {"first": check.first_verdict, "second": check.second_verdict}
    return any(has[side] is not verdict for side, verdict in verdicts.items())


async def _overrule(
    unit: Unit, check: Check, verdicts: Mapping[str, Verdict], note: str | None, actor: str
) -> None:
    results = {
        "first": (check.original_task_id, check.first_worker_id),
        "second": (check.copy_task_id, check.second_worker_id),
    }
    judged: dict[str, tuple[str, Verdict]] = {}
    for side, verdict in verdicts.items():
        task_id, worker_id = results[side]
        if task_id is None or worker_id is None:
            raise invalid(side, "This check has no such result.")
        judged[task_id] = (worker_id, verdict)
    await _refuse_restored(unit, judged)
    first = verdicts.get("first", check.first_verdict)
    second = verdicts.get("second", check.second_verdict)
    reason = note or "an operator decided"
    await store_judging.decide(unit.conn, check.check_id, first, second, reason, actor)
    await _lock_money(unit, judged)
    by_worker = sorted(judged.items(), key=lambda item: item[1][0])
    for task_id, (_, verdict) in by_worker:
        if verdict is Verdict.BAD:
            await take_money_back(unit, [task_id])
        else:
            await _give_again(unit, task_id)
    for task_id, (worker_id, verdict) in by_worker:
        await _turn(
            unit,
            Outcome(task_id, worker_id, check.check_id, verdict is Verdict.BAD),
            judged=verdict is not Verdict.INCONCLUSIVE,
            actor=actor,
        )
    if check.original_task_id in judged:
        await settle_review(unit, check.original_task_id or "", first, actor)
    detail = {"first": first, "second": second, "note": note}
    await audit.record(unit.conn, actor, "quality.verdict", check.check_id, detail)


async def _refuse_restored(unit: Unit, judged: Mapping[str, tuple[str, Verdict]]) -> None:
    """Refuse to find bad what was bad and was not: its worker was paid again, once and for ever."""
    for task_id, (_, verdict) in judged.items():
        if verdict is Verdict.BAD and await ledger.is_posted(
            unit.conn, ledger.restore_key(task_id)
        ):
            raise Problem(
                "wrong_state",
                f"The result of {task_id} was found bad, and then it was not, and its worker was"
                " paid again for it. That is not taken back: it can only be good or inconclusive.",
            )


async def _lock_money(unit: Unit, judged: Mapping[str, tuple[str, Verdict]]) -> None:
    """Hold all balances that may change before anything that everybody locks after them.

    Workers' come before buyers', as where one price goes back.
    """
    await ledger.lock_balances(unit.conn, [worker_id for worker_id, _ in judged.values()])
    bad = sorted(task_id for task_id, (_, verdict) in judged.items() if verdict is Verdict.BAD)
    tasks = [await store_credits.lock_task(unit.conn, task_id, None) for task_id in bad]
    buyers = [task.buyer_id for task in tasks if task is not None and task.buyer_id is not None]
    if buyers:
        await ledger.lock_balances(unit.conn, buyers)


async def _give_again(unit: Unit, task_id: str) -> None:
    """Pay the worker of a result that a check had found bad, and that is not."""
    outcome = await records.select_outcome(unit.conn, task_id)
    if outcome is not None and outcome.bad:
        task = await store_credits.lock_task(unit.conn, task_id, None)
        if task is not None:
            await give_again(unit, task)


async def _turn(unit: Unit, outcome: Outcome, *, judged: bool, actor: str) -> None:
    """Write down what is said of a result now, and add the worker's record up anew."""
    before = await records.lock_record(unit.conn, outcome.worker_id)
    bad = outcome.bad if judged else None
    if not judged or not await records.insert_outcome(unit.conn, outcome, actor):
        await records.turn_outcome(unit.conn, outcome.task_id, bad=bad, decided_by=actor)
    outcomes = await records.select_outcomes(unit.conn, outcome.worker_id)
    since = await records.last_reinstatement(unit.conn, outcome.worker_id)
    changed = rules.added_up(
        [bad for _, bad in outcomes],
        anew_from=sum(at <= since for at, _ in outcomes) if since else 0,
        before=before,
    )
    await records.update_record(unit.conn, outcome.worker_id, changed)
