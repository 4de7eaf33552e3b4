"""Workers and buyers as an operator sees them: who they are, their money, and what was decided."""

from datetime import datetime, timedelta
from typing import Final, cast, get_args
from urllib.parse import urlencode

from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.look_around import name_actors, read_buyer, read_worker
from openclaw_jobs.market.manage_parties import (
    list_audit,
    list_buyers,
    list_workers,
    reinstate_worker,
    suspend_buyer,
    suspend_worker,
)
from openclaw_jobs.market.models_parties import BuyerRow, WorkerRow
from openclaw_jobs.market.read_checks import list_checks
from openclaw_jobs.market.reinstate_buyer import reinstate_buyer
from openclaw_jobs.market.statements import Statement, get_statement
from openclaw_jobs.web.operator_acts import PAGE, READ, WRITE, act, new_key, sent
from openclaw_jobs.web.pages import Page, PageRequest, redirect, render, site_of
from openclaw_jobs.workers.models import TIERS, Standing, Tier

_STANDINGS: Final[tuple[str, ...]] = get_args(Standing)
_TIERS: Final = tuple(str(tier) for tier in TIERS)
_FIND_CHARS: Final = 200
_REASON_CHARS: Final = 500
_LINES: Final = 100
_CHECKS: Final = 8
_ACTS: Final = 8
_PERIODS: Final = (7, 30, 90, 365)
_FOR_HOURS: Final = ("", "1", "24", "168", "720")
"""How long a suspension may be chosen to last; empty is for good."""


@get("/operator/workers", opt=READ)
async def workers(request: PageRequest) -> Page:
    """Workers, newest first."""
    query = request.query_params
    status, tier, find = query.get("status", ""), query.get("tier", ""), _find(request)
    if is_id("wrk", find):
        return redirect(request, f"/operator/workers/{find}")
    if status and status not in _STANDINGS:
        raise invalid("status", "There is no such standing.")
    if tier and tier not in _TIERS:
        raise invalid("tier", "There is no such tier.")
    page = await list_workers(
        site_of(request).market,
        query.get("cursor") or None,
        cast("Standing", status) if status else None,
        cast("Tier", tier) if tier else None,
        PAGE,
        find=find or None,
    )
    return render(
        request,
        "operator/workers.html",
        title="Workers",
        workers=page.workers,
        more=page.resume_after,
        cursor=query.get("cursor"),
        filters={"status": status, "tier": tier, "find": find},
        tail=_tail(status=status, tier=tier, find=find),
        standings=_STANDINGS,
        tiers=_TIERS,
    )


def _find(request: PageRequest) -> str:
    text: str = request.query_params.get("find", "").strip()
    if len(text) > _FIND_CHARS or "\x00" in text:
        raise invalid("find", "That is too long to be found.")
    return text


def _tail(**parts: str) -> str:
    return urlencode({name: value for name, value in parts.items() if value})


@get("/operator/workers/{worker_id:str}", opt=READ)
async def worker(request: PageRequest, worker_id: FromPath[str]) -> Page:
    """One worker: record, checks, statement, and what operators did."""
    market = site_of(request).market
    found = await read_worker(market, worker_id)
    days, statement = await _statement(request, worker_id)
    checks = await list_checks(market, None, None, None, worker_id, _CHECKS)
    acts = await list_audit(market, _ACTS, None, subject=worker_id)
    return render(
        request,
        "operator/worker.html",
        title="Worker",
        file=found,
        worker=found.worker,
        checks=checks.checks,
        statement=statement,
        days=days,
        periods=_PERIODS,
        acts=acts.entries,
        names=await name_actors(market, (entry.actor for entry in acts.entries)),
        once=new_key,
    )


async def _statement(request: PageRequest, name: str) -> tuple[int, Statement]:
    """The statement of the last days, as many as the address asks for."""
    asked = request.query_params.get("days", str(_PERIODS[1]))
    if asked not in {str(days) for days in _PERIODS}:
        raise invalid("days", "There is no such period.")
    market = site_of(request).market
    until = market.clock.now() + timedelta(seconds=1)
    since = until - timedelta(days=int(asked))
    return int(asked), await get_statement(market, name, since, until, None, _LINES)


