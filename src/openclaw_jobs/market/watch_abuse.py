"""What looks like abuse: found now and then, flagged for operators, and where that helps slowed."""

from collections import defaultdict
from datetime import timedelta
from typing import Final

from openclaw_jobs import audit, flags
from openclaw_jobs.buyers import store_marks as buyer_marks
from openclaw_jobs.flags import Flag, FlagKind, FlagPage, Sighting
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import first_id
from openclaw_jobs.market import store_abuse as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.manage_parties import take_tasks
from openclaw_jobs.market.store import try_job_lock
from openclaw_jobs.market.unit import Replay, Unit, begin, run
from openclaw_jobs.workers import store_marks as worker_marks

__all__ = ["dismiss_flag", "list_flags", "stop_hoarders", "watch_abuse", "write_sightings"]

_BATCH: Final = 5000
_CREDITS_WITHIN: Final = timedelta(days=30)
_NETWORKS_FOR: Final = timedelta(days=90)
_CHANGES_FOR: Final = timedelta(days=365)
_TOLD: Final = "Nearly all tasks that you claimed lately came to nothing."


async def write_sightings(market: Market) -> int:
    """Write down what this process has seen; returns how much was news."""
    seen = market.sightings.take()
    if not seen:
        return 0
    try:
        async with begin(market) as unit:
            return len(await flags.raise_flags(unit.conn, seen))
    except BaseException:
        market.sightings.give_back(seen)
        raise


async def watch_abuse(market: Market) -> int:
    """Look for what only shows over time, one process at a time; returns how much was news."""
    async with begin(market) as unit:
        if not await try_job_lock(unit.conn, "watch_abuse"):
            return 0
        news = await flags.raise_flags(unit.conn, await _find(market, unit))
        await buyer_marks.forget_networks(unit.conn, _NETWORKS_FOR, _BATCH)
        await worker_marks.forget_networks(unit.conn, _NETWORKS_FOR, _BATCH)
        await store.forget_payout_changes(unit.conn, _CHANGES_FOR)
    return len(news)


async def stop_hoarders(market: Market) -> int:
    """Suspend, for a while, who claims tasks and hands in next to none; returns how many.

    Hidden tasks count as any: what became of a claim says nothing of its kind.
    """
    abuse = market.config.abuse
    async with market.db.read() as conn:
        found = await store.select_unfinished(
            conn,
            timedelta(hours=abuse.window_hours),
            abuse.unfinished_claims_min,
            abuse.unfinished_rate_limit,
            _BATCH,
        )
    pause = timedelta(seconds=market.config.dispatch.suspension_seconds)
    stopped = 0
    for worker_id, unfinished, completed in found:
        async with begin(market) as unit:
            await take_tasks(unit, worker_id)
            # Another process may have been faster.
            if await store.suspend_for_a_while(unit.conn, worker_id, _TOLD, pause):
                detail = {
                    "unfinished": unfinished,
                    "completed": completed,
                    "at": unit.now.isoformat(timespec="seconds"),
                }
                seen = Sighting(worker_id, "unfinished_claims", detail)
                await flags.raise_flags(unit.conn, [seen])
                stopped += 1
    return stopped


async def _find(market: Market, unit: Unit) -> list[Sighting]:
    abuse = market.config.abuse
    seen = [
        Sighting(buyer_id, "rejected_credits", {"rejected": count})
        for buyer_id, count in await store.select_rejected_credits(
            unit.conn, _CREDITS_WITHIN, abuse.rejected_credits_max
        )
    ]
    seen += [
        Sighting(buyer_id, "own_worker", {"worker_ids": workers})
        for buyer_id, workers in await store.select_own_workers(unit.conn, _BATCH)
    ]
    since = first_id("task", unit.now - timedelta(hours=abuse.window_hours))
    shared: dict[str, dict[str, int]] = defaultdict(dict)
    for buyer_id, worker_id, tasks in await store.select_shared_networks(unit.conn, since, _BATCH):
        shared[buyer_id][worker_id] = tasks
    seen += [
        Sighting(buyer_id, "shared_network", {"tasks_by_worker": tasks})
        for buyer_id, tasks in shared.items()
    ]
    return seen


async def list_flags(
    market: Market,
    *,
    dismissed: bool | None,
    kind: FlagKind | None,
    subject: str | None,
    cursor: str | None,
    limit: int,
) -> FlagPage:
    """A page of flags, newest first; see `flags.list_flags`."""
    async with market.db.read() as conn:
        return await flags.list_flags(
            conn, dismissed=dismissed, kind=kind, subject=subject, cursor=cursor, limit=limit
        )


async def dismiss_flag(
    market: Market, flag_id: str, actor: str, replay: Replay[Flag] | None
) -> Flag:
    """Note that an operator has looked at a flag; news of the same opens it again.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> Flag:
        flag = await flags.dismiss_flag(unit.conn, flag_id, actor)
        if flag is None:
            raise not_found("flag")
        facts = {"kind": flag.kind, "subject": flag.subject}
        await audit.record(unit.conn, actor, "flag.dismiss", flag_id, facts)
        return flag

    return await run(market, effect, replay)
