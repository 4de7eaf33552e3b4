"""Payouts, credits in review and deposits: what an operator decides on money."""

from collections.abc import Awaitable, Callable
from typing import Final, cast, get_args
from urllib.parse import urlencode

from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_credit import decide_credit, list_waiting_credits
from openclaw_jobs.market.decide_payout import (
    approve_payout,
    list_all_payouts,
    mark_failed,
    mark_paid,
    mark_returned,
    reject_payout,
    retry_payout,
)
from openclaw_jobs.market.inspect_events import list_all_deposits
from openclaw_jobs.market.look_around import name_actors
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.payments.payouts import Payout, PayoutStatus
from openclaw_jobs.payments.providers.base import ProviderName
from openclaw_jobs.web.filters import money
from openclaw_jobs.web.operator_acts import PAGE, READ, WRITE, act, new_key, sent
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of

_STATUSES: Final[tuple[str, ...]] = get_args(PayoutStatus)
_DEPOSITS: Final = ("creating", "open", "paid", "failed", "expired")
_NOTE_CHARS: Final = 500
_WAITING: Final = 100

Decide = Callable[[str, Replay[Payout]], Awaitable[Payout]]


@get("/operator/payouts", opt=READ)
async def payouts(request: PageRequest) -> Page:
    """Payouts that wait for approval, and all others, newest first."""
    site = site_of(request)
    query = request.query_params
    status, cursor = query.get("status", ""), query.get("cursor") or None
    if status and status not in _STATUSES:
        raise invalid("status", "There is no such status.")
    if cursor is not None and not is_id("pay", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    first = None
    if not status and cursor is None:
        first = await list_all_payouts(
            site.market, status="pending", provider=None, before=None, limit=_WAITING
        )
    page = await list_all_payouts(
        site.market,
        status=cast("PayoutStatus | None", status or None),
        provider=None,
        before=cursor,
        limit=PAGE,
    )
    rest = [p for p in page.payouts if first is None or p.status != "pending"]
    return render(
        request,
        "operator/payouts.html",
        title="Payouts",
        pending=[] if first is None else first.payouts,
        payouts=rest,
        more=page.next_cursor,
        cursor=cursor,
        chosen=status,
        tail=urlencode({"status": status}) if status else "",
        statuses=_STATUSES,
        can_pay=sorted(site.payouts),
        names=await name_actors(site.market, (p.approved_by or "" for p in page.payouts)),
        once=new_key,
    )


@post("/operator/payouts/{payout_id:str}/{decision:str}", opt=WRITE, status_code=303)
async def decide(request: PageRequest, payout_id: FromPath[str], decision: FromPath[str]) -> Page:
    """Approve, reject or retry a payout, or say what became of it."""
    site = site_of(request)
    fields = await sent(request, "provider", "note", "status", max_chars=_NOTE_CHARS)
    note = fields["note"]
    if decision in {"mark-paid", "mark-failed", "mark-returned"} and not note:
        raise invalid("note", "Say what names the payment, or why, please.")
    provider = fields["provider"]
    if provider and provider not in get_args(ProviderName):
        raise invalid("provider", "There is no such provider.")
    by = cast("ProviderName | None", provider or None)
    market, desk = site.market, site.payouts
    acts: dict[str, tuple[Decide, str]] = {
        "approve": (
            lambda actor, replay: approve_payout(
                market, desk, payout_id, by, actor=actor, replay=replay
            ),
            "Approved: {} will be paid",
        ),
        "retry": (
            lambda actor, replay: retry_payout(
                market, desk, payout_id, by, actor=actor, replay=replay
            ),
            "Approved anew: {} will be paid",
        ),
        "reject": (
            lambda actor, replay: reject_payout(
                market, payout_id, note or None, actor=actor, replay=replay
            ),
            "Rejected: {} is the worker's again",
        ),
        "mark-paid": (
            lambda actor, replay: mark_paid(market, payout_id, note, actor=actor, replay=replay),
            "Marked as paid: {}",
        ),
        "mark-failed": (
            lambda actor, replay: mark_failed(market, payout_id, note, actor=actor, replay=replay),
            "Marked as failed: {} is the worker's again",
        ),
        "mark-returned": (
            lambda actor, replay: mark_returned(
                market, payout_id, note, actor=actor, replay=replay
            ),
            "Marked as returned: {} is the worker's again",
        ),
    }
    if decision not in acts:
        raise not_found("act")
    effect, told = acts[decision]
    back = f"/operator/payouts?status={fields['status']}" if fields["status"] in _STATUSES else ""
    return await act(
        request,
        back or "/operator/payouts",
        fields,
        effect,
        lambda done: f"{told.format(money(done.amount_cents))}{_by(done)}.",
    )


def _by(payout: Payout) -> str:
    if payout.status != "approved":
        return ""
    return " by hand" if payout.provider == "manual" else f" by {payout.provider}"


@get("/operator/credits", opt=READ)
async def credits_in_review(request: PageRequest) -> Page:
    """Demands for money back that an operator has to decide on, oldest first."""
    found = await list_waiting_credits(site_of(request).market, _WAITING)
    return render(
        request,
        "operator/credits.html",
        title="Credits",
        credits=found,
        once=new_key,
    )


@post("/operator/credits/{task_id:str}/{decision:str}", opt=WRITE, status_code=303)
async def credit(request: PageRequest, task_id: FromPath[str], decision: FromPath[str]) -> Page:
    """Give the buyer its money back, or leave the worker paid."""
    market: Market = site_of(request).market
    if decision not in {"approve", "reject"}:
        raise not_found("act")
    fields = await sent(request)
    approve = decision == "approve"
    return await act(
        request,
        "/operator/credits",
        fields,
        lambda actor, replay: decide_credit(
            market, task_id, approve=approve, actor=actor, replay=replay
        ),
        lambda done: (
            f"{money(done.amount_cents)} went back to the buyer."
            if approve
            else f"Rejected: the worker keeps its share of {money(done.amount_cents)}."
        ),
    )


@get("/operator/deposits", opt=READ)
async def deposits(request: PageRequest) -> Page:
    """Deposits of all buyers, newest first."""
    query = request.query_params
    status = query.get("status", "")
    if status and status not in _DEPOSITS:
        raise invalid("status", "There is no such status.")
    page = await list_all_deposits(
        site_of(request).market, query.get("cursor") or None, status or None, PAGE
    )
    return render(
        request,
        "operator/deposits.html",
        title="Deposits",
        deposits=page.deposits,
        more=page.resume_after,
        cursor=query.get("cursor"),
        chosen=status,
        tail=urlencode({"status": status}) if status else "",
        statuses=_DEPOSITS,
    )


HANDLERS: Final = [payouts, decide, credits_in_review, credit, deposits]
