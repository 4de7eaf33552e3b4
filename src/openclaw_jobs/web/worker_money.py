"""A worker's earnings, where it is paid, and what it withdraws."""

import hashlib
import re
from datetime import datetime
from typing import Final

from litestar import get, post

from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.market.bind_contact import bind_email, bind_payout, verify_email
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.market.withdraw import Withdrawal, list_payouts, withdraw
from openclaw_jobs.market.worker_account import get_account, list_earnings
from openclaw_jobs.web.chat_views import new_key
from openclaw_jobs.web.filters import money
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import Page, PageRequest, redirect, render, site_of, worker_of

_HELD: Final = page_options(auth="worker")
_WRITE: Final = page_options(auth="worker", rate="worker_write")
_PAGE: Final = 25
_PAYOUTS: Final = "/worker/payouts"
_AMOUNT: Final = re.compile(r"\$?(\d{1,9})(?:\.(\d{1,2}))?")
_KEY_CHARS: Final = 64


@get("/worker/earnings", opt=_HELD)
async def earnings(request: PageRequest) -> Page:
    """Every earning, and why it is what it is."""
    cursor = request.query_params.get("cursor")
    page = await list_earnings(site_of(request).market, worker_of(request), _place(cursor), _PAGE)
    last = page.resume_after
    return render(
        request,
        "worker/earnings.html",
        title="Earnings",
        earnings=page.earnings,
        cursor=cursor,
        more=None if last is None else f"{rfc3339(last.created_at)}~{last.task_id}",
    )


def _place(cursor: str | None) -> tuple[datetime, str] | None:
    if not cursor:
        return None
    at, _, task_id = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise invalid("cursor", "This is no cursor of this list.") from None
    if moment.tzinfo is None or not is_id("task", task_id):
        raise invalid("cursor", "This is no cursor of this list.")
    return moment, task_id


@get("/worker/payouts", opt=_HELD)
async def payouts(request: PageRequest) -> Page:
    """What was withdrawn, and the way to withdraw more."""
    return await _page(request)


async def _page(
    request: PageRequest, *, problem: Problem | None = None, typed: dict[str, str] | None = None
) -> Page:
    site, worker_id = site_of(request), worker_of(request)
    cursor = request.query_params.get("cursor")
    if cursor is not None and not is_id("pay", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    account = await get_account(site.market, worker_id)
    page = await list_payouts(site.market, worker_id, cursor, _PAGE)
    errors = {} if problem is None else {e.field: e.message for e in problem.errors}
    return render(
        request,
        "worker/payouts.html",
        title="Payouts",
        status=200 if problem is None else problem.status,
        account=account,
        limits=site.market.config.commissions,
        blocked=account.contact.payout_blocked_until is not None
        and account.contact.payout_blocked_until > account.contact.now,
        can_mail=site.can_mail,
        payouts=page.payouts,
        more=page.next_cursor,
        cursor=cursor,
        key=new_key(),
        errors=errors,
        error="" if problem is None or errors else problem.detail,
        typed=typed or {},
    )


@post("/worker/withdraw", opt=page_options(auth="worker", rate="withdraw"), status_code=303)
async def ask(request: PageRequest) -> Page:
    """Set earnings aside for a payout; the same form sent twice asks once."""
    fields = await form(request, "amount", "key")
    try:
        cents = _cents(fields["amount"])
        if not fields["key"].isascii() or not 1 <= len(fields["key"]) <= _KEY_CHARS:
            raise invalid("amount", "Load the page again, please.")
        made = await withdraw(
            site_of(request).market,
            worker_of(request),
            cents,
            _replay(worker_of(request), fields["key"], cents),
        )
    except Replayed as before:
        if before.answer.status != _DONE:
            return redirect(request, _PAYOUTS, flash=("error", before.answer.content))
    except Problem as problem:
        return await _page(request, problem=problem, typed=fields)
    else:
        told = f"{money(made.payout.amount_cents)} is on its way; it waits for approval now."
        return redirect(request, _PAYOUTS, flash=("success", told))
    return redirect(request, _PAYOUTS, flash=("info", "This withdrawal was asked for already."))


_DONE: Final = 303


def _cents(text: str) -> int:
    match = _AMOUNT.fullmatch(text.replace(",", ""))
    if match is None:
        raise invalid("amount", "Write dollars, such as 12.50.")
    return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))


def _replay(worker_id: str, key: str, cents: int) -> Replay[Withdrawal]:
    return Replay(
        key=ReplayKey(
            caller=worker_id,
            route="POST /worker/withdraw",
            key=key,
            body_hash=hashlib.sha256(str(cents).encode()).digest(),
        ),
        answer=lambda _: StoredAnswer(status=_DONE, headers={}, content=""),
        refusal=lambda problem: StoredAnswer(
            status=problem.status, headers={}, content=problem.detail
        ),
    )


@post("/worker/payout-method", opt=_WRITE, status_code=303)
async def method(request: PageRequest) -> Page:
    """Say where to be paid."""
    fields = await form(request, "method", "address")
    try:
        if fields["method"] == "paypal":
            await _bind(request, "paypal", fields["address"])
        elif fields["method"] == "solana":
            await _bind(request, "solana", fields["address"])
        else:
            raise invalid("method", "Choose PayPal or Solana.")
    except Problem as problem:
        return await _page(request, problem=problem, typed=fields)
    return redirect(request, _PAYOUTS, flash=("success", "That is where you are paid now."))


async def _bind(request: PageRequest, chosen: str, address: str) -> None:
    site, worker_id = site_of(request), worker_of(request)
    if chosen == "paypal":
        await bind_payout(site.market, worker_id, "paypal", address, None)
    else:
        await bind_payout(site.market, worker_id, "solana", address, None)


@post("/worker/email", opt=page_options(auth="worker", rate="email_code"), status_code=303)
async def email(request: PageRequest) -> Page:
    """Mail a code to an address."""
    fields = await form(request, "email")
    site = site_of(request)
    try:
        await bind_email(
            site.market, worker_of(request), fields["email"], None, can_mail=site.can_mail
        )
    except Problem as problem:
        return await _page(request, problem=problem, typed=fields)
    told = f"A code was mailed to {fields['email']}. Enter it here."
    return redirect(request, f"{_PAYOUTS}?code=1#email", flash=("info", told))


@post("/worker/email/verify", opt=_WRITE, status_code=303)
async def verify(request: PageRequest) -> Page:
    """Prove the address by the code."""
    fields = await form(request, "code")
    try:
        await verify_email(site_of(request).market, worker_of(request), fields["code"], None)
    except Problem as problem:
        return await _page(request, problem=problem, typed=fields)
    return redirect(request, _PAYOUTS, flash=("success", "Your address is proven."))


HANDLERS: Final = [earnings, payouts, ask, method, email, verify]
