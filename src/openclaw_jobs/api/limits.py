"""How often a caller may call: a sliding window for each address and each token.

The counters live in this process, or in a store that several processes share
(`RATE_LIMIT_STORAGE`). The limits are the runtime configuration's and are passed in at each call,
so that a change is in force at once.

Counting in memory is our own since it stands on the path of every request: for an address and a
token 1.6 microseconds, where `limits` 5.8 takes 15 (sliding window counter) to 31 (moving window,
which also keeps every hit and inserts at the front of a list). `limits` serves the shared stores
(`shared_limits.py`).
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from openclaw_jobs.kit.errors import Problem

__all__ = ["LocalWindows", "RateLimiter", "SharedWindows", "WindowRule", "refusal"]

_EXACT_UP_TO: Final = 120
"""Up to this limit each hit is remembered by itself; above, hits share this many slices."""
_MAX_KEYS: Final = 100_000
"""The most callers remembered per kind of limit; beyond it the one idle longest is forgotten."""


class WindowRule(Protocol):
    """At most `limit` hits in any `per_seconds` seconds; a section of the configuration."""

    @property
    def limit(self) -> int:
        """The most hits."""
        ...

    @property
    def per_seconds(self) -> int:
        """The length of the window in seconds."""
        ...


class _Window:
    """The hits of one key: slices of `[first, last, count]`, oldest first."""

    __slots__ = ("slices", "total")

    def __init__(self) -> None:
        self.slices: deque[list[float]] = deque()
        self.total = 0.0

    def expire(self, horizon: float) -> None:
        slices = self.slices
        while slices and slices[0][1] <= horizon:
            self.total -= slices.popleft()[2]


class LocalWindows:
    """Sliding windows in this process's memory.

    No window of `per_seconds` ever holds more than `limit` hits. Up to a limit of 120 the count is
    exact; above, hits share slices of a 120th of the window and a slice is given back when its
    last hit is old enough.
    """

    def __init__(self, *, max_keys: int = _MAX_KEYS) -> None:
        self._by_name: dict[str, OrderedDict[bytes, _Window]] = {}
        self._max_keys = max_keys

    def wait_s(self, name: str, key: bytes, rule: WindowRule, now: float) -> float:
        """Seconds until `key` has room for one more hit; 0 if it has now."""
        windows = self._by_name.get(name)
        if windows is None or (window := windows.get(key)) is None:
            return 0.0
        window.expire(now - rule.per_seconds)
        if window.total < rule.limit:
            return 0.0
        # A lowered limit leaves more hits than it allows: wait until enough of them are old.
        excess = window.total - rule.limit
        for _, last, count in window.slices:
            excess -= count
            if excess < 0:
                return max(last + rule.per_seconds - now, 0.001)
        return float(rule.per_seconds)

    def hit(self, name: str, key: bytes, rule: WindowRule, now: float) -> None:
        """Count one hit of `key`."""
        windows = self._by_name.get(name)
        if windows is None:
            windows = self._by_name[name] = OrderedDict()
        window = windows.get(key)
        if window is None:
            self._make_room(windows, now - rule.per_seconds)
            window = windows[key] = _Window()
        else:
            windows.move_to_end(key)
            window.expire(now - rule.per_seconds)
        width = 0.0 if rule.limit <= _EXACT_UP_TO else rule.per_seconds / _EXACT_UP_TO
        if window.slices and now - window.slices[-1][0] < width:
            newest = window.slices[-1]
            newest[1] = now
            newest[2] += 1
        else:
            window.slices.append([now, now, 1])
        window.total += 1

    def remaining(self, name: str, key: bytes, rule: WindowRule) -> int:
        """How many hits `key` has left at the time of its last look."""
        window = self._by_name.get(name, OrderedDict()).get(key)
        return rule.limit if window is None else max(0, rule.limit - int(window.total))

    def _make_room(self, windows: OrderedDict[bytes, _Window], horizon: float) -> None:
        """Forget up to two idle keys, so that keys never pile up; and the oldest when full."""
        for _ in range(2):
            if not windows:
                return
            key, window = next(iter(windows.items()))
            if window.slices and window.slices[-1][1] > horizon and len(windows) < self._max_keys:
                return
            del windows[key]


class SharedWindows(Protocol):
    """Windows that several processes count in; see `shared_limits.StoredWindows`."""

    async def admit(
        self, name: str, rule: WindowRule, keys: Sequence[bytes], *, count: bool
    ) -> float | None:
        """Seconds until the fullest key has room, 0 if all have now; None: cannot be asked."""
        ...

    async def hit(self, name: str, rule: WindowRule, keys: Sequence[bytes]) -> bool:
        """Count a call; False: cannot be asked."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


class RateLimiter:
    """Admits or refuses calls by the windows of their address and token.

    Args:
        shared: Windows that several processes count in; None counts in this process. While they
            cannot be asked, this process counts alone: every limit holds, for each process.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self,
        shared: SharedWindows | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._local = LocalWindows()
        self._shared = shared

    async def admit(
        self, name: str, rule: WindowRule, keys: Sequence[bytes], *, count: bool = True
    ) -> None:
        """Let a call pass, counting it, or refuse it. A refused call is not counted.

        Args:
            name: The kind of call, a field of `rate_limits`.
            rule: Its limit now.
            keys: Whom it counts against; each must have room.
            count: False only looks; the call is counted later with `hit`, if at all.

        Raises:
            Problem: 429 `rate_limited`, with `Retry-After` and the `RateLimit-*` headers.
        """
        if self._shared is not None:
            wait_there = await self._shared.admit(name, rule, keys, count=count)
            if wait_there is not None:
                if wait_there > 0:
                    raise refusal(name, rule, wait_there)
                return
        now = self._clock()
        local = self._local
        for key in keys:
            if wait := local.wait_s(name, key, rule, now):
                raise refusal(name, rule, wait)
        if count:
            for key in keys:
                local.hit(name, key, rule, now)

    async def hit(self, name: str, rule: WindowRule, keys: Sequence[bytes]) -> None:
        """Count a call that was let pass before."""
        if self._shared is not None and await self._shared.hit(name, rule, keys):
            return
        now = self._clock()
        for key in keys:
            self._local.hit(name, key, rule, now)

    async def close(self) -> None:
        """Let go of the shared store, if there is one."""
        if self._shared is not None:
            await self._shared.close()


def refusal(name: str, rule: WindowRule, wait_s: float) -> Problem:
    """The 429 for a call over `rule` that has room again in `wait_s` seconds."""
    seconds = max(1, math.ceil(wait_s))
    return Problem(
        "rate_limited",
        f"More than {rule.limit} calls of this kind ({name}) in {rule.per_seconds} s; "
        f"try again in {seconds} s.",
        headers={
            "Retry-After": str(seconds),
            "RateLimit-Limit": str(rule.limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
            "RateLimit-Policy": f"{rule.limit};w={rule.per_seconds}",
        },
    )
