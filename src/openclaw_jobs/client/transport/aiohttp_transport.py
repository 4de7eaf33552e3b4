"""The async transport on aiohttp, for those who installed the extra `fast`."""

from __future__ import annotations

import functools
import socket
import urllib.request
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp.connector import AddrInfoType
from yarl import URL

from openclaw_jobs.client.call import Reply
from openclaw_jobs.client.errors import TransportError
from openclaw_jobs.client.transport.base import (
    CONNECT_TIMEOUT_S,
    KEEPALIVE_S,
    AsyncStream,
    Outgoing,
)
from openclaw_jobs.client.transport.half_close import half_close

_NEVER_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError)


@functools.lru_cache(maxsize=64)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=seconds)


@functools.lru_cache(maxsize=256)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


def _failure(error: Exception) -> TransportError:
    reason = str(error) or type(error).__name__
    return TransportError(reason, sent=not isinstance(error, _NEVER_SENT))


class AiohttpTransport:
    """The fast async transport; its session is opened by the first request, in the running loop."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._session: aiohttp.ClientSession | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._hung_up = False

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=KEEPALIVE_S, socket_factory=self._socket
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                # costs two thread hops a request, so only where the environment names a proxy
                trust_env=bool(urllib.request.getproxies()),
            )
        return self._session

    def _socket(self, address: AddrInfoType) -> socket.socket:
        if self._hung_up:
            # aiohttp itself repeats a GET whose connection was closed; here that would call back
            raise ConnectionAbortedError("hung up")
        family, kind, protocol, _, _ = address
        made = socket.socket(family=family, type=kind, proto=protocol)
        self._sockets.add(made)
        return made

    async def send(self, request: Outgoing) -> Reply:
        """Send and read the whole answer."""
        session = self._session or self._open()
        try:
            async with session.request(
                request.method,
                _url(request.url),
                data=request.body,
                headers=request.headers,
                timeout=_timeout(request.timeout_s),
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except _FAILURES as error:
            raise _failure(error) from error
        return Reply(response.status, response.headers, body)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[AsyncStream]:
        """Send and read the answer bit by bit."""
        try:
            response = await self._open().request(
                request.method,
                _url(request.url),
                headers=request.headers,
                timeout=_timeout(request.timeout_s),
                allow_redirects=False,
            )
        except _FAILURES as error:
            raise _failure(error) from error
        try:
            yield AsyncStream(response.status, response.headers, _chunks(response))
        finally:
            response.close()

    def hang_up(self) -> None:
        """Half-close every connection."""
        self._hung_up = True
        for connection in list(self._sockets):
            half_close(connection)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except _FAILURES as error:
        raise _failure(error) from error
