"""Rate limits that several processes count in together (`RATE_LIMIT_STORAGE`), such as in Redis.

The counting is the library `limits`' sliding window counter: of the window before, as much still
counts as lies in the last `per_seconds`. Each key's test and count are one step in the store, so
that processes which ask at the same moment do not both get the last place.

A store that fails or does not answer in time is no reason to refuse anybody, nor to let everybody
in: each process counts alone until the store is back. It asks again with one call every few
seconds, and tells of both changes once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import limits
from limits.aio.storage import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from openclaw_jobs.api.limits import RateLimiter, WindowRule

__all__ = ["LimitStoreError", "StoredWindows", "open_limiter"]

_log = logging.getLogger(__name__)

_RETRY_S: Final = 5.0
"""After the store failed, it is asked again after so long."""
_TIMEOUT_S: Final = 0.5
"""A store that takes longer has failed: a request waits for it."""
_CONNECTIONS: Final = 32
"""To Redis, from one process; a call is a tenth of a millisecond, so few are ever busy."""
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "redis+unix"})
_KEY_PREFIX: Final = "openclaw:limits"
_LEAST_WAIT_S: Final = 0.001


class LimitStoreError(Exception):
    """`RATE_LIMIT_STORAGE` names no store that can be used here; the message says why."""


class StoredWindows:
    """Sliding windows in a store of the library `limits`.

    Args:
        storage: The store.
        clock: Seconds that never run backwards.
        timeout_s: How long one look or count may take.
        disconnect: Ends the store's connections.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = _TIMEOUT_S,
        disconnect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._windows = SlidingWindowCounterRateLimiter(storage)
        self._clock = clock
        self._timeout_s = timeout_s
        self._disconnect = disconnect
        self._away = False
        self._ask_again_at = 0.0

    async def close(self) -> None:
        """End the store's connections."""
        if self._disconnect is not None:
            await self._disconnect()

    async def admit(
        self, name: str, rule: WindowRule, keys: Sequence[bytes], *, count: bool
    ) -> float | None:
        """Seconds until the fullest key has room, 0 if all have now; None: cannot be asked.

        With `count`, a call that all keys have room for is counted. When another process takes
        the last place of one key in just that moment, the call is refused and stays counted in
        the others.
        """
        if not self._may_ask():
            return None
        item = _item(name, rule)
        try:
            # A time-out is an OSError.
            async with asyncio.timeout(self._timeout_s):
                wait = await self._wait_s(item, keys)
                if wait == 0 and count and not all(await self._hit(item, keys)):
                    wait = await self._wait_s(item, keys) or _LEAST_WAIT_S
        except (StorageError, OSError) as error:
            self._failed(error)
            return None
        self._answered()
        return wait

    async def hit(self, name: str, rule: WindowRule, keys: Sequence[bytes]) -> bool:
        """Count a call; False: cannot be asked."""
        if not self._may_ask():
            return False
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._hit(_item(name, rule), keys)
        except (StorageError, OSError) as error:
            self._failed(error)
            return False
        self._answered()
        return True

    async def _wait_s(self, item: limits.RateLimitItem, keys: Sequence[bytes]) -> float:
        rooms = await asyncio.gather(*(self._windows.test(item, key.hex()) for key in keys))
        full = [key for key, room in zip(keys, rooms, strict=True) if not room]
        stats = [await self._windows.get_window_stats(item, key.hex()) for key in full]
        return max((max(s.reset_time - time.time(), _LEAST_WAIT_S) for s in stats), default=0.0)

    async def _hit(self, item: limits.RateLimitItem, keys: Sequence[bytes]) -> list[bool]:
        return await asyncio.gather(*(self._windows.hit(item, key.hex()) for key in keys))

    def _may_ask(self) -> bool:
        if not self._away:
            return True
        now = self._clock()
        if now < self._ask_again_at:
            return False
        # This call finds out; those that come while it does still count here.
        self._ask_again_at = now + _RETRY_S
        return True

    def _failed(self, error: StorageError | OSError) -> None:
        self._ask_again_at = self._clock() + _RETRY_S
        if self._away:
            return
        self._away = True
        cause = error.storage_error if isinstance(error, StorageError) else error
        _log.warning(
            "the rate limit store does not answer (%s); this process counts alone until it does",
            type(cause).__name__,
        )

    def _answered(self) -> None:
        if self._away:
            self._away = False
            _log.warning("the rate limit store answers again; limits are shared again")


def open_limiter(storage_uri: str) -> RateLimiter:
    """A limiter that counts where `storage_uri` says.

    Args:
        storage_uri: `memory://` for this process alone, or a store that `limits` knows, such as
            `redis://host:6379/0`.

    Raises:
        LimitStoreError: It names no usable store.
    """
    scheme = storage_uri.partition("://")[0].removeprefix("async+")
    if scheme == "memory":
        return RateLimiter()
    plain = storage_uri.removeprefix("async+")
    try:
        options = _options(scheme, plain)
        storage = storage_from_string(f"async+{plain}", wrap_exceptions=True, **options)
    except (ConfigurationError, ImportError, ValueError) as error:
        # The URI may hold a password: only its scheme is repeated.
        raise LimitStoreError(f"RATE_LIMIT_STORAGE: no {scheme!r} store here") from error
    if not isinstance(storage, Storage):
        raise LimitStoreError(f"RATE_LIMIT_STORAGE: {scheme!r} is not an asynchronous store")
    pool = options.get("connection_pool")
    return RateLimiter(StoredWindows(storage, disconnect=pool and pool.disconnect))


def _item(name: str, rule: WindowRule) -> limits.RateLimitItem:
    return limits.RateLimitItemPerSecond(rule.limit, rule.per_seconds, namespace=name)


def _options(scheme: str, uri: str) -> dict[str, Any]:
    """What a store of Redis is opened with: few connections, and no waiting for any.

    The client is redis-py: `limits` would take coredis, whose version 6 it cannot drive.
    """
    if not scheme.startswith("redis"):
        return {}
    options: dict[str, Any] = {"implementation": "redispy", "key_prefix": _KEY_PREFIX}
    if scheme in _REDIS_SCHEMES:
        # Loaded only where it is used: it takes a tenth of a second.
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        options["connection_pool"] = BlockingConnectionPool.from_url(
            uri.replace("redis+unix", "unix"),
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # A connection that a restart of the server broke is made anew, once.
            retry=Retry(NoBackoff(), 1),
        )
    return options
