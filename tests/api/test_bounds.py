"""What one caller may hold and how long: connections, waiting requests, heads, bodies, answers."""

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute

from openclaw_jobs.api import protocol, request, streams, tasks
from openclaw_jobs.api.connections import Connections, Waiting, most_connections
from openclaw_jobs.api.decoding import ANYTHING, MAX_DEPTH, decode_strictly
from openclaw_jobs.api.guards import options_of
from openclaw_jobs.kit.errors import Problem
from tests.api.framework import (
    BUYER,
    WORKER,
    Harness,
    fresh_harness,
    header_lines,
    read_answer,
    serving,
    speak,
)
from tests.market.steps import post, refused, until
from tests.running import Node, Party, running_node

GET = b"GET /api/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


class TestConnections:
    async def test_past_its_share_an_address_is_refused_and_far_past_it_shut_out(
        self, harness: Harness
    ) -> None:
        counted = Connections(per_address=2, loopback_exempt=False)
        async with serving(harness.app, counted) as url:
            opened = [await speak(url, GET) for _ in range(2)]
            assert [(await read_answer(reader)).status for reader, _ in opened] == [404, 404]
            reader, writer = await speak(url, GET)
            full = await read_answer(reader)
            assert (full.status, full.json()["code"]) == (429, "rate_limited")
            assert (full.headers["retry-after"], full.headers["ratelimit-limit"]) == ("15", "2")
            assert full.json()["request_id"] == full.headers["x-request-id"]
            assert await reader.read() == b""
            writer.close()
            # Connections that say nothing fill the room that politeness needs.
            silent = [await speak(url, b"") for _ in range(2)]
            last, writer = await speak(url, b"")
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(last.read(), 5) == b""
            await _end(writer, *(each for _, each in [*opened, *silent]))
            await _answers(url)

    async def test_a_refused_connection_gets_little_time(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "_REFUSED_HEAD_TIMEOUT_S", 0.05)
        counted = Connections(per_address=1, loopback_exempt=False)
        async with serving(harness.app, counted) as url:
            _, first = await speak(url, GET)
            reader, second = await speak(url, b"")
            assert await asyncio.wait_for(reader.read(), 5) == b""
            first.close()
            second.close()

    async def test_proxies_and_this_machine_are_not_counted(self, harness: Harness) -> None:
        for counted in (
            Connections(per_address=1),
            Connections(per_address=1, exempt=[LOOPBACK], loopback_exempt=False),
        ):
            async with serving(harness.app, counted) as url:
                opened = [await speak(url, GET) for _ in range(5)]
                assert {(await read_answer(reader)).status for reader, _ in opened} == {404}
                for _, writer in opened:
                    writer.close()

    async def test_so_many_in_all_and_room_again_when_they_end(self, harness: Harness) -> None:
        async with serving(harness.app, Connections(total=2)) as url:
            opened = [await speak(url, GET) for _ in range(2)]
            assert {(await read_answer(reader)).status for reader, _ in opened} == {404}
            reader, writer = await speak(url, b"")
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            await _end(writer, *(each for _, each in opened))
            await _answers(url)

    def test_an_ipv6_customer_is_one_address_and_a_mapped_one_is_itself(self) -> None:
        counted = Connections(per_address=1)
        assert counted.enter("2001:db8:1:2::1") == "in"
        assert counted.enter("2001:db8:1:2::2") == "refuse"
        assert counted.enter("2001:db8:1:3::1") == "in"
        assert counted.enter("::ffff:192.0.2.1") == "in"
        assert counted.enter("192.0.2.1") == "refuse"
        assert counted.enter("::ffff:127.0.0.1") == counted.enter("127.0.0.1") == "in"
        assert counted.enter(None) == counted.enter("a path") == "in"

    def test_files_are_left_for_the_rest(self) -> None:
        assert 128 <= most_connections() < 65_536


async def _answers(url: str) -> None:
    """The server has noticed that others went, and answers."""
    async with asyncio.timeout(10):
        status = 0
        while status != 404:
            reader, writer = await speak(url, b"")
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                writer.write(GET)
                status = (await read_answer(reader)).status
            await _end(writer)
            await asyncio.sleep(0.01)


