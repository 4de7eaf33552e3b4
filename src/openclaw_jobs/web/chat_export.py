"""A conversation to take away, and one result to show around."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.response import Stream

from openclaw_jobs.chat import Conversation, Turn, rules
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.market.read_conversations import open_export
from openclaw_jobs.market.share_result import read_shared
from openclaw_jobs.web.filters import money, when
from openclaw_jobs.web.pages import Page, PageRequest, buyer_of, render, site_of
from openclaw_jobs.web.rendered import prepare

_BUYER: Final = page_options(auth="buyer")
_SHARED_HEADERS: Final = {
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "private, no-store",
    # The link is the secret; a page that it leads to must not learn it.
    "Referrer-Policy": "no-referrer",
}


@get("/chat/{conversation_id:str}/export.md", opt=_BUYER)
async def export_markdown(request: PageRequest, conversation_id: FromPath[str]) -> Stream:
    """A conversation as Markdown: what was said, and the answers that stand."""
    found, turns = await open_export(site_of(request).market, buyer_of(request), conversation_id)
    return _download(_markdown(found, turns), conversation_id, "md", "text/markdown")


@get("/chat/{conversation_id:str}/export.json", opt=_BUYER)
async def export_json(request: PageRequest, conversation_id: FromPath[str]) -> Stream:
    """A conversation as JSON, with all answers, their prices and what became of them."""
    found, turns = await open_export(site_of(request).market, buyer_of(request), conversation_id)
    return _download(_as_json(found, turns), conversation_id, "json", "application/json")


@get("/s/{token:str}", opt=page_options())
async def shared(request: PageRequest, token: FromPath[str]) -> Page:
    """One result, for whoever has the link."""
    result = await read_shared(site_of(request).market, token)
    await prepare([result.result])
    return render(
        request,
        "chat/shared.html",
        title="A shared answer",
        description="An answer that somebody shared from OpenClaw.jobs.",
        headers=_SHARED_HEADERS,
        result=result,
    )


def _download(chunks: AsyncIterator[str], name: str, ending: str, media_type: str) -> Stream:
    return Stream(
        chunks,
        media_type=f"{media_type}; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{ending}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _markdown(found: Conversation, turns: AsyncIterator[Turn]) -> AsyncIterator[str]:
    yield f"# {found.title}\n\n{when(found.created_at)}\n"
    async for turn in turns:
        yield f"\n## You, {when(turn.created_at)}\n\n{turn.prompt}\n"
        answer = rules.chosen(turn.answers, turn.chosen_task_id)
        if answer is None:
            yield f"\n## No answer ({turn.answers[-1].status})\n"
            continue
        at = answer.completed_at or answer.created_at
        paid = "credited" if answer.status == "credited" else money(answer.price_cents)
        yield f"\n## Answer, {when(at)}, {paid}\n\n{answer.result}\n"


async def _as_json(found: Conversation, turns: AsyncIterator[Turn]) -> AsyncIterator[str]:
    head = {
        "id": found.conversation_id,
        "title": found.title,
        "category": found.category,
        "forked_from": found.forked_from,
        "created_at": rfc3339(found.created_at),
        "updated_at": rfc3339(found.updated_at),
    }
    yield msgspec.json.encode(head).decode()[:-1] + ',"turns":['
    first = True
    async for turn in turns:
        yield ("" if first else ",") + msgspec.json.encode(_turn(turn)).decode()
        first = False
    yield "]}\n"


def _turn(turn: Turn) -> dict[str, Any]:
    chosen = rules.chosen(turn.answers, turn.chosen_task_id)
    return {
        "id": turn.turn_id,
        "prompt": turn.prompt,
        "created_at": rfc3339(turn.created_at),
        "left_out": turn.left_out,
        "answers": [
            {
                "task_id": answer.task_id,
                "status": answer.status,
                "category": answer.category,
                "price_cents": answer.price_cents,
                "credited_cents": answer.credited_cents,
                "result": answer.result,
                "rating": answer.rating,
                "chosen": chosen is not None and answer.task_id == chosen.task_id,
                "created_at": rfc3339(answer.created_at),
                "claimed_at": _maybe(answer.claimed_at),
                "completed_at": _maybe(answer.completed_at),
            }
            for answer in turn.answers
        ],
    }


def _maybe(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


HANDLERS: Final = [export_markdown, export_json, shared]
