"""A buyer cancels a task that nobody has begun, and gets its price back."""

from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.end_tasks import refund_tasks
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.tasks import TaskView, store


async def cancel_task(
    market: Market, buyer_id: str, task_id: str, replay: Replay[TaskView] | None
) -> TaskView:
    """Take a queued task back with a full refund.

    Raises:
        Problem: `not_found`, or `not_cancellable` once it is not queued.
    """

    async def effect(unit: Unit) -> TaskView:
        ended = await store.end_queued(unit.conn, buyer_id, task_id, "cancelled", unit.now)
        if ended is None:
            status = await store.select_status(unit.conn, buyer_id, task_id)
            if status is None:
                raise not_found("task")
            raise Problem(
                "not_cancellable", f"The task is {status}; only a queued one can be cancelled."
            )
        await refund_tasks(unit, [ended], "cancelled")
        view = await store.select_view(unit.conn, buyer_id, task_id)
        if view is None:
            raise not_found("task")
        return view

    return await run(market, effect, replay)
