"""Checks side by side, and what an operator judges; appeals of those who were stopped for them."""

import asyncio
from typing import Any, Final, cast, get_args
from urllib.parse import urlencode

import msgspec
from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.appeal_suspension import decide_appeal, list_appeals, read_standing
from openclaw_jobs.market.look_around import name_actors
from openclaw_jobs.market.manage_parties import list_audit
from openclaw_jobs.market.overrule_verdict import overrule_verdict
from openclaw_jobs.market.read_checks import get_check, list_checks
from openclaw_jobs.quality.checks import CheckKind, CheckRow, CheckStage
from openclaw_jobs.quality.record import Verdict
from openclaw_jobs.quality.standing import Appeal, BadResult
from openclaw_jobs.tasks import Message
from openclaw_jobs.web.operator_acts import PAGE, READ, WRITE, act, new_key, sent
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of
from openclaw_jobs.web.word_diff import Piece, word_diff

_STAGES: Final[tuple[str, ...]] = get_args(CheckStage)
_KINDS: Final[tuple[str, ...]] = get_args(CheckKind)
_APPEALS: Final = 10
_ACTS: Final = 20
_WORDS_CHARS: Final = 2000


@get("/operator/checks", opt=READ)
async def checks(request: PageRequest) -> Page:
    """Checks, newest first."""
    query = request.query_params
    given = {name: query.get(name, "") for name in ("stage", "kind", "worker_id")}
    if given["stage"] and given["stage"] not in _STAGES:
        raise invalid("stage", "There is no such stage.")
    if given["kind"] and given["kind"] not in _KINDS:
        raise invalid("kind", "There is no such kind.")
    if given["worker_id"] and not is_id("wrk", given["worker_id"]):
        raise invalid("worker_id", "This is no worker's id.")
    cursor = query.get("cursor") or None
    if cursor is not None and not is_id("chk", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    page = await list_checks(
        site_of(request).market,
        cursor,
        cast("CheckStage | None", given["stage"] or None),
        cast("CheckKind | None", given["kind"] or None),
        given["worker_id"] or None,
        PAGE,
    )
    return render(
        request,
        "operator/checks.html",
        title="Checks",
        checks=page.checks,
        more=page.resume_after,
        cursor=cursor,
        filters=given,
        tail=urlencode({name: value for name, value in given.items() if value}),
        stages=_STAGES,
        kinds=_KINDS,
    )


@get("/operator/checks/{check_id:str}", opt=READ)
async def check(request: PageRequest, check_id: FromPath[str]) -> Page:
    """One check: both results side by side, what was found, and why."""
    market = site_of(request).market
    row = await get_check(market, check_id)
    acts = await list_audit(market, _ACTS, None, subject=check_id)
    first, second = await _side_by_side(row)
    return render(
        request,
        "operator/check.html",
        title="Check",
        check=row,
        asked=_asked(row.prompt, row.messages),
        first=first,
        second=second,
        evidence=_pretty(row.evidence),
        verdicts=[str(verdict) for verdict in Verdict],
        acts=acts.entries,
        names=await name_actors(market, [row.decided_by or "", *(e.actor for e in acts.entries)]),
        once=new_key,
    )


async def _side_by_side(row: CheckRow) -> tuple[list[Piece], list[Piece]]:
    """The results in pieces: beside a gold task's result stands its first accepted answer."""
    left, right = row.first_result, row.second_result
    if row.gold_id is not None and row.answers:
        left = row.answers[0]
    if left is None or right is None:
        return _whole(left), _whole(right)
    # Long texts take a moment, in which others are served.
    return await asyncio.to_thread(word_diff, left, right)


def _whole(text: str | None) -> list[Piece]:
    return [] if text is None else [Piece("rest", text)]


def _asked(prompt: str | None, messages: str | None) -> list[Message]:
    if messages is not None:
        return msgspec.json.decode(messages, type=list[Message])
    return [] if prompt is None else [Message("user", prompt)]


def _pretty(evidence: str | None) -> str:
    return "" if evidence is None else msgspec.json.format(evidence, indent=2)


@post("/operator/checks/{check_id:str}/verdict", opt=WRITE, status_code=303)
async def judge(request: PageRequest, check_id: FromPath[str]) -> Page:
    """Judge the results of a check, whatever it found."""
    market = site_of(request).market
    fields = await sent(request, "first", "second", "note", max_chars=_WORDS_CHARS)
    verdicts: dict[str, Verdict] = {}
    for side in ("first", "second"):
        if fields[side]:
            if fields[side] not in set(Verdict):
                raise invalid(side, "There is no such verdict.")
            verdicts[side] = Verdict(fields[side])
    if not verdicts:
        raise invalid("first", "Judge one of the results, or both.")
    if not fields["note"]:
        raise invalid("note", "Say why, please.")
    return await act(
        request,
        f"/operator/checks/{check_id}",
        fields,
        lambda actor, replay: overrule_verdict(
            market, check_id, verdicts, fields["note"], actor=actor, replay=replay
        ),
        lambda row: _told(row, verdicts),
    )


def _told(row: CheckRow, verdicts: dict[str, Verdict]) -> str:
    said = {"first": row.first_verdict, "second": row.second_verdict}
    words = " and ".join(f"the {side} result is {said[side]}" for side in verdicts)
    return f"Judged: {words}. Money and records follow."


@get("/operator/appeals", opt=READ)
async def appeals(request: PageRequest) -> Page:
    """Appeals with the results that speak against the worker; those that wait come first."""
    market = site_of(request).market
    query = request.query_params
    status = query.get("status", "waiting")
    if status not in {"waiting", "decided"}:
        raise invalid("status", "There is no such status.")
    page = await list_appeals(
        market,
        waiting=status == "waiting",
        before=query.get("cursor") or None,
        limit=_APPEALS,
    )
    found: list[tuple[Appeal, list[BadResult]]] = []
    for appeal in page.appeals:
        view = await read_standing(market, appeal.suspension.worker_id)
        # Only the suspension that is in force has its results read; others are named.
        current = view.suspension is not None and (
            view.suspension.suspension_id == appeal.suspension.suspension_id
        )
        found.append((appeal, view.results if current else []))
    facts: dict[str, Any] = {
        "appeals": found,
        "more": page.resume_after,
        "cursor": query.get("cursor"),
        "chosen": status,
        "names": await name_actors(market, (a.suspension.decided_by or "" for a, _ in found)),
    }
    return render(request, "operator/appeals.html", title="Appeals", once=new_key, **facts)


@post("/operator/appeals/{suspension_id:str}/{decision:str}", opt=WRITE, status_code=303)
async def answer(
    request: PageRequest, suspension_id: FromPath[str], decision: FromPath[str]
) -> Page:
    """Let the worker back in, or let its suspension stand; it reads the answer."""
    market = site_of(request).market
    if decision not in {"uphold", "reject"}:
        raise invalid("decision", "Uphold it or reject it.")
    fields = await sent(request, "answer", max_chars=_WORDS_CHARS)
    if not fields["answer"]:
        raise invalid("answer", "The worker reads your answer; write one, please.")
    uphold = decision == "uphold"
    return await act(
        request,
        "/operator/appeals",
        fields,
        lambda actor, replay: decide_appeal(
            market,
            suspension_id,
            uphold=uphold,
            answer=fields["answer"],
            actor=actor,
            replay=replay,
        ),
        lambda _: "Upheld: it may work again." if uphold else "Rejected: the suspension stands.",
    )


HANDLERS: Final = [checks, check, judge, appeals, answer]
