"""Whence a call comes: the socket's other end, or what a trusted proxy says of it."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["AddressBook", "address_key"]

_MAX_HOPS: Final = 32
"""So many proxies are followed; a header of thousands would cost more than the call it is on."""

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
        for hop in reversed(forwarded.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
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
