"""The first page: its bytes and the time to make it; and many open streams."""

import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import psycopg

from bench.processes import Server, serving
from bench.report import Figure, best
from bench.seed import RESULT, Buyer, make_buyers, make_workers
from bench.server import BARE_PAGE
from bench.stage import SETTINGS, Stage, prove
from openclaw_jobs.app import open_market
from openclaw_jobs.market.change_config import change_config

GROUP = "pages"
_UNLIMITED = {"limit": 1_000_000, "per_seconds": 60}
_LINKED = re.compile(r'(?:href|src)="(/(?:static/[^"]+\.(?:css|js)|favicon\.svg))"')
_IMPORTED = re.compile(r'^import .* from "\./([a-z-]+\.js)";', re.MULTILINE)
_BUYERS = 20


async def run(stage: Stage) -> list[Figure]:
    """Measure on a server of its own."""
    loads, streams, seconds = (20, 40, 2.0) if stage.quick else (400, 500, 20.0)
    with stage.database("bench_pages") as dsn:
        async with open_market(SETTINGS, dsn) as market:
            limits = {"stream": _UNLIMITED, "api_read": _UNLIMITED}
            await change_config(market, "rate_limits", limits, None, "bench")
            workers, buyers = await make_workers(market, 1), await make_buyers(market, _BUYERS)
        async with serving(dsn) as server:
            await _some_tasks(server, buyers[0], workers[0].token)
            figures = await _first_page(server, loads)
        keys = [f"Authorization: Bearer {buyer.key}\r\n" for buyer in buyers]
        for path, headers in (("/activity", [""]), ("/api/events", keys)):
            # Each on a server of its own: memory that others have left would be used again.
            async with serving(dsn) as server:
                figures += await _streams(dsn, server, path, headers, streams, seconds)
        async with open_market(SETTINGS, dsn) as market:
            await prove(market)
    return figures


class _Connection:
    """One kept-alive HTTP/1.1 connection, so that a client's own cost stays small."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, server: Server) -> "_Connection":
        parts = urlsplit(server.url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def send(self, method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
        """Send a request; returns the head of its answer."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{headers}{length}\r\n".encode() + body
        )
        return await self.reader.readuntil(b"\r\n\r\n")

    async def get(self, path: str, headers: str = "") -> tuple[bytes, bytes]:
        """Head and body of a page that has a length."""
        head = await self.send("GET", path, headers)
        assert head.startswith(b"HTTP/1.1 200"), (path, head)
        found = re.search(rb"content-length: (\d+)", head.lower())
        assert found is not None, head
        return head, await self.reader.readexactly(int(found[1]))

    def close(self) -> None:
        self.writer.close()


async def _some_tasks(server: Server, buyer: Buyer, token: str) -> None:
    """Let the page have something to show."""
    connection = await _Connection.open(server)
    kind = "Content-Type: application/json\r\n"
    for _ in range(10):
        await _answer(
            connection,
            "/api/task",
            f"Authorization: Bearer {buyer.key}\r\n{kind}",
            b'{"prompt":"x","category":"coding"}',
        )
        worker = f"Authorization: Bearer {token}\r\n"
        _, work = await connection.get("/api/work/next?wait=10", worker)
        task_id, lease = (
            re.search(rb'"%s":"([^"]+)"' % name, work) for name in (b"task_id", b"lease_token")
        )
        assert task_id is not None
        assert lease is not None
        body = b'{"task_id":"%s","lease_token":"%s","status":"completed","result":"%s"}'
        await _answer(
            connection,
            "/api/work/submit",
            worker + kind,
            body % (task_id[1], lease[1], RESULT.encode()),
        )
    connection.close()


async def _answer(connection: _Connection, path: str, headers: str, body: bytes) -> None:
    head = await connection.send("POST", path, headers, body)
    assert head.startswith(b"HTTP/1.1 20"), head
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length is not None
    await connection.reader.readexactly(int(length[1]))


async def _first_page(server: Server, loads: int) -> list[Figure]:
    connection = await _Connection.open(server)
    zipped = "Accept-Encoding: gzip\r\n"
    head, page = await connection.get("/", zipped)
    sizes = {"/": len(head) + len(page)}
    paths = list(dict.fromkeys(_LINKED.findall(page.decode())))
    for path in paths:
        head, content = await connection.get(path, zipped)
        sizes[path] = len(head) + len(content)
        if path.endswith(".js"):
            # A module's neighbours are loaded as well; plain, to be read.
            _, plain = await connection.get(path)
            folder = path.rpartition("/")[0]
            found = [f"{folder}/{name}" for name in _IMPORTED.findall(plain.decode())]
            paths += [name for name in found if name not in paths]
    runs: dict[str, list[float]] = {"/": [], BARE_PAGE: []}
    for _ in range(3):
        for path, medians in runs.items():
            medians.append(await _median_ms(connection, path, loads))
    connection.close()
    ratio = min(runs["/"]) / min(runs[BARE_PAGE])
    return [
        Figure(
            group=GROUP,
            name="first page over the wire, in all",
            value=sum(sizes.values()) / 1000,
            unit="KB",
            aim=100,
            aim_at_most=True,
            note=f"{len(sizes)} requests with their heads; the page itself {sizes['/'] / 1000:.0f}",
        ),
        best(GROUP, "a bare template, median", runs[BARE_PAGE], "ms", aim_at_most=True),
        best(
            GROUP,
            "first page, median",
            runs["/"],
            "ms",
            aim=20,
            aim_at_most=True,
            note=f"{ratio:.1f} times a bare template; asked for and answered over HTTP",
        ),
    ]


async def _median_ms(connection: _Connection, path: str, loads: int) -> float:
    took = []
    for _ in range(loads):
        started = time.perf_counter()
        await connection.get(path)
        took.append((time.perf_counter() - started) * 1_000)
    return statistics.median(took)


async def _streams(
    dsn: str, server: Server, path: str, headers: Sequence[str], count: int, seconds: float
) -> list[Figure]:
    """Open `count` streams and let them be; the first is open before anything is measured."""
    first = await _Connection.open(server)
    await first.send("GET", path, headers[0])
    await asyncio.sleep(seconds / 4)
    alone = await _statements_a_second(dsn, seconds)
    before = server.resident_bytes()
    opened = []
    for number in range(count):
        connection = await _Connection.open(server)
        head = await connection.send("GET", path, headers[number % len(headers)])
        assert head.startswith(b"HTTP/1.1 200"), head
        opened.append(connection)
    await asyncio.sleep(seconds / 4)
    each = (server.resident_bytes() - before) / count / 1_000
    together = await _statements_a_second(dsn, seconds)
    for connection in (first, *opened):
        connection.close()
    name = f"{count} streams of {path}"
    return [
        Figure(
            group=GROUP,
            name=f"{name}: server memory each",
            value=each,
            unit="KB",
            aim=30,
            aim_at_most=True,
        ),
        Figure(
            group=GROUP,
            name=f"{name}: SQL transactions while idle",
            value=together,
            unit="/s",
            note=f"with one stream {alone:.1f} /s; of the whole process",
        ),
    ]


async def _statements_a_second(dsn: str, seconds: float) -> float:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:

        async def count() -> float:
            cursor = await conn.execute(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
            row = await cursor.fetchone()
            assert row is not None
            return float(row[0])

        before, started = await count(), time.monotonic()
        await asyncio.sleep(seconds)
        return (await count() - before) / (time.monotonic() - started)
