"""A stopped worker sees why, says something to it once, and an operator answers."""

from typing import Final

import msgspec

from openclaw_jobs import audit
from openclaw_jobs.kit.errors import Problem, invalid, not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.manage_parties import let_back
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.quality import store_standing as store
from openclaw_jobs.quality.standing import Appeal, BadResult, Suspension
from openclaw_jobs.workers import Profile
from openclaw_jobs.workers import service as workers

_NOTHING_TO_APPEAL: Final = "This worker was not stopped for its results."


class StandingView(msgspec.Struct, frozen=True):
    """A worker's standing, and if it is stopped, why; `results` are its own."""

    profile: Profile
    suspension: Suspension | None
    results: list[BadResult]


class AppealPage(msgspec.Struct, frozen=True):
    """Appeals; `resume_after` is the last id if there are more."""

    appeals: list[Appeal]
    resume_after: str | None


async def read_standing(market: Market, worker_id: str) -> StandingView:
    """Why a worker may or may not work.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.transaction() as conn:
        profile = await workers.profile(conn, worker_id)
        if profile is None:
            raise not_found("worker")
        suspension = await store.select_suspension(conn, worker_id)
        results = (
            []
            if suspension is None
            else await store.select_results(conn, worker_id, suspension.task_ids)
        )
    return StandingView(profile, suspension, results)


async def appeal(
    market: Market, worker_id: str, text: str, replay: Replay[Suspension] | None
) -> Suspension:
    """Say something to one's suspension; an operator decides.

    Raises:
        Problem: `validation_failed` without a suspension for results, or for a second appeal.
    """

    async def effect(unit: Unit) -> Suspension:
        suspension = await store.select_suspension(unit.conn, worker_id)
        if suspension is None or suspension.cause != "quality":
            raise Problem("validation_failed", _NOTHING_TO_APPEAL)
        if not await store.set_appeal(unit.conn, worker_id, text):
            raise Problem("validation_failed", "This suspension was appealed already.")
        appealed = await store.select_suspension(unit.conn, worker_id)
        if appealed is None:
            raise not_found("suspension")
        return appealed

    return await run(market, effect, replay)


async def list_appeals(
    market: Market, *, waiting: bool, before: str | None, limit: int
) -> AppealPage:
    """Appeals that wait for an answer, oldest first; or those that have one, newest first."""
    if before is not None and not is_id("sus", before):
        raise invalid("cursor", "This is no cursor of this list.")
    async with market.db.read() as conn:
        found = await store.select_appeals(conn, waiting=waiting, before=before, limit=limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return AppealPage(page, page[-1].suspension.suspension_id if more else None)


async def decide_appeal(
    market: Market,
    suspension_id: str,
    *,
    uphold: bool,
    answer: str,
    actor: str,
    replay: Replay[Suspension] | None,
) -> Suspension:
    """Let a worker back in, with the test begun anew, or let its suspension stand.

    Raises:
        Problem: `not_found`, or `validation_failed` where nothing waits for an answer.
    """

    async def effect(unit: Unit) -> Suspension:
        if not is_id("sus", suspension_id):
            raise not_found("suspension")
        found = await store.lock_suspension(unit.conn, suspension_id)
        if found is None:
            raise not_found("suspension")
        if found.appealed_at is None or found.decided_at is not None:
            raise Problem("validation_failed", "No appeal waits for an answer here.")
        await store.decide_appeal(
            unit.conn, suspension_id, upheld=uphold, answer=answer, decided_by=actor
        )
        if uphold and found.ended_at is None:
            await let_back(unit, found.worker_id)
        action = "appeal.uphold" if uphold else "appeal.reject"
        await audit.record(unit.conn, actor, action, found.worker_id, {"suspension": suspension_id})
        decided = await store.lock_suspension(unit.conn, suspension_id)
        if decided is None:
            raise not_found("suspension")
        return decided

    return await run(market, effect, replay)
