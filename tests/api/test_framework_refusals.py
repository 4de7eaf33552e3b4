"""Who gets past the front door, and what is refused first."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator

import httpx
import pytest

from openclaw_jobs.api.addresses import AddressBook, address_key
from openclaw_jobs.kit.tokens import hash_token
from tests.api.framework import (
    ADMIN_TOKEN,
    BUYER,
    BUYER_KEY,
    OPERATOR,
    WORKER,
    Harness,
    fresh_harness,
    header_lines,
    read_answer,
    serving,
    speak,
)

ORDER = {"count": 1}


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


@pytest.fixture
async def client(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {BUYER_KEY}"},
        {"Authorization": BUYER_KEY},
        {"Authorization": f"Bearer {BUYER_KEY}x"},
        {"Authorization": "Bearer ocb_unknown"},
        {"Authorization": "Bearer ocw_unknown"},
        {"Authorization": "Bearer neither"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Bearer \u00e9".encode("latin-1")},
        {"X-Api-Key": BUYER_KEY},
        {"Cookie": f"session={BUYER_KEY}"},
    ],
)
async def test_who_shows_no_known_token_is_unauthenticated(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/api/order", json=ORDER, headers=headers)
    assert code(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert BUYER_KEY not in answer.text


async def test_the_scheme_is_case_insensitive(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"bearer  {BUYER_KEY}"}
    assert (await client.post("/api/order", json=ORDER, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/api/order", WORKER),
        ("POST", "/api/order", OPERATOR),
        ("POST", "/api/bare/x", BUYER),
        ("POST", "/api/bare/x", OPERATOR),
        ("GET", "/api/admin/thing", BUYER),
        ("GET", "/api/admin/thing", WORKER),
    ],
)
async def test_a_caller_of_another_kind_is_forbidden(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    assert code(await client.request(method, path, headers=headers)) == (403, "forbidden")


async def test_the_operator_is_known_by_the_admin_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/admin/thing", headers=OPERATOR)
    assert answer.json() == {"operator": "operator"}
    wrong = {"Authorization": f"Bearer {ADMIN_TOKEN[:-1]}"}
    assert code(await client.get("/api/admin/thing", headers=wrong)) == (401, "unauthenticated")


async def test_without_an_admin_token_nobody_is_operator_and_the_answer_says_so(
    client: httpx.AsyncClient, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.door, "_admin_hash", None)
    answer = await client.get("/api/admin/thing", headers=OPERATOR)
    assert code(answer) == (401, "unauthenticated")
    assert "ADMIN_TOKEN" in answer.json()["detail"]
    buyer = await client.post("/api/order", json=ORDER)
    assert "ADMIN_TOKEN" not in buyer.json()["detail"]


class TestOrder:
    """413, then failed authentications, then 401, then the rate limit, then the body."""

    async def test_too_long_comes_before_everything(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("auth_failures", 1)
        bad = {"Authorization": "Bearer ocb_bad"}
        assert (await client.post("/api/order", headers=bad)).status_code == 401
        answer = await client.post("/api/order", content=b"x" * 200_000, headers=bad)
        assert code(answer) == (413, "payload_too_large")
        assert (await client.post("/api/order", headers=bad)).status_code == 429

    async def test_failed_authentications_come_before_authentication(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("auth_failures", 2)
        bad = {"Authorization": "Bearer ocb_bad"}
        for _ in range(2):
            assert (await client.post("/api/order", headers=bad)).status_code == 401
        lookups = harness.people.lookups
        for headers in (bad, BUYER, {}):
            answer = await client.post("/api/order", json=ORDER, headers=headers)
            assert code(answer) == (429, "rate_limited")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert harness.people.lookups == lookups
        # Who needs no token is not concerned.
        assert (await client.post("/api/optional")).status_code == 200

    async def test_a_missing_token_is_no_failed_one(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("auth_failures", 1)
        for _ in range(5):
            assert (await client.post("/api/order", json=ORDER)).status_code == 401
        assert (await client.post("/api/order", json=ORDER, headers=BUYER)).status_code == 201

    async def test_a_forbidden_caller_is_no_failed_authentication(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("auth_failures", 1)
        for _ in range(3):
            assert (await client.post("/api/order", headers=WORKER)).status_code == 403

    async def test_authentication_comes_before_the_rate_limit_and_the_body(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("task_submit", 1)
        assert (await client.post("/api/order", json=ORDER, headers=BUYER)).status_code == 201
        assert (await client.post("/api/order", json=ORDER, headers=BUYER)).status_code == 429
        answer = await client.post(
            "/api/order", content=b"{", headers={"Idempotency-Key": "", "Content-Type": "x/y"}
        )
        assert code(answer) == (401, "unauthenticated")

    async def test_the_rate_limit_comes_before_the_key_and_the_body(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("task_submit", 1)
        assert (await client.post("/api/order", json=ORDER, headers=BUYER)).status_code == 201
        answer = await client.post(
            "/api/order", content=b"{", headers={**BUYER, "Idempotency-Key": "k" * 256}
        )
        assert code(answer) == (429, "rate_limited")

    async def test_the_key_comes_before_the_body(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(
            "/api/order", content=b"{", headers={**BUYER, "Idempotency-Key": "k" * 256}
        )
        assert code(answer) == (400, "invalid_idempotency_key")

    async def test_a_401_does_not_wait_for_the_body(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            head = header_lines({"Host": "x", "Content-Length": "1000"})
            reader, writer = await speak(url, b"POST /api/order HTTP/1.1\r\n" + head + b"\r\n")
            answer = await asyncio.wait_for(read_answer(reader), 5)
            assert answer.status == 401
            writer.close()

    async def test_bad_json_counts_in_the_rate_limit(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("task_submit", 2)
        for _ in range(2):
            answer = await client.post("/api/order", content=b"{", headers=BUYER)
            assert answer.status_code == 400
        assert (await client.post("/api/order", content=b"{", headers=BUYER)).status_code == 429


class TestRates:
    async def test_a_refusal_says_when_to_come_back(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("connect", 3, 60)
        for _ in range(3):
            assert (await client.post("/api/optional")).status_code == 200
        answer = await client.post("/api/optional")
        assert code(answer) == (429, "rate_limited")
        assert answer.headers["ratelimit-limit"] == "3"
        assert answer.headers["ratelimit-remaining"] == "0"
        assert answer.headers["ratelimit-policy"] == "3;w=60"
        assert answer.headers["ratelimit-reset"] == answer.headers["retry-after"]
        assert 59 <= int(answer.headers["retry-after"]) <= 60

    async def test_a_changed_limit_holds_at_once(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("connect", 1)
        assert (await client.post("/api/optional")).status_code == 200
        assert (await client.post("/api/optional")).status_code == 429
        harness.live.rate("connect", 3)
        assert (await client.post("/api/optional")).status_code == 200
        harness.live.rate("connect", 1)
        assert (await client.post("/api/optional")).status_code == 429

    async def test_kinds_of_calls_are_counted_apart(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("connect", 1)
        harness.live.rate("task_submit", 1)
        assert (await client.post("/api/optional")).status_code == 200
        assert (await client.post("/api/order", json=ORDER, headers=BUYER)).status_code == 201

    async def test_a_handler_counts_what_it_wants_counted(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("work_next", 2)
        for _ in range(5):
            assert (await client.get("/api/work/next", headers=WORKER)).status_code == 200
        for _ in range(2):
            assert (await client.get("/api/work/next?empty=1", headers=WORKER)).status_code == 200
        assert code(await client.get("/api/work/next", headers=WORKER)) == (429, "rate_limited")

    async def test_a_token_is_counted_across_addresses(self, harness: Harness) -> None:
        harness.live.rate("task_submit", 2)
        harness.door.addresses = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
        try:
            async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as client:
                statuses = [
                    (
                        await client.post(
                            "/api/order",
                            json=ORDER,
                            headers={**BUYER, "X-Forwarded-For": f"192.0.2.{n}"},
                        )
                    ).status_code
                    for n in range(3)
                ]
                assert statuses == [201, 201, 429]
        finally:
            harness.door.addresses = AddressBook()

    async def test_untrusted_forwarding_headers_open_no_new_account(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.live.rate("connect", 1)
        statuses = [
            (
                await client.post("/api/optional", headers={"X-Forwarded-For": f"192.0.2.{n}"})
            ).status_code
            for n in range(2)
        ]
        assert statuses == [200, 429]


class TestAddresses:
    BOOK = AddressBook([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])

    @pytest.mark.parametrize(
        ("peer", "headers", "client"),
        [
            ("192.0.2.1", {}, "192.0.2.1"),
            ("192.0.2.1", {b"x-forwarded-for": b"198.51.100.1"}, "192.0.2.1"),
            ("10.0.0.1", {}, "10.0.0.1"),
            ("10.0.0.1", {b"x-forwarded-for": b"198.51.100.1"}, "198.51.100.1"),
            # Whatever the client claims stands left of what the proxy has seen.
            ("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1, 198.51.100.1"}, "198.51.100.1"),
            ("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1, 198.51.100.1,10.2.2.2"}, "198.51.100.1"),
            ("10.0.0.1", {b"x-forwarded-for": b"10.1.1.1, 10.2.2.2"}, "10.1.1.1"),
            ("10.0.0.1", {b"x-forwarded-for": b"nonsense"}, "10.0.0.1"),
            ("10.0.0.1", {b"x-forwarded-for": b"nonsense, 10.2.2.2"}, "10.2.2.2"),
            ("10.0.0.1", {b"x-real-ip": b"198.51.100.2"}, "198.51.100.2"),
            ("10.0.0.1", {b"cf-connecting-ip": b"198.51.100.3"}, "198.51.100.3"),
            ("fd00::1", {b"x-forwarded-for": b"2001:db8::1"}, "2001:db8::1"),
            ("::ffff:10.0.0.1", {b"x-forwarded-for": b"198.51.100.1"}, "198.51.100.1"),
            (None, {}, "unknown"),
        ],
    )
    def test_forwarding_headers_are_believed_from_trusted_proxies_only(
        self, peer: str | None, headers: dict[bytes, bytes], client: str
    ) -> None:
        assert self.BOOK.client(peer, headers) == client

    @pytest.mark.parametrize(
        ("peer", "headers", "here"),
        [
            ("127.0.0.1", {}, True),
            ("::1", {}, True),
            ("192.0.2.1", {}, False),
            (None, {}, False),
            # A proxy on this machine that nobody declared does not make the world local.
            ("127.0.0.1", {b"x-forwarded-for": b"198.51.100.1"}, False),
            ("127.0.0.1", {b"x-real-ip": b"198.51.100.1"}, False),
            ("127.0.0.1", {b"forwarded": b"for=198.51.100.1"}, False),
        ],
    )
    def test_loopback(
        self,
        peer: str | None,
        headers: dict[bytes, bytes],
        here: bool,  # noqa: FBT001 - the expected answer
    ) -> None:
        assert AddressBook().is_loopback(peer, headers) is here

    def test_loopback_behind_a_trusted_proxy_is_judged_by_the_client(self) -> None:
        book = AddressBook([ipaddress.ip_network("127.0.0.1")])
        assert not book.is_loopback("127.0.0.1", {b"x-forwarded-for": b"198.51.100.1"})
        assert book.is_loopback("127.0.0.1", {b"x-forwarded-for": b"::1"})

    def test_an_ipv6_customer_is_one_caller(self) -> None:
        assert address_key("2001:db8:1:2::1") == address_key("2001:db8:1:2:ffff::9")
        assert address_key("2001:db8:1:2::1") != address_key("2001:db8:1:3::1")
        assert address_key("::ffff:192.0.2.1") == address_key("192.0.2.1")
        assert address_key("192.0.2.1") != address_key("192.0.2.2")


async def test_metrics_are_open_to_this_machine_and_the_operator(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/metrics")).status_code == 200
    forwarded = {"X-Forwarded-For": "198.51.100.1"}
    assert code(await client.get("/metrics", headers=forwarded)) == (401, "unauthenticated")
    assert code(await client.get("/metrics", headers={**forwarded, **BUYER})) == (403, "forbidden")
    assert (await client.get("/metrics", headers={**forwarded, **OPERATOR})).status_code == 200


async def test_tokens_are_looked_up_by_hash_alone(
    client: httpx.AsyncClient, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    async def watch(key_hash: bytes) -> str | None:
        seen.append(key_hash)
        return "byr_one"

    monkeypatch.setattr(harness.people, "buyer_by_key", watch)
    await client.post("/api/order", json=ORDER, headers=BUYER)
    assert seen == [hash_token(BUYER_KEY)]
