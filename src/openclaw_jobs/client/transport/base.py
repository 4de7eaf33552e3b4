"""What a transport is: the requests it takes, the answers it gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

import msgspec

from openclaw_jobs.client.call import Reply

KEEPALIVE_S = 4.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn closes it, so that a
request doesn't meet a connection that is just being closed."""

CONNECT_TIMEOUT_S = 10.0


class Outgoing(msgspec.Struct, frozen=True):
    """A request that is ready to send: absolute `url`, all `headers`, seconds to wait for bytes."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float


class Stream(msgspec.Struct, frozen=True):
    """The head of a streamed answer, and its bytes as they come (for a server's events)."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class AsyncStream(msgspec.Struct, frozen=True):
    """As `Stream`, for the async client."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """Sends one request at a time; failures are `TransportError`s. Safe to share by threads."""

    def send(self, request: Outgoing) -> Reply:
        """Send and read the whole answer."""
        ...

    def stream(self, request: Outgoing) -> AbstractContextManager[Stream]:
        """Send and read the answer bit by bit; leaving the context closes the connection."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class AsyncTransport(Protocol):
    """Sends any number of requests at once; failures are `TransportError`s."""

    async def send(self, request: Outgoing) -> Reply:
        """Send and read the whole answer."""
        ...

    def stream(self, request: Outgoing) -> AbstractAsyncContextManager[AsyncStream]:
        """Send and read the answer bit by bit; leaving the context closes the connection."""
        ...

    def hang_up(self) -> None:
        """Half-close every connection, and open no other.

        The server sees that the caller is gone and drops what it holds back, while an answer that
        is already on its way can still be read to its end.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
