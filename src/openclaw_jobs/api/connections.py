"""How many connections and waiting requests one address may have in this process."""

import contextlib
import ipaddress
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from openclaw_jobs.api.addresses import address_key
from openclaw_jobs.kit.errors import Problem

__all__ = ["Connections", "Waiting", "most_connections", "too_many"]

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_RETRY_S: Final = 15
_ABRUPT_FROM: Final = 2
"""From so many times its share on, an address' new connections are closed without an answer."""

_FILES: Final = 65_536
_OTHER_FILES: Final = 256
"""For the database, the log, and whatever else the process opens."""

Verdict = Literal["in", "refuse", "shut"]


class Connections:
    """Counts the open connections of each address.

    Args:
        per_address: The most of one address (of an IPv6 /64); None for any number.
        total: The most of all together, so that file descriptors are left for the rest of the
            process; None for any number.
        exempt: Whose connections are not counted by address: the proxies, which speak for many.
        loopback_exempt: Whether this machine's own are not counted by address either.
    """

    def __init__(
        self,
        *,
        per_address: int | None = None,
        total: int | None = None,
        exempt: Sequence[_Network] = (),
        loopback_exempt: bool = True,
    ) -> None:
        self.per_address = per_address
        self._total_limit = total
        self._exempt = (*exempt, *(_LOOPBACK if loopback_exempt else ()))
        self._by_address: Counter[bytes] = Counter()
        self._total = 0

    def enter(self, peer: str | None) -> Verdict:
        """A connection was made: let it in, refuse its first request, or shut it at once."""
        self._total += 1
        key = self._key(peer)
        if key is not None:
            self._by_address[key] += 1
        if self._total_limit is not None and self._total > self._total_limit:
            return "shut"
        if key is None or self.per_address is None:
            return "in"
        count = self._by_address[key]
        if count <= self.per_address:
            return "in"
        return "refuse" if count <= _ABRUPT_FROM * self.per_address else "shut"

    def leave(self, peer: str | None) -> None:
        """A connection that had entered has ended."""
        self._total -= 1
        key = self._key(peer)
        if key is not None:
            self._by_address[key] -= 1
            if self._by_address[key] <= 0:
                del self._by_address[key]

    def _key(self, peer: str | None) -> bytes | None:
        return None if peer is None or _within(peer, self._exempt) else address_key(peer)


class Waiting:
    """Counts requests that wait: parked polls, held reads and open streams.

    A proxy's connections are not counted by address, and behind it this is what keeps one client
    from holding everything.

    Args:
        per_address: The most of one client's address; None for any number. This machine's own
            are not counted.
        loopback_exempt: False counts them as well.
    """

    def __init__(self, *, per_address: int | None = None, loopback_exempt: bool = True) -> None:
        self._per_address = per_address
        self._exempt = _LOOPBACK if loopback_exempt else ()
        self._counts: Counter[tuple[str, bytes | str]] = Counter()

    @contextmanager
    def at(self, address: str) -> Iterator[None]:
        """Count a request of `address` for the length of the block.

        Raises:
            Problem: 429 `rate_limited`: it has as many waiting as it may.
        """
        if self._per_address is None or _within(address, self._exempt):
            yield
            return
        with self._held(("address", address_key(address)), self._per_address, "of your address"):
            yield

    @contextmanager
    def of(self, kind: str, caller: str, most: int) -> Iterator[None]:
        """Count a request of one caller for the length of the block.

        Args:
            kind: What is counted, such as `streams`.
            caller: Whose it is.
            most: The most that wait at once.

        Raises:
            Problem: 429 `rate_limited`: it has as many waiting as it may.
        """
        with self._held((kind, caller), most, f"({kind})"):
            yield

    @contextmanager
    def _held(self, key: tuple[str, bytes | str], most: int, whose: str) -> Iterator[None]:
        if self._counts[key] >= most:
            raise too_many(most, whose)
        self._counts[key] += 1
        try:
            yield
        finally:
            self._counts[key] -= 1
            if self._counts[key] == 0:
                del self._counts[key]


def most_connections() -> int:
    """How many connections this process has file descriptors for, after asking for more of them.

    The system lets a process raise its soft limit to the hard one; the soft one is often 1024,
    because `select` knows no more, which nothing here uses.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have a lower bound of their own.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    files = _FILES if soft == resource.RLIM_INFINITY else soft
    return max(files - _OTHER_FILES, files // 2)


def too_many(most: int, whose: str) -> Problem:
    """The 429 for one more than `most` at once."""
    return Problem(
        "rate_limited",
        f"More than {most} requests {whose} are open at once; close some.",
        headers={
            "Retry-After": str(_RETRY_S),
            "RateLimit-Limit": str(most),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(_RETRY_S),
        },
    )


def _within(address: str, networks: Sequence[_Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return any(parsed.ipv4_mapped in network for network in networks)
    return any(parsed in network for network in networks)
