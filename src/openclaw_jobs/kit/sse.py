"""An answer that is sent as it comes, such as Server-Sent Events; for both doors.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

__all__ = ["HEADERS", "EventStream", "until_hung_up"]

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would otherwise gather a few kilobytes before it passes any on.
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """An ASGI application that sends chunks as they come, until they end or the client is gone.

    The generator is closed in either case, before the answer returns.

    Args:
        chunks: Frames, ready to send.
        headers: Of the answer.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], headers: Sequence[tuple[bytes, bytes]] = HEADERS
    ) -> None:
        self._chunks = chunks
        self._headers = headers

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer one request."""
        start = {"type": "http.response.start", "status": 200, "headers": list(self._headers)}
        await send(start)
        passing_on = asyncio.create_task(self._pass_on(send))
        gone = asyncio.create_task(until_hung_up(receive))
        try:
            await asyncio.wait((passing_on, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            passing_on.cancel()
            gone.cancel()
            await asyncio.gather(passing_on, gone, return_exceptions=True)
        if not passing_on.cancelled():
            passing_on.result()

    async def _pass_on(self, send: Any) -> None:  # noqa: ANN401 - ASGI
        async with aclosing(self._chunks):
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_hung_up(receive: Any) -> None:  # noqa: ANN401 - ASGI
    """Wait for `http.disconnect`, dropping whatever of the body comes before."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
