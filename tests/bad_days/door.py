"""One address before several processes, as a proxy or a balancer is: bytes in, bytes out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_RETRY_S = 0.02
_PATIENCE_S = 10.0


@asynccontextmanager
async def one_door(addresses: Sequence[str]) -> AsyncIterator[str]:
    """Give each new connection to the next of `addresses` that takes it; yields the door's own."""
    turn = 0
    running: set[asyncio.Task[None]] = set()

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        nonlocal turn
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for _ in addresses:
                    turn += 1
                    place = urlsplit(addresses[turn % len(addresses)])
                    with contextlib.suppress(OSError):
                        return await asyncio.open_connection(place.hostname, place.port)
                await asyncio.sleep(_RETRY_S)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            # The door closes: asyncio's servers can't have their tasks end as cancelled.
            with contextlib.suppress(asyncio.CancelledError):
                far_reader, far_writer = await connect()
                await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        finally:
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    """Pass everything on, and the end of it: whoever hangs up is heard on the other side."""
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(65_536):
            into.write(chunk)
            await into.drain()
    with contextlib.suppress(OSError, ConnectionError):
        into.close()
