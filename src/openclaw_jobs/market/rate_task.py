"""A buyer says whether a result was good; no money moves."""

from typing import Literal

from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.tell_browsers import tell_change
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.tasks import TaskView, store

_VALUES: dict[Literal["up", "down"] | None, int | None] = {"up": 1, "down": -1, None: None}


async def rate_task(
    market: Market,
    buyer_id: str,
    task_id: str,
    rating: Literal["up", "down"] | None,
    replay: Replay[TaskView] | None,
) -> TaskView:
    """Keep a rating, or take it back with None.

    Raises:
        Problem: `not_found`, or `validation_failed` for a task that has no result.
    """

    async def effect(unit: Unit) -> TaskView:
        rated = await store.set_rating(unit.conn, buyer_id, task_id, _VALUES[rating])
        view = await store.select_view(unit.conn, buyer_id, task_id)
        if view is None:
            raise not_found("task")
        if not rated:
            raise invalid("rating", f"The task is {view.status}; only a result can be rated.")
        await tell_change(unit, buyer_id, task_id)
        return view

    return await run(market, effect, replay)
