"""What operators' acts have in common: once for each form, and said on the page that follows."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import msgspec

from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.web.chat_views import new_key
from openclaw_jobs.web.flashes import FlashKind
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import Page, PageRequest, redirect, user_of

__all__ = ["PAGE", "READ", "WRITE", "act", "errors_of", "new_key", "sent"]

T = TypeVar("T")

READ: Final = page_options(auth="operator", rate="admin")
WRITE: Final = page_options(auth="operator", rate="admin")
PAGE: Final = 30
"""Rows of a list."""

ONCE: Final = "once"
"""The hidden field that names a form, so that sending it twice acts once."""

_KEY_CHARS: Final = 64
_DONE: Final = 303
_MISSING: Final = 404


async def sent(request: PageRequest, *names: str, max_chars: int = 2000) -> dict[str, str]:
    """The fields of an operator's form, its `once` among them."""
    return await form(request, ONCE, *names, max_chars=max_chars)


async def act(
    request: PageRequest,
    where: str,
    fields: Mapping[str, str],
    effect: Callable[[str, Replay[T]], Awaitable[T]],
    told: Callable[[T], str],
    *,
    kind: FlashKind = "success",
) -> Page:
    """Do something as the operator who is signed in, once, and go on to `where`, which says so.

    Args:
        request: What is answered.
        where: The page that follows.
        fields: What `sent` read; the same form sent again is answered as the first time.
        effect: The use case, given who acts and how to answer a repetition.
        told: What was done, in words.
        kind: How it is said.
    """
    actor = user_of(request)
    try:
        done = await effect(actor, _replay(request, actor, fields, told))
    except Replayed as before:
        answer = before.answer
        was: FlashKind = kind if answer.status == _DONE else "error"
        return redirect(request, where, flash=(was, answer.content))
    except Problem as problem:
        if problem.status == _MISSING:
            raise
        return redirect(request, where, flash=_refused(problem))
    return redirect(request, where, flash=(kind, told(done)))


def errors_of(problem: Problem | None) -> dict[str, str]:
    """What is wrong with a form, by field."""
    return {} if problem is None else {e.field: e.message for e in problem.errors}


def _refused(problem: Problem) -> tuple[FlashKind, str]:
    if problem.code == "idempotency_in_progress":
        return "info", "That is being done already."
    if problem.code == "idempotency_conflict":
        return "info", "This form was sent before. Look at what it did, then send a new one."
    return "error", problem.detail


def _replay(
    request: PageRequest, actor: str, fields: Mapping[str, str], told: Callable[[T], str]
) -> Replay[T]:
    once = fields[ONCE]
    if not once.isascii() or not 1 <= len(once) <= _KEY_CHARS:
        raise invalid(ONCE, "This form is not one of ours; load the page again.")
    return Replay(
        key=ReplayKey(
            caller=actor,
            route=f"POST {request.scope['path']}",
            key=once,
            body_hash=hashlib.sha256(msgspec.json.encode(dict(fields), order="sorted")).digest(),
        ),
        answer=lambda done: StoredAnswer(status=_DONE, headers={}, content=told(done)),
        refusal=lambda problem: StoredAnswer(
            status=problem.status, headers={}, content=problem.detail
        ),
    )