@post("/operator/workers/{worker_id:str}/suspend", opt=WRITE, status_code=303)
async def suspend(request: PageRequest, worker_id: FromPath[str]) -> Page:
    """Keep a worker from work; what it holds goes back to the queue."""
    site = site_of(request)
    fields = await sent(request, "reason", "hours", max_chars=_REASON_CHARS)
    reason, hours = _reason(fields["reason"]), fields["hours"]
    if hours not in _FOR_HOURS:
        raise invalid("hours", "There is no such time.")
    until = site.market.clock.now() + timedelta(hours=int(hours)) if hours else None
    answer = await act(
        request,
        f"/operator/workers/{worker_id}",
        fields,
        lambda actor, replay: suspend_worker(site.market, worker_id, reason, until, actor, replay),
        lambda row: f"Suspended {_until(row)}. What it held is back in the queue.",
    )
    site.office.dismiss(worker_id)
    return answer


def _until(row: WorkerRow) -> str:
    if row.suspended_until is None:
        return "for good"
    at: datetime = row.suspended_until
    return f"until {at:%d %b %Y, %H:%M} UTC"


def _reason(text: str) -> str:
    if not text:
        raise invalid("reason", "Say why, please.")
    return text


@post("/operator/workers/{worker_id:str}/reinstate", opt=WRITE, status_code=303)
async def reinstate(request: PageRequest, worker_id: FromPath[str]) -> Page:
    """Let a worker work again."""
    market = site_of(request).market
    fields = await sent(request)
    return await act(
        request,
        f"/operator/workers/{worker_id}",
        fields,
        lambda actor, replay: reinstate_worker(market, worker_id, actor, replay),
        lambda _: "It may work again, with nothing spoken against it.",
    )


@get("/operator/buyers", opt=READ)
async def buyers(request: PageRequest) -> Page:
    """Buyers with their balances, newest first."""
    query = request.query_params
    status, find = query.get("status", ""), _find(request)
    if is_id("byr", find):
        return redirect(request, f"/operator/buyers/{find}")
    if status not in {"", "active", "suspended"}:
        raise invalid("status", "There is no such standing.")
    page = await list_buyers(
        site_of(request).market,
        query.get("cursor") or None,
        suspended=None if not status else status == "suspended",
        limit=PAGE,
        find=find or None,
    )
    return render(
        request,
        "operator/buyers.html",
        title="Buyers",
        buyers=page.buyers,
        more=page.resume_after,
        cursor=query.get("cursor"),
        filters={"status": status, "find": find},
        tail=_tail(status=status, find=find),
    )


@get("/operator/buyers/{buyer_id:str}", opt=READ)
async def buyer(request: PageRequest, buyer_id: FromPath[str]) -> Page:
    """One buyer: balances, statement, and what operators did."""
    market: Market = site_of(request).market
    found: BuyerRow = await read_buyer(market, buyer_id)
    days, statement = await _statement(request, buyer_id)
    acts = await list_audit(market, _ACTS, None, subject=buyer_id)
    return render(
        request,
        "operator/buyer.html",
        title="Buyer",
        buyer=found,
        statement=statement,
        days=days,
        periods=_PERIODS,
        acts=acts.entries,
        names=await name_actors(market, (entry.actor for entry in acts.entries)),
        once=new_key,
    )


@post("/operator/buyers/{buyer_id:str}/suspend", opt=WRITE, status_code=303)
async def stop_buyer(request: PageRequest, buyer_id: FromPath[str]) -> Page:
    """Let a buyer post no more tasks."""
    market = site_of(request).market
    fields = await sent(request, "reason", max_chars=_REASON_CHARS)
    reason = _reason(fields["reason"])
    return await act(
        request,
        f"/operator/buyers/{buyer_id}",
        fields,
        lambda actor, replay: suspend_buyer(market, buyer_id, reason, actor, replay),
        lambda _: "Suspended. What it has posted runs on; it can post nothing new.",
    )


@post("/operator/buyers/{buyer_id:str}/reinstate", opt=WRITE, status_code=303)
async def let_buyer(request: PageRequest, buyer_id: FromPath[str]) -> Page:
    """Let a buyer post tasks again."""
    market = site_of(request).market
    fields = await sent(request)
    return await act(
        request,
        f"/operator/buyers/{buyer_id}",
        fields,
        lambda actor, replay: reinstate_buyer(market, buyer_id, actor=actor, replay=replay),
        lambda _: "It may post tasks again.",
    )


HANDLERS: Final = [
    workers,
    worker,
    suspend,
    reinstate,
    buyers,
    buyer,
    stop_buyer,
    let_buyer,
]
