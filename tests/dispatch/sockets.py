"""Polls on bare sockets, so that a test can cut them."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec


@dataclass
class RawCall:
    """A request that was sent whole; its answer is read or cut."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def cut(self) -> None:
        """Vanish, as a process that is killed: the other side sees a reset."""
        self.writer.transport.abort()

    async def hang_up(self) -> None:
        """Close in order."""
        self.writer.close()
        await self.writer.wait_closed()

    async def status(self) -> int:
        """The answer's status."""
        return int((await self.reader.readline()).split()[1])


async def call(
    address: str,
    token: str,
    method: str,
    path: str,
    body: object | None = None,
    *,
    length: int | None = None,
) -> RawCall:
    """Send a request; with `length` it announces so many bytes of a body, whatever it sends."""
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    content = b"" if body is None else msgspec.json.encode(body)
    announced = length or len(content)
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {announced}\r\n\r\n".encode()
        + content
    )
    await writer.drain()
    return RawCall(reader, writer)


async def poll(address: str, token: str, wait: float = 30) -> RawCall:
    return await call(address, token, "GET", f"/api/work/next?wait={wait}")
