"""Carries calls out against one server as one caller: headers, errors, retries.

`Session` and `AsyncSession` differ only in how they wait; what they decide is shared.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Final, Self

from openclaw_jobs import __version__
from openclaw_jobs.client.call import Call, Reply, T
from openclaw_jobs.client.errors import ClientError, error_from
from openclaw_jobs.client.retry import RetryPolicy
from openclaw_jobs.client.transport import (
    AsyncStream,
    AsyncTransport,
    HttpxTransport,
    Outgoing,
    Stream,
    Transport,
    default_async_transport,
)

TIMEOUT_S: Final = 15.0
"""Seconds an answer may take beyond the time the server was asked to hold it back."""

_REFUSED: Final = 400
_REDIRECT: Final = 300


class _Caller:
    """What both kinds of session know: where to, as whom, how patiently."""

    def __init__(
        self, url: str, secret: str | None, retry: RetryPolicy | None, timeout_s: float
    ) -> None:
        if not url.startswith(("http://", "https://")):
            message = f"the address must begin with http:// or https://: {url!r}"
            raise ValueError(message)
        self.url: Final = url.rstrip("/")
        self.retry: Final = retry or RetryPolicy()
        self.timeout_s: Final = timeout_s
        # not secret: it only spreads the waits
        self.rng: Final = random.Random()  # noqa: S311
        self.identify(secret)

    def identify(self, secret: str | None) -> None:
        """Use `secret` as the bearer from now on, or none."""
        self.secret = secret
        # built once: merging headers is a good part of what a request costs
        self._plain: dict[str, str] = {
            "Accept": "application/json",
            "User-Agent": f"openclaw-jobs/{__version__}",
        }
        if secret is not None:
            self._plain["Authorization"] = f"Bearer {secret}"
        self._with_body: dict[str, str] = {**self._plain, "Content-Type": "application/json"}

    def outgoing(self, call: Call[T], *, timeout_s: float | None = None) -> Outgoing:
        """Make the request for a call."""
        headers = self._plain if call.body is None else self._with_body
        if call.headers:
            headers = {**headers, **call.headers}
        timeout_s = self.timeout_s + call.wait_s if timeout_s is None else timeout_s
        return Outgoing(call.method, self.url + call.path, headers, call.body, timeout_s)

    def read(self, call: Call[T], reply: Reply) -> T:
        """Read the answer; a refusal (or a redirect, which no route gives) is an `ApiError`."""
        if reply.status >= _REDIRECT:
            raise error_from(reply.status, reply.headers, reply.body)
        return call.decode(reply)

    def wait_after(self, call: Call[T], error: ClientError, failures: int) -> float | None:
        """How long to wait before the next try, or None when there shall be none."""
        return self.retry.delay(error, failures=failures, repeatable=call.repeatable, rng=self.rng)


class Session(_Caller):
    """Carries calls out and blocks until they are done."""

    def __init__(
        self,
        url: str,
        secret: str | None,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: Transport | None = None,
    ) -> None:
        """Call the server at `url` with `secret` as the bearer.

        A `transport` that is passed in can be shared, and is its maker's to close.
        """
        super().__init__(url, secret, retry, timeout_s)
        self._transport: Final = transport or HttpxTransport()
        self._owned: Final = transport is None

    def run(self, call: Call[T]) -> T:
        """Carry a call out, trying again as the policy says.

        Raises:
            ApiError: the server refused.
            TransportError: there was no usable answer.
            UnexpectedAnswerError: the answer isn't what the contract says.
        """
        request = self.outgoing(call)
        failures = 0
        while True:
            try:
                return self.read(call, self._transport.send(request))
            except ClientError as error:
                failures += 1
                delay = self.wait_after(call, error, failures)
                if delay is None:
                    raise
            time.sleep(delay)

    @contextmanager
    def stream(self, call: Call[None], *, timeout_s: float) -> Iterator[Stream]:
        """Open an answer that comes bit by bit, once; `timeout_s` is the longest silence."""
        with self._transport.stream(self.outgoing(call, timeout_s=timeout_s)) as stream:
            if stream.status >= _REFUSED:
                raise error_from(stream.status, stream.headers, b"".join(stream.chunks))
            yield stream

    def close(self) -> None:
        """Close all connections."""
        if self._owned:
            self._transport.close()


class AsyncSession(_Caller):
    """Carries calls out in an event loop."""

    def __init__(
        self,
        url: str,
        secret: str | None,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: AsyncTransport | None = None,
    ) -> None:
        """Call the server at `url` with `secret` as the bearer.

        A `transport` that is passed in can be shared, and is its maker's to close.
        """
        super().__init__(url, secret, retry, timeout_s)
        self._transport: Final = transport or default_async_transport()
        self._owned: Final = transport is None

    async def run(self, call: Call[T]) -> T:
        """Carry a call out, trying again as the policy says; errors as `Session.run`."""
        request = self.outgoing(call)
        failures = 0
        while True:
            try:
                return self.read(call, await self._transport.send(request))
            except ClientError as error:
                failures += 1
                delay = self.wait_after(call, error, failures)
                if delay is None:
                    raise
            await asyncio.sleep(delay)

    @asynccontextmanager
    async def stream(self, call: Call[None], *, timeout_s: float) -> AsyncIterator[AsyncStream]:
        """Open an answer that comes bit by bit, once; `timeout_s` is the longest silence."""
        async with self._transport.stream(self.outgoing(call, timeout_s=timeout_s)) as stream:
            if stream.status >= _REFUSED:
                body = b"".join([chunk async for chunk in stream.chunks])
                raise error_from(stream.status, stream.headers, body)
            yield stream

    def hang_up(self) -> None:
        """Let go of everything the server holds back; see `AsyncTransport.hang_up`."""
        self._transport.hang_up()

    async def close(self) -> None:
        """Close all connections."""
        if self._owned:
            await self._transport.close()


class SessionOwner:
    """Closes its session at the end of a `with` block."""

    _session: Session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


class AsyncSessionOwner:
    """Closes its session at the end of an `async with` block."""

    _session: AsyncSession

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
