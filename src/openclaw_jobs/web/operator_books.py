"""The books: comparisons with rails, the proof of the ledger, and what providers told us."""

import base64
import binascii
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.ledger import Proof
from openclaw_jobs.market.inspect_events import list_events, replay_event
from openclaw_jobs.market.look_around import name_actors, read_todo
from openclaw_jobs.market.manage_parties import list_audit
from openclaw_jobs.market.models_parties import EventRow
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.market.reconcile import list_reconciliations, reconcile
from openclaw_jobs.web.operator_acts import PAGE, READ, WRITE, act, new_key, sent
from openclaw_jobs.web.pages import Page, PageRequest, redirect, render, site_of, user_of

_EVENT_STATUSES: Final = ("pending", "done", "ignored", "failed")
_BOOKS: Final = "/operator/reconciliation"
_FILTER_CHARS: Final = 100
_SHOWN: Final = 50


@get(_BOOKS, opt=READ)
async def books(request: PageRequest) -> Page:
    """The latest report on each rail, and the latest proof of the ledger."""
    return await _books(request)


async def _books(request: PageRequest, proof: Proof | None = None) -> Page:
    site = site_of(request)
    _, latest = await read_todo(site.market)
    return render(
        request,
        "operator/books.html",
        title="The books",
        reports=await list_reconciliations(site.market, None, 1),
        latest=latest,
        proof=proof,
        shown=_SHOWN,
        rails=len(site.office.rails),
    )


@post("/operator/reconciliation/run", opt=WRITE, status_code=303)
async def run(request: PageRequest) -> Page:
    """Compare every rail with the ledger now."""
    site = site_of(request)
    await sent(request)
    if site.office.reconciling.locked():
        return redirect(request, _BOOKS, flash=("info", "A comparison is under way already."))
    async with site.office.reconciling:
        done = await reconcile(site.market, site.office.rails, actor=user_of(request))
    told = f"Compared {done.rails} rails: {done.matched} movements agree, {done.findings} findings."
    if done.errors:
        told += f" {done.errors} rails could not be compared."
    return redirect(request, _BOOKS, flash=("error" if done.errors else "success", told))


@post("/operator/ledger/verify", opt=WRITE, status_code=200)
async def verify(request: PageRequest) -> Page:
    """Prove from every posting that the money adds up, and show it."""
    site = site_of(request)
    await sent(request)
    if site.office.proving.locked():
        return redirect(request, _BOOKS, flash=("info", "The ledger is being proven already."))
    async with site.office.proving:
        proof = await prove_ledger(site.market)
    return await _books(request, proof)


@get("/operator/webhooks", opt=READ)
async def webhooks(request: PageRequest) -> Page:
    """What providers told us, newest first."""
    query = request.query_params
    status, cursor = query.get("status", ""), query.get("cursor") or None
    if status and status not in _EVENT_STATUSES:
        raise invalid("status", "There is no such status.")
    before = None if cursor is None else _read_cursor(cursor)
    page = await list_events(site_of(request).market, before, status or None, PAGE)
    last = page.resume_after
    return render(
        request,
        "operator/webhooks.html",
        title="Webhooks",
        events=page.events,
        more=None if last is None else _cursor(last),
        cursor=cursor,
        chosen=status,
        tail=urlencode({"status": status}) if status else "",
        statuses=_EVENT_STATUSES,
        once=new_key,
    )


def _cursor(last: EventRow) -> str:
    place = [last.received_at.isoformat(), last.source, last.event_id]
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str, str]:
    wrong = invalid("cursor", "This is no cursor of this list.")
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, source, event_id = msgspec.json.decode(raw, type=tuple[datetime, str, str])
    except (ValueError, binascii.Error):
        raise wrong from None
    if at.tzinfo is None or "\0" in source + event_id:
        raise wrong
    return at, source, event_id


@post("/operator/webhooks/{source:str}/{event_id:str}/retry", opt=WRITE, status_code=303)
async def retry(request: PageRequest, source: FromPath[str], event_id: FromPath[str]) -> Page:
    """Have an event worked once more; one that was done changes nothing."""
    site = site_of(request)
    fields = await sent(request, "status")
    back = f"?status={fields['status']}" if fields["status"] in _EVENT_STATUSES else ""
    return await act(
        request,
        f"/operator/webhooks{back}",
        fields,
        lambda actor, replay: replay_event(site.market, site.desk, source, event_id, actor, replay),
        lambda _: "It will be worked once more within a moment.",
    )


@get("/operator/audit", opt=READ)
async def audit_log(request: PageRequest) -> Page:
    """Who did what as operator, newest first."""
    market = site_of(request).market
    query = request.query_params
    given = {name: query.get(name, "").strip() for name in ("actor", "action", "subject")}
    for name, value in given.items():
        if len(value) > _FILTER_CHARS or "\x00" in value:
            raise invalid(name, "That is too long to be found.")
    cursor = query.get("cursor") or None
    if cursor is not None and not is_id("aud", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    page = await list_audit(
        market,
        PAGE,
        cursor,
        actor=given["actor"] or None,
        action=given["action"] or None,
        subject=given["subject"] or None,
    )
    facts: dict[str, Any] = {
        "entries": page.entries,
        "more": page.next_cursor,
        "cursor": cursor,
        "filters": given,
        "tail": urlencode({name: value for name, value in given.items() if value}),
        "names": await name_actors(market, (entry.actor for entry in page.entries)),
        "links": {"wrk": "workers", "byr": "buyers", "chk": "checks"},
    }
    return render(request, "operator/audit.html", title="Audit log", **facts)


HANDLERS: Final = [books, run, verify, webhooks, retry, audit_log]
