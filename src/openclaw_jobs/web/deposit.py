"""Topping up: packs, the way to Stripe's checkout and back, receipts."""

import hashlib
from datetime import timedelta
from typing import Final, cast, get_args

import msgspec
from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.kit.cookies import read_cookie
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.market.open_deposit import OpenedDeposit, list_deposits, open_deposit
from openclaw_jobs.market.read_spending import read_deposit
from openclaw_jobs.market.read_tasks import get_balance
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.payments.deposits import PackName
from openclaw_jobs.web.chat_views import new_key
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import (
    Page,
    PageRequest,
    buyer_of,
    public_url,
    redirect,
    render,
    set_cookie,
    site_of,
    viewer_of,
)
from openclaw_jobs.web.return_to import safe_return_to
from openclaw_jobs.web.site import Site

_READ: Final = page_options(auth="buyer")
_PACKS: Final[tuple[str, ...]] = get_args(PackName)
_BACK: Final = "openclaw_deposit_return"
_BACK_FOR: Final = timedelta(hours=1)
_HOME: Final = "/dashboard"
_ROUTE: Final = "POST /deposit"
_LATEST: Final = 20


class PackView(msgspec.Struct, frozen=True):
    """A pack on sale; `cents` is what it costs."""

    name: str
    cents: int
    bonus_cents: int


@get("/deposit", opt=_READ)
async def deposit(request: PageRequest) -> Page:
    """Choose a pack."""
    return await _page(request, safe_return_to(request.query_params.get("return_to"), _HOME))


async def _page(
    request: PageRequest,
    return_to: str,
    *,
    chosen: str = "standard",
    problem: Problem | None = None,
) -> Page:
    site = site_of(request)
    packs = site.market.config.packs
    balance = await get_balance(site.market, buyer_of(request))
    found = await list_deposits(site.market, buyer_of(request), None, _LATEST)
    views = [PackView(n, getattr(packs, n).cents, getattr(packs, n).bonus_cents) for n in _PACKS]
    return render(
        request,
        "buyer/deposit.html",
        title="Add credit",
        status=200 if problem is None else problem.status,
        packs=views,
        chosen=chosen,
        missing=site.desk.gateway is None or bool(site.desk.missing),
        return_to=return_to,
        balance_cents=balance.promo_cents + balance.paid_cents,
        deposits=found.deposits,
        key=new_key(),
        error="" if problem is None else problem.detail,
    )


@post("/deposit", opt=page_options(auth="buyer", rate="deposit"), status_code=303)
async def pay(request: PageRequest) -> Page:
    """Begin a deposit and go to Stripe's checkout; the same form sent twice begins one."""
    site = site_of(request)
    fields = await form(request, "pack", "key", "return_to")
    pack, return_to = fields["pack"], safe_return_to(fields["return_to"], _HOME)
    if pack not in _PACKS:
        raise invalid("pack", "There is no such pack.")
    if not fields["key"].isascii() or not 1 <= len(fields["key"]) <= 64:  # noqa: PLR2004 - as made
        raise invalid("key", "This form is not one of ours; load the page again.")
    try:
        opened = await open_deposit(
            site.market,
            site.desk,
            buyer_id=buyer_of(request),
            pack=cast("PackName", pack),
            site=public_url(request),
            replay=_replay(buyer_of(request), fields["key"], pack),
        )
        target = opened.checkout_url
    except Replayed as before:
        target = before.answer.headers.get("Location", "")
        if not target:
            return redirect(request, "/deposit", flash=("error", before.answer.content))
    except Problem as problem:
        if problem.code != "unavailable":
            raise
        return await _page(request, return_to, chosen=pack, problem=problem)
    answer = redirect(request, target, outside=True)
    set_cookie(answer, site, _back_cookie(site), return_to, _BACK_FOR)
    return answer


def _back_cookie(site: Site) -> str:
    """The name of the cookie that knows the way back, prefixed as the others are."""
    return f"__Host-{_BACK}" if site.production else _BACK


def _replay(buyer_id: str, key: str, pack: str) -> Replay[OpenedDeposit]:
    return Replay(
        key=ReplayKey(
            caller=buyer_id, route=_ROUTE, key=key, body_hash=hashlib.sha256(pack.encode()).digest()
        ),
        answer=lambda opened: StoredAnswer(
            status=303, headers={"Location": opened.checkout_url}, content=""
        ),
        refusal=lambda problem: StoredAnswer(
            status=problem.status, headers={}, content=problem.detail
        ),
    )


def _return_to(request: PageRequest) -> str:
    cookie = request.headers.get("cookie", "").encode("latin-1")
    return safe_return_to(read_cookie(cookie, _back_cookie(site_of(request))), _HOME)


@get("/deposit/success", opt=page_options(auth="public"))
async def success(request: PageRequest) -> Page:
    """Where Checkout leads back to; what came with the address is looked up, and not repeated."""
    balance, found = None, None
    viewer = viewer_of(request)
    if viewer.buyer_id is not None:
        market, session = site_of(request).market, request.query_params.get("session_id")
        latest = await list_deposits(market, viewer.buyer_id, None, _LATEST)
        found = next((d for d in latest.deposits if session and d.session_id == session), None)
        standing = await get_balance(market, viewer.buyer_id)
        balance = standing.promo_cents + standing.paid_cents
    waits = found is not None and found.status != "paid"
    return render(
        request,
        "buyer/deposit-done.html",
        title="Payment under way" if waits else "Payment received",
        paid=True,
        deposit=found,
        waits=waits,
        balance_cents=balance,
        return_to=_return_to(request),
    )


@get("/deposit/cancel", opt=page_options(auth="public"))
async def cancelled(request: PageRequest) -> Page:
    """Where Checkout leads back to when nothing was paid."""
    return render(
        request,
        "buyer/deposit-done.html",
        title="Payment cancelled",
        paid=False,
        deposit=None,
        waits=False,
        balance_cents=None,
        return_to=_return_to(request),
    )


@get("/receipts/{deposit_id:str}", opt=_READ)
async def receipt(request: PageRequest, deposit_id: FromPath[str]) -> Page:
    """What a deposit was, to print."""
    found = await read_deposit(site_of(request).market, buyer_of(request), deposit_id)
    return render(request, "buyer/receipt.html", title="Receipt", deposit=found)


HANDLERS: Final = [deposit, pay, success, cancelled, receipt]
