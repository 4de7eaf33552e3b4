"""What may show that two workers, or a buyer and a worker, are one person's; pure.

Only equality matters, so a mark is kept as a hash. It is no secret that it protects: whoever can
read the table can try all addresses; it keeps addresses out of what is looked at by chance.
"""

import hashlib
import ipaddress
from typing import Final, Literal

from openclaw_jobs.kit.mailbox import mailbox_of

__all__ = ["MarkKind", "mark_of", "network_of"]

MarkKind = Literal["email", "payout", "network", "person"]
"""A person is who holds a worker in a browser that is signed in."""

_IPV6_SITE_BITS: Final = 64
"""One customer has at least a /64 (RFC 6177), so any address in it may be the same machine."""


def mark_of(kind: MarkKind, value: str) -> bytes:
    """The mark of an address; of two kinds, two marks, so that they never meet by chance.

    An e-mail address counts as its mailbox, whatever its spelling.
    """
    if kind in {"email", "payout"} and "@" in value:
        value = mailbox_of(value)
    return hashlib.sha256(f"{kind}:{value.strip().lower()}".encode()).digest()


def network_of(address: str) -> str | None:
    """The network that an internet address speaks for; None for one that says nothing.

    Loopback, private and other addresses that aren't of the public internet are shared by whoever
    happens to be behind the same router or on the same machine.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if not ip.is_global or ip.is_multicast:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _IPV6_SITE_BITS), strict=False))
    return str(ip)
