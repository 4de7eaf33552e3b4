"""A TCP proxy that cuts connections, in either direction and in the middle of an exchange."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

Way: TypeAlias = Literal["forth", "back"]
"""`forth`: what the client says is lost; `back`: it is heard, and the answer is lost."""

GRACE_S = 0.5
"""How long a cut waits for an exchange to be in the middle of."""

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_RETRY_S = 0.02
_PATIENCE_S = 10.0


class _Pair:
    """A connection of a client and the one that was opened for it."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far
        self.cut: Way | None = None

    def abort(self) -> None:
        """Reset both, as a network does that fails."""
        for writer in (self.near, self.far):
            writer.transport.abort()


class Proxy:
    """One address before several; each connection goes to the next of them that takes it.

    Attributes:
        targets: `host:port`, or the path of a Unix socket.
        statuses: How many answers of HTTP came through with each status.
        lost: How many connections were cut.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        """See the class."""
        self.targets = targets
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.port = 0
        self._turn = 0
        self._pairs: set[_Pair] = set()
        self._running: set[asyncio.Task[None]] = set()

    def cut(self, way: Way) -> None:
        """Cut every connection there is: at its next chunk that way, or after a moment."""
        pairs = list(self._pairs)
        self.lost += len(pairs)
        for pair in pairs:
            pair.cut = way
        for pair in pairs:
            asyncio.get_running_loop().call_later(GRACE_S, pair.abort)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for _ in self.targets:
                    self._turn += 1
                    target = self.targets[self._turn % len(self.targets)]
                    with contextlib.suppress(OSError):
                        if target.startswith("/"):
                            return await asyncio.open_unix_connection(target)
                        host, port = target.rsplit(":", 1)
                        return await asyncio.open_connection(host, int(port))
                await asyncio.sleep(_RETRY_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        pair: _Pair | None = None
        try:
            # Nobody there: the client is hung up on. The proxy closes: asyncio's servers can't have
            # their tasks end as cancelled.
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                far_reader, far_writer = await self._connect()
                pair = _Pair(writer, far_writer)
                self._pairs.add(pair)
                await asyncio.gather(
                    self._pour(pair, "forth", reader, far_writer),
                    self._pour(pair, "back", far_reader, writer),
                )
        finally:
            if pair is not None:
                self._pairs.discard(pair)
                pair.far.close()
            writer.close()
            self._running.discard(task)

    async def _pour(
        self, pair: _Pair, way: Way, source: asyncio.StreamReader, into: asyncio.StreamWriter
    ) -> None:
        # uvloop raises RuntimeError for what asyncio passes over: the other side was just closed.
        with contextlib.suppress(OSError, RuntimeError):
            while chunk := await source.read(65_536):
                if pair.cut == way:
                    pair.abort()
                    return
                if way == "back" and (found := _STATUS.match(chunk)):
                    self.statuses[int(found[1])] += 1
                into.write(chunk)
                await into.drain()
        with contextlib.suppress(OSError, RuntimeError):
            into.close()
