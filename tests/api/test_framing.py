"""What is framed twice is refused, and headers of strangers are not believed."""

import asyncio
import contextlib
import ipaddress
import time

import httpx
import pytest

from openclaw_jobs.api import AddressBook
from tests.api.framework import (
    BUYER,
    Harness,
    RawAnswer,
    fresh_harness,
    read_answer,
    serving,
    speak,
)

GET = b"GET /api/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


class TestFraming:
    """What could make a proxy and this server see different requests."""

    @pytest.mark.parametrize(
        "head",
        [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Transfer-Encoding: gzip, identity",
            "Transfer-Encoding: chunked, identity",
            "Content-Length : 5",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "X-A: b\r\n Content-Length: 5",
            "X-A: b\nContent-Length: 5",
            "X-A: \x00b",
        ],
    )
    async def test_what_is_framed_twice_is_refused(self, harness: Harness, head: str) -> None:
        whole = f"POST /api/optional HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode()
        async with serving(harness.app) as url:
            reader, writer = await speak(url, whole + b"0\r\n\r\n" + GET)
            answers: list[RawAnswer] = []
            with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        answers.append(await read_answer(reader))
            writer.close()
        assert answers[0].status == 400, answers

    @pytest.mark.parametrize("target", ["/api/é", "http://[", "*", "x:80", "/api/%ff%fe", "//x/y"])
    async def test_odd_targets_are_answered(self, harness: Harness, target: str) -> None:
        async with serving(harness.app) as url:
            reader, writer = await speak(
                url, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            assert (await asyncio.wait_for(read_answer(reader), 5)).status in {400, 404}
            writer.close()

    async def test_a_long_target_is_one_more_unknown_path(self, harness: Harness) -> None:
        async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/api/" + "x" * 60_000)).status_code == 404
            assert (await client.get("/api/x?" + "x" * 60_000)).status_code == 404


class TestForwarded:
    """Whoever is not a trusted proxy says nothing of where it calls from."""

    NAMES = ("X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP")

    @pytest.mark.parametrize("name", NAMES)
    async def test_no_header_of_a_stranger_is_believed(self, harness: Harness, name: str) -> None:
        harness.live.rate("connect", 1)
        assert await _statuses(harness, [(name, f"192.0.2.{n}") for n in range(3)]) == [
            *(200, 429, 429)
        ]

    @pytest.mark.parametrize("name", NAMES)
    async def test_a_proxy_s_header_is(self, harness: Harness, name: str) -> None:
        harness.live.rate("connect", 1)
        harness.door.addresses = AddressBook([LOOPBACK])
        try:
            assert await _statuses(harness, [(name, f"192.0.2.{n}") for n in (1, 2, 1)]) == [
                *(200, 200, 429)
            ]
        finally:
            harness.door.addresses = AddressBook()

    async def test_what_the_client_wrote_before_the_proxy_is_not_believed(
        self, harness: Harness
    ) -> None:
        harness.live.rate("connect", 1)
        harness.door.addresses = AddressBook([LOOPBACK])
        real = "198.51.100.7"
        try:
            for forged in (
                [("X-Forwarded-For", f"192.0.2.1, {real}")],
                # A line of the client's, then one of the proxy's.
                [("X-Forwarded-For", "192.0.2.2"), ("X-Forwarded-For", real)],
                [("X-Forwarded-For", real), ("X-Real-IP", "192.0.2.3")],
                [("CF-Connecting-IP", "192.0.2.4"), ("X-Forwarded-For", real)],
                [("X-Forwarded-For", "127.0.0.1, " * 5000 + real)],
            ):
                async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as client:
                    answer = await client.post("/api/optional", headers=forged)
                assert answer.status_code == (200 if "192.0.2.1," in forged[0][1] else 429)
        finally:
            harness.door.addresses = AddressBook()

    async def test_a_doubled_header_is_nobody_s_word(self, harness: Harness) -> None:
        harness.live.rate("connect", 1)
        harness.door.addresses = AddressBook([LOOPBACK])
        try:
            async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as client:
                for n in range(2):
                    answer = await client.post(
                        "/api/optional",
                        headers=[("X-Real-IP", f"192.0.2.{n}"), ("X-Real-IP", "198.51.100.1")],
                    )
                    assert answer.status_code == (200 if n == 0 else 429)
                # Two tokens are none.
                two = [("Authorization", BUYER["Authorization"])] * 2
                answer = await client.post("/api/order", json={"count": 1}, headers=two)
                assert answer.status_code == 401
                harness.door.addresses = AddressBook()
                twice = [("X-Real-IP", "192.0.2.1"), ("X-Real-IP", "192.0.2.2")]
                assert (await client.get("/metrics", headers=twice)).status_code == 401
        finally:
            harness.door.addresses = AddressBook()

    def test_a_list_of_proxies_without_end_costs_little(self) -> None:
        book = AddressBook([LOOPBACK])
        started = time.process_time()
        for _ in range(100):
            assert book.client("127.0.0.1", {b"x-forwarded-for": b"127.0.0.1," * 6000})
        assert (time.process_time() - started) / 100 < 0.01


async def _statuses(harness: Harness, headers: list[tuple[str, str]]) -> list[int]:
    async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as client:
        return [
            (await client.post("/api/optional", headers={name: value})).status_code
            for name, value in headers
        ]
