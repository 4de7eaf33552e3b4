"""How often a caller may call: a sliding window for each address and each token.

The counters live in this process, or in a store that several processes share
(`RATE_LIMIT_STORAGE`). The limits are the runtime configuration's and are passed in at each call,
so that a change is in force at once.

Counting in memory is our own since it stands on the path of every request: for an address and a
token 1.6 microseconds, where `limits` 5.8 takes 15 (sliding window counter) to 31 (moving window,
which also keeps every hit and inserts at the front of a list). `limits` serves the shared stores.
"""

import ipaddress
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import limits
from limits.aio.storage import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from openclaw_jobs.kit.errors import Problem

__all__ = ["AddressBook", "LimitStoreError", "LocalWindows", "RateLimiter", "WindowRule"]

_log = logging.getLogger(__name__)

_EXACT_UP_TO: Final = 120
"""Up to this limit each hit is remembered by itself; above, hits share this many slices."""
_MAX_KEYS: Final = 100_000
"""The most callers remembered per kind of limit; beyond it the one idle longest is forgotten."""
_SHARED_RETRY_S: Final = 5.0
"""After the shared store failed, this process counts alone for so long before it asks again."""


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


class RateLimiter:
    """Admits or refuses calls by the windows of their address and token.

    Args:
        shared: A store that several processes count in; None counts in this process.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self, shared: Storage | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._local = LocalWindows()
        self._shared = None if shared is None else SlidingWindowCounterRateLimiter(shared)
        self._shared_again_at = 0.0

    @classmethod
    def at(cls, storage_uri: str) -> "RateLimiter":
        """One that counts where `storage_uri` says.

        Args:
            storage_uri: `memory://` for this process alone, or a store that `limits` knows, such
                as `redis://host:6379/0`.

        Raises:
            LimitStoreError: It names no usable store.
        """
        return cls(_open_shared(storage_uri))

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
        if self._shared is not None and await self._admit_shared(name, rule, keys, count=count):
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
        if self._shared is not None and await self._hit_shared(name, rule, keys):
            return
        now = self._clock()
        for key in keys:
            self._local.hit(name, key, rule, now)

    async def _admit_shared(
        self, name: str, rule: WindowRule, keys: Sequence[bytes], *, count: bool
    ) -> bool:
        """As `admit`, in the shared store; False if it cannot be asked now."""
        shared = self._shared
        if shared is None or self._clock() < self._shared_again_at:
            return False
        item = limits.RateLimitItemPerSecond(rule.limit, rule.per_seconds, namespace=name)
        try:
            for key in keys:
                if not await shared.test(item, key.hex()):
                    stats = await shared.get_window_stats(item, key.hex())
                    raise refusal(name, rule, stats.reset_time - time.time())
            if count:
                for key in keys:
                    await shared.hit(item, key.hex())
        except StorageError as error:
            self._shared_failed(error)
            return False
        return True

    async def _hit_shared(self, name: str, rule: WindowRule, keys: Sequence[bytes]) -> bool:
        shared = self._shared
        if shared is None or self._clock() < self._shared_again_at:
            return False
        item = limits.RateLimitItemPerSecond(rule.limit, rule.per_seconds, namespace=name)
        try:
            for key in keys:
                await shared.hit(item, key.hex())
        except StorageError as error:
            self._shared_failed(error)
            return False
        return True

    def _shared_failed(self, error: StorageError) -> None:
        # Counting alone keeps every limit in force (per process) and the service up.
        self._shared_again_at = self._clock() + _SHARED_RETRY_S
        cause = type(error.storage_error).__name__
        _log.warning("the rate limit store failed (%s); counting in this process", cause)


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


class LimitStoreError(Exception):
    """`RATE_LIMIT_STORAGE` names no store that can be used here; the message says why."""


def _open_shared(storage_uri: str) -> Storage | None:
    scheme = storage_uri.partition("://")[0].removeprefix("async+")
    if scheme == "memory":
        return None
    uri = storage_uri if storage_uri.startswith("async+") else f"async+{storage_uri}"
    try:
        storage = storage_from_string(uri, wrap_exceptions=True)
    except (ConfigurationError, ImportError, ValueError) as error:
        # The URI may hold a password: only its scheme is repeated.
        raise LimitStoreError(f"RATE_LIMIT_STORAGE: no {scheme!r} store here: {error}") from error
    if not isinstance(storage, Storage):
        raise LimitStoreError(f"RATE_LIMIT_STORAGE: {scheme!r} is not an asynchronous store")
    return storage


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressBook:
    """Tells a caller's address, believing forwarding headers only from trusted proxies.

    Args:
        trusted_proxies: Networks whose `X-Forwarded-For`, `X-Real-IP` and `CF-Connecting-IP` are
            believed.
    """

    def __init__(self, trusted_proxies: Sequence[_Network] = ()) -> None:
        self._trusted = tuple(trusted_proxies)

    def client(self, peer: str | None, headers: Mapping[bytes, bytes]) -> str:
        """The address of whoever sent the request; `unknown` when the socket has none.

        Args:
            peer: The other end of the socket.
            headers: Request headers by lower-case name.
        """
        if peer is None:
            return "unknown"
        if not self._trusted or not self._is_trusted(peer):
            return peer
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is not None:
            return self._nearest_untrusted(forwarded.decode("latin-1"), peer)
        for name in (b"x-real-ip", b"cf-connecting-ip"):
            value = headers.get(name)
            if value is not None and (address := _parse(value.decode("latin-1"))) is not None:
                return str(address)
        return peer

    def is_loopback(self, peer: str | None, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the caller sits on this machine.

        A request that a proxy on this machine passed on is not from here, whether or not the
        proxy is trusted.
        """
        address = _parse(self.client(peer, headers))
        if address is None or not address.is_loopback:
            return False
        if peer is not None and self._is_trusted(peer):
            return True
        passed_on = (b"x-forwarded-for", b"x-real-ip", b"cf-connecting-ip", b"forwarded")
        return not any(name in headers for name in passed_on)

    def _nearest_untrusted(self, forwarded: str, peer: str) -> str:
        """Walk from the nearest hop outward; what an untrusted hop claims is not believed."""
        nearest = peer
        for hop in reversed(forwarded.split(",")):
            address = _parse(hop)
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(nearest):
                break
        return nearest

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def address_key(address: str) -> bytes:
    """What an address is counted under: itself, or for IPv6 the /64 that one customer has."""
    if ":" not in address:
        return address.encode("latin-1", "replace")
    parsed = _parse(address)
    if not isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed or address).encode("latin-1", "replace")
    return parsed.packed[:8]


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
