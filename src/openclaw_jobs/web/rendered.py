"""Workers' texts made into HTML once, and away from the event loop.

To make a long text pretty takes tens of milliseconds, and whoever wrote it decides how many. So
a page has its texts prepared in a thread before it is rendered, and what was made is kept: a
result never changes.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from markupsafe import Markup

from openclaw_jobs.web.markdown import render_markdown

__all__ = ["prepare", "rendered"]

_SHORT_CHARS: Final = 500
"""What takes less than a millisecond is not worth a thread."""
_MAX_KEPT_CHARS: Final = 16_000_000
_AT_ONCE: Final = 2


class _Kept:
    """What was made last, by the text's hash, as long as there is room."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._chars = 0
        self._made: OrderedDict[bytes, Markup] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Markup | None:
        with self._lock:
            made = self._made.get(key)
            if made is not None:
                self._made.move_to_end(key)
            return made

    def put(self, key: bytes, made: Markup) -> None:
        with self._lock:
            if key in self._made or len(made) > self._max_chars:
                return
            self._made[key] = made
            self._chars += len(made)
            while self._chars > self._max_chars:
                self._chars -= len(self._made.popitem(last=False)[1])


_kept: Final = _Kept(_MAX_KEPT_CHARS)
_threads: Final = threading.BoundedSemaphore(_AT_ONCE)


def rendered(text: str | None) -> Markup:
    """A worker's text as harmless HTML; see `render_markdown`."""
    if not text:
        return Markup("")
    key = hashlib.sha256(text.encode()).digest()
    made = _kept.get(key)
    if made is None:
        made = render_markdown(text)
        _kept.put(key, made)
    return made


async def prepare(texts: Iterable[str | None]) -> None:
    """Make texts ready for a page that shows them, so that they don't hold up everybody else."""
    long = [text for text in texts if text is not None and len(text) > _SHORT_CHARS]
    if long:
        await asyncio.to_thread(_render_all, long)


def _render_all(texts: list[str]) -> None:
    with _threads:
        for text in texts:
            rendered(text)
