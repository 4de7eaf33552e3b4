"""A buyer gets its money back for a bad result, or has it looked at."""

from typing import Final

import msgspec

from openclaw_jobs import flags
from openclaw_jobs.economy.rules import credit_window
from openclaw_jobs.flags import Sighting
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.apply_verdict import settle_review
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import new_check
from openclaw_jobs.market.grant_checks import grant_if_due
from openclaw_jobs.market.take_back import apply_credit
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.payments import rules
from openclaw_jobs.quality import store_checks
from openclaw_jobs.quality.checks import BY_RULES
from openclaw_jobs.tasks import store_credits as store
from openclaw_jobs.tasks.models import Credit, CreditableTask

RULES: Final = "rules"
"""Who decided a credit that no operator was asked about."""


class CreditOutcome(msgspec.Struct, frozen=True):
    """What became of a demand: credited with the balance after it, or waiting for an operator."""

    task_id: str
    credited: bool
    credited_cents: int
    balance_cents: int


async def credit_task(
    market: Market,
    buyer_id: str,
    task_id: str,
    reason: str | None,
    replay: Replay[CreditOutcome] | None,
) -> CreditOutcome:
    """Give a task's price back, within the window and once, or have an operator decide.

    Raises:
        Problem: `not_found`, `already_credited`, `not_creditable`.
    """
    quality = market.config.quality

    async def effect(unit: Unit) -> CreditOutcome:
        task = await store.lock_task(unit.conn, task_id, buyer_id)
        if task is None:
            raise not_found("task")
        await _check_creditable(market, unit, task)
        await store.wait_for_credits(unit.conn, buyer_id)
        completed, asked = await store.count_credits(unit.conn, buyer_id)
        wait = rules.needs_review(
            completed, asked, quality.auto_credit_rate, quality.auto_credit_min_tasks
        )
        await store.insert_credit(
            unit.conn,
            Credit(
                task_id=task.task_id,
                buyer_id=buyer_id,
                worker_id=task.worker_id or "",
                amount_cents=task.price_cents,
                reason=reason,
                status="review" if wait else "credited",
                requested_at=task.now,
                decided_at=None if wait else task.now,
                decided_by=None if wait else RULES,
            ),
        )
        if wait:
            detail = {"completed": completed, "asked": asked + 1, "task_id": task_id}
            await flags.raise_flags(unit.conn, [Sighting(buyer_id, "credit_limit", detail)])
            await store.set_status(unit.conn, task_id, "credit_review", 0)
            await _look_at(market, unit, task)
            return CreditOutcome(task_id, credited=False, credited_cents=0, balance_cents=0)
        balance = await apply_credit(unit, task)
        await _look_at(market, unit, task)
        return CreditOutcome(task_id, True, task.price_cents, balance)  # noqa: FBT003 - credited

    await grant_if_due(market)
    outcome = await run(market, effect, replay)
    failpoint("credit.committed")
    return outcome


async def _look_at(market: Market, unit: Unit, task: CreditableTask) -> None:
    """Have a result looked at that its buyer says is bad: that alone counts against nobody.

    What was found before counts, and what is being found; without either, and without budget for
    a check of its own, a demand that waits is left to an operator.
    """
    verdict, under_way = await store_checks.decided_of_task(unit.conn, task.task_id)
    if verdict is not None:
        await settle_review(unit, task.task_id, verdict, BY_RULES)
    elif not under_way and market.config.quality.enabled:
        check = new_check(
            market, unit, "credit", task.task_id, task.category, task.price_cents, task.worker_id
        )
        if check is not None:
            await store_checks.insert_checks(unit.conn, [check])


async def _check_creditable(market: Market, unit: Unit, task: CreditableTask) -> None:
    if task.status in {"credited", "credit_review"}:
        detail = "credited already" if task.status == "credited" else "being reviewed already"
        raise Problem("already_credited", f"This task is {detail}.")
    if task.status != "completed" or task.completed_at is None:
        raise Problem(
            "not_creditable", f"The task is {task.status}; only a result can be credited."
        )
    window = credit_window(market.config.quality)
    if not rules.within_window(task.completed_at, window, task.now):
        hours = f"{window.total_seconds() / 3600:g}"
        raise Problem("not_creditable", f"The {hours} hours for asking a credit have passed.")
    if await store.select_credit(unit.conn, task.task_id) is not None:
        raise Problem("not_creditable", "A credit for this task was asked and declined.")
