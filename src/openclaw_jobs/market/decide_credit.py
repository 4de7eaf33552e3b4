"""An operator decides on credits beyond what a buyer gets without being asked."""

from openclaw_jobs import audit
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.take_back import apply_credit
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.tasks import store_credits as store
from openclaw_jobs.tasks.models import Credit


async def list_waiting_credits(market: Market, limit: int) -> list[Credit]:
    """Credits that wait for a decision, oldest first."""
    async with market.db.read() as conn:
        return await store.select_waiting(conn, limit)


async def decide_credit(
    market: Market, task_id: str, *, approve: bool, actor: str, replay: Replay[Credit] | None
) -> Credit:
    """Credit a task that waits for it, or leave its worker paid.

    Raises:
        Problem: `not_found`, or `not_creditable` when nothing waits for a decision.
    """

    async def effect(unit: Unit) -> Credit:
        task = await store.lock_task(unit.conn, task_id, None)
        if task is None:
            raise not_found("task")
        if task.status != "credit_review":
            raise Problem(
                "not_creditable", f"The task is {task.status}; no credit waits for a decision."
            )
        if approve:
            await apply_credit(unit, task)
        else:
            await store.set_status(unit.conn, task_id, "completed", 0)
            unit.tell(task.buyer_id, "task.completed", task_id, status="completed")
        status = "credited" if approve else "rejected"
        await store.decide_credit(unit.conn, task_id, status, actor, task.now)
        action = "credit.approve" if approve else "credit.reject"
        await audit.record(unit.conn, actor, action, task_id, {"cents": task.price_cents})
        decided = await store.select_credit(unit.conn, task_id)
        if decided is None:
            raise not_found("task")
        return decided

    return await run(market, effect, replay)
