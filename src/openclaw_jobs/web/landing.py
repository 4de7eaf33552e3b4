"""The front page, and what is done here as it happens."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

import msgspec
from litestar import get
from litestar.params import HeaderParameter
from litestar.types import ASGIApp

from openclaw_jobs.events import Signal, parse_last_event_id
from openclaw_jobs.events.stream import HEARTBEAT_S
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.sse import EventStream
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.kit.visit import visit_of
from openclaw_jobs.market.public_activity import PublicActivity
from openclaw_jobs.web.landing_words import done_line, figure_words, offer, quality_words
from openclaw_jobs.web.pages import Page, PageRequest, render, site_of, viewer_of
from openclaw_jobs.web.samples import sample

__all__ = ["HANDLERS"]

_TITLE: Final = "Hand the task over, pay only for a good result"
_CHAT: Final = "/chat"
_OPENING: Final = b"retry: 1000\n\n"
_HEARTBEAT: Final = b": heartbeat\n\n"

LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]


async def feed_of(request: PageRequest) -> dict[str, Any]:
    """What `parts/feed.html` shows: the tasks just done, and where its stream goes on."""
    done = [done_line(task) for task in await site_of(request).activity.done()]
    return {"done": done, "last_seq": done[0].seq if done else 0}


@get("/", opt=page_options())
async def landing(request: PageRequest) -> Page:
    """What this is for buyers and for workers, what it costs, and what was just done."""
    site = site_of(request)
    figures = await site.activity.figures()
    config = site.market.config
    return render(
        request,
        "landing.html",
        title=_TITLE,
        start_url=_CHAT if viewer_of(request).buyer_id else f"/sign-in?return_to={_CHAT}",
        figures=figure_words(figures),
        kept_known=figures.kept_share is not None,
        **await feed_of(request),
        quality=quality_words(await site.activity.quality()) if config.quality.enabled else [],
        signup_bonus_cents=config.signup.bonus_cents,
        **msgspec.structs.asdict(offer(config)),
    )


@get("/activity", opt=page_options(rate="stream"))
async def activity(request: PageRequest, last_event_id: LastEventId = None) -> ASGIApp:
    """Server-Sent Events: `done` with each task just done, `figures` when they change."""
    after = parse_last_event_id(last_event_id)
    stream = EventStream(_activity(site_of(request).activity, after))
    # The door counts what waits, of both kinds, by address.
    waiting: Any = request.scope["litestar_app"].door.waiting  # type: ignore[attr-defined]
    address = visit_of(request.scope).address

    async def counted(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        with waiting.at(address):
            await stream(scope, receive, send)

    return counted


async def _activity(shown: PublicActivity, after: int | None) -> AsyncGenerator[bytes, None]:
    """Frames of what is public; while nothing happens a heartbeat, and no SQL."""
    with shown.follow() as subscription:
        yield _OPENING
        seq = after
        told: dict[str, str] | None = None
        while True:
            if seq is None:
                # Who comes without a place to go on from has just read the page, or wants none.
                seq = shown.latest
            chunk = b""
            for task in shown.done_after(seq):
                line = done_line(task)
                chunk += _frame("done", {"text": line.text, "at": rfc3339(line.at)}, task.seq)
                seq = task.seq
            words = told if shown.known is None else figure_words(shown.known)
            if words is not None and words != told:
                told = words
                chunk += _frame("figures", words)
            if chunk:
                yield chunk
            signal = await subscription.wait(HEARTBEAT_S)
            while signal is Signal.TIMEOUT:
                yield _HEARTBEAT
                signal = await subscription.wait(HEARTBEAT_S)
            if signal is Signal.CLOSED:
                return


def _frame(name: str, data: dict[str, str], seq: int | None = None) -> bytes:
    head = b"" if seq is None else b"id: %d\n" % seq
    return head + b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


@get("/styleguide", opt=page_options())
async def styleguide(request: PageRequest) -> Page:
    """Every component once, for who works on the pages.

    Raises:
        Problem: 404 in production.
    """
    if site_of(request).production:
        raise not_found("page")
    context: dict[str, Any] = sample()
    return render(request, "styleguide.html", title="Style sample", **context)


HANDLERS: Final = [landing, activity, styleguide]