async def _end(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class TestWaiting:
    def test_what_ends_is_given_back(self) -> None:
        waiting = Waiting(per_address=1)
        for _ in range(3):
            with waiting.at("192.0.2.1"), pytest.raises(Problem), waiting.at("192.0.2.1"):
                pass
        with waiting.of("streams", "byr_1", 1), waiting.of("streams", "byr_2", 1):
            pass
        assert not waiting._counts


@pytest.fixture
async def proxied(dsn: str) -> AsyncIterator[Node]:
    """A node behind a proxy on this machine, where one address may have two requests waiting."""
    async with running_node(
        dsn, background=False, trusted_proxies=(LOOPBACK,), max_connections_per_address=2
    ) as node:
        yield node


async def _parks(node: Node, party: Party, path: str, address: str) -> httpx.Response | None:
    """The refusal of a request that waits, or None once it is parked."""
    before = len(node.app.door.waiting._counts)
    request = party.http.build_request("GET", path, headers={"X-Forwarded-For": address})
    call = asyncio.create_task(party.http.send(request, stream=True))
    _CALLS.append(call)
    await until(lambda: call.done() or len(node.app.door.waiting._counts) > before)
    if not call.done() or call.result().status_code == 200:
        return None
    return call.result()


_CALLS: list[asyncio.Task[httpx.Response]] = []


async def test_one_address_has_so_many_requests_waiting_whatever_its_tokens(
    proxied: Node,
) -> None:
    node = proxied
    _CALLS.clear()
    worker, other = await node.worker(), await node.worker()
    buyer = await node.buyer()
    task_id = (await post(buyer, category="coding"))["id"]
    await worker.ok("PATCH", "/api/worker/profile", {"preferences": {"categories": ["data"]}})
    await other.ok("PATCH", "/api/worker/profile", {"preferences": {"categories": ["data"]}})
    crowded, elsewhere = "192.0.2.1", "192.0.2.2"

    assert await _parks(node, worker, "/api/work/next?wait=30", crowded) is None
    assert await _parks(node, buyer, "/api/events", crowded) is None
    for party, path in (
        (other, "/api/work/next?wait=30"),
        (buyer, f"/api/task/{task_id}?wait=30"),
        (buyer, f"/api/task/{task_id}/events"),
    ):
        answer = await _parks(node, party, path, crowded)
        assert answer is not None
        await answer.aread()
        refused(answer, 429, "rate_limited")
        assert answer.headers["ratelimit-limit"] == "2"
    # What does not wait is served, and so is another address.
    here = {"X-Forwarded-For": crowded}
    assert (await other.http.get("/api/work/next", headers=here)).status_code == 204
    assert (await buyer.http.get(f"/api/task/{task_id}", headers=here)).status_code == 200
    assert await _parks(node, other, "/api/work/next?wait=30", elsewhere) is None
    for call in _CALLS:
        call.cancel()
    await asyncio.gather(*_CALLS, return_exceptions=True)


async def test_a_buyer_holds_so_many_reads_and_no_more(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tasks.MAX_HELD_READS == streams.MAX_STREAMS == 1000
    monkeypatch.setattr(tasks, "MAX_HELD_READS", 1)
    buyer = await node.buyer()
    task_id = (await post(buyer))["id"]
    held = asyncio.create_task(buyer.get(f"/api/task/{task_id}", wait=30))
    await until(lambda: bool(node.app.door.waiting._counts))
    refused(await buyer.get(f"/api/task/{task_id}", wait=30), 429, "rate_limited")
    assert (await buyer.get(f"/api/task/{task_id}")).status_code == 200
    await buyer.ok("POST", f"/api/task/{task_id}/cancel")
    assert (await held).json()["status"] == "cancelled"
    await until(lambda: not node.app.door.waiting._counts)


async def test_long_polls_do_not_use_up_their_address(node: Node) -> None:
    """A poll that waits is counted for its token; one that does not wait for both."""
    first, second = await node.worker(), await node.worker()
    await node.configure("rate_limits", work_next={"limit": 20, "per_seconds": 1})
    # 0.05 s is what lies between two calls at this limit.
    for _ in range(2):
        assert (await first.get("/api/work/next", wait=0.06)).status_code == 204
    windows = node.app.door.limiter._local._by_name["work_next"]
    assert sorted(len(key) for key in windows) == [32], "its token, and not its address"
    assert (await second.get("/api/work/next")).status_code == 204
    assert sorted(len(key) for key in windows) == [9, 32, 32]


def test_every_route_has_a_limit(node: Node) -> None:
    """By address always, and by token where there is one: `FrontDoor.enter` counts both."""
    free = [
        f"{handler.http_methods} {route.path_format}"
        for route in node.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        # OPTIONS is counted before its handler is asked; files of pages are in memory, and to
        # count a call costs more than to answer it.
        if options_of(handler).rate is None
        and handler.http_methods != {"OPTIONS"}
        and not route.path_format.startswith(("/static/", "/favicon"))
    ]
    assert free == []


class TestSlowness:
    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.005)

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_body_that_drips_is_given_up_however_it_is_framed(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch, *, chunked: bool
    ) -> None:
        monkeypatch.setattr(request, "_BODY_TIMEOUT_S", 0.1)
        framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "100000"}
        head = header_lines({"Host": "x", **framing, **BUYER})
        begun = b"ffff\r\n" if chunked else b""
        async with serving(harness.app) as url:
            reader, writer = await speak(
                url, b"POST /api/order HTTP/1.1\r\n" + head + b"\r\n" + begun
            )
            dripping = asyncio.create_task(self._drip(writer))
            answer = await asyncio.wait_for(read_answer(reader), 5)
            assert (answer.status, answer.headers["connection"]) == (400, "close")
            dripping.cancel()
            writer.close()

    async def test_a_body_that_drips_on_after_the_answer_ends_the_connection(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """uvicorn's own timer for idle connections ends with the first byte that comes."""
        monkeypatch.setattr(protocol, "_BODY_TIMEOUT_S", 0.1)
        head = header_lines({"Host": "x", "Content-Length": "3000"})
        async with serving(harness.app) as url:
            reader, writer = await speak(url, b"GET /api/nowhere HTTP/1.1\r\n" + head + b"\r\n")
            dripping = asyncio.create_task(self._drip(writer))
            assert (await read_answer(reader)).status == 404
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            dripping.cancel()
            writer.close()

    async def test_who_takes_nothing_of_the_answers_is_cut_off(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "_WRITE_TIMEOUT_S", 0.05)
        ask = b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        async with serving(harness.app) as url:
            where = httpx.URL(url)
            with socket.socket() as greedy:
                greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                greedy.setblocking(False)  # noqa: FBT003 - the socket module's own signature
                loop = asyncio.get_running_loop()
                await loop.sock_connect(greedy, (where.host, where.port))
                with contextlib.suppress(ConnectionError):
                    async with asyncio.timeout(20):
                        while True:
                            await loop.sock_sendall(greedy, ask * 20)
                            await asyncio.sleep(0)
                # Reached by a reset alone: the time-out above would have failed the test.
                assert greedy.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in {0, 104}


class TestBodies:
    @pytest.mark.parametrize(
        ("path", "headers"),
        [("/api/order", BUYER), ("/api/raw", {}), ("/api/bare/x", WORKER), ("/api/optional", {})],
    )
    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
    async def test_nothing_is_decompressed(
        self, harness: Harness, path: str, headers: dict[str, str], encoding: str
    ) -> None:
        bomb = gzip.compress(b" " * 1_000_000)
        async with (
            serving(harness.app) as url,
            httpx.AsyncClient(base_url=url, headers=headers) as client,
        ):
            answer = await client.post(path, content=bomb, headers={"Content-Encoding": encoding})
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
            plain = await client.post(path, content=b"{}", headers={"Content-Encoding": "identity"})
            assert plain.status_code in {200, 422}

    def test_depth_is_bounded_before_anything_is_made(self) -> None:
        deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
        assert decode_strictly(ANYTHING, deepest)
        for deep in (b"[" + deepest + b"]", b'{"a":' * (MAX_DEPTH + 1), b"[" * 100_000):
            with pytest.raises(Problem, match="levels deep") as refusal:
                decode_strictly(ANYTHING, deep)
            assert refusal.value.code == "malformed_json"

    @pytest.mark.parametrize(
        "text", ["[{" * 50_000, '"[' * 1000, '\\"[{' * 1000, "]" * 100 + "[" * 100, "\\" * 99]
    )
    def test_brackets_in_text_are_no_depth(self, text: str) -> None:
        assert decode_strictly(ANYTHING, msgspec.json.encode([text])) == [text]

    @pytest.mark.parametrize(
        "body",
        [b'"' + b'\\"' * 120_000, b"{" + b'"[' * 60_000, b'["' + b"[" * 99 + b"\\", b"[" * 33],
    )
    def test_the_look_at_depth_takes_no_longer_than_the_body_is_long(self, body: bytes) -> None:
        started = time.process_time()
        with pytest.raises(Problem):
            decode_strictly(ANYTHING, body)
        # A look that went back would take minutes.
        assert time.process_time() - started < 1

    async def test_a_deep_task_is_refused_and_nothing_happens(self, node: Node) -> None:
        buyer = await node.buyer()
        deep: Any = {}
        for _ in range(40):
            deep = {"a": deep}
        body = {"prompt": "hello", "metadata": deep}
        refused(await buyer.post("/api/task", body), 400, "malformed_json")
        assert (await buyer.ok("GET", "/api/tasks"))["tasks"] == []
