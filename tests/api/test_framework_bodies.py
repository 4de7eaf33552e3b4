"""Bodies are decoded strictly, bounded, and refused with the right code."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.framework import (
    BUYER,
    OPERATOR,
    WORKER,
    Harness,
    Order,
    fresh_harness,
    header_lines,
    read_answer,
    serving,
    speak,
)


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


@pytest.fixture
async def client(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


async def post(client: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await client.post("/api/order", content=body, headers={**BUYER, **headers})


def code_and_fields(answer: httpx.Response) -> tuple[int, str, list[str]]:
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["status"] == answer.status_code
    return answer.status_code, document["code"], [e["field"] for e in document.get("errors", [])]


async def test_a_struct_arrives_as_it_was_sent(client: httpx.AsyncClient, harness: Harness) -> None:
    body = {"count": 3, "name": "snowman ☃ 😀", "lines": [{"amount": 2**70}], "metadata": {"a": []}}
    answer = await post(client, json.dumps(body, ensure_ascii=False).encode())
    assert answer.status_code == 201
    assert answer.json() == {"buyer": "byr_one", "count": 3}
    (order,) = harness.orders
    assert isinstance(order, Order)
    assert (order.name, order.metadata) == ("snowman ☃ 😀", {"a": []})
    assert order.lines[0].amount == 2**70


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"count":"5"}', "count"),
        (b'{"count":5.0}', "count"),
        (b'{"count":true}', "count"),
        (b'{"count":null}', "count"),
        (b'{"count":11}', "count"),
        (b'{"count":-1}', "count"),
        (b'{"name":"no count"}', "count"),
        (b'{"count":1,"extra":1}', "extra"),
        (b'{"count":1,"name":5}', "name"),
        (b'{"count":1,"lines":[{"amount":1},{"amount":"x"}]}', "lines[1].amount"),
        (b'{"count":1,"lines":[{"amount":1,"extra":2}]}', "lines[0].extra"),
        (b'{"count":1,"lines":{}}', "lines"),
        (b"null", ""),
        (b"[]", ""),
        (b'"text"', ""),
        (b"7", ""),
        (b'{"count":' + b"9" * 5000 + b"}", "count"),
    ],
)
async def test_what_does_not_fit_names_the_field(
    client: httpx.AsyncClient, harness: Harness, body: bytes, field: str
) -> None:
    assert code_and_fields(await post(client, body)) == (422, "validation_failed", [field])
    assert harness.orders == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"count":1',
        b'{"count":1}}',
        b'{"count":01}',
        b'{"count":NaN}',
        b"{'count':1}",
        b'{"count":1,}',
        b"count=1",
        b'\xef\xbb\xbf{"count":1}',
        b'{"count":1,"name":"\xff"}',
        b'{"count":1,"name":"\xed\xa0\x80"}',
        b'{"count":1,"name":"a\x00b"}',
        b'{"count":1,"name":"a\nb"}',
        b'{"count":1,"name":"\\u12"}',
        b'{"count":1,"name":"\\ud800',
        b'{"count":1}'.decode().encode("utf-16"),
        # Wrong in form and in type: the form comes first.
        b'{"count":"5",',
        b"[1,2",
        b'{"count":1,"metadata":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        b'{"count":1,"metadata":{"a":' + b"[" * 60_000,
        b"[" * 100_000,
    ],
)
async def test_what_is_not_json_is_malformed(
    client: httpx.AsyncClient, harness: Harness, body: bytes
) -> None:
    assert code_and_fields(await post(client, body)) == (400, "malformed_json", [])
    assert harness.orders == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (rb'{"count":1,"name":"a\u0000b"}', "name"),
        (rb'{"count":1,"metadata":{"k":["x","\u0000"]}}', "metadata.k[1]"),
        (rb'{"count":1,"metadata":{"\u0000":1}}', "metadata"),
        (rb'{"count":1,"name":"\ud800"}', "name"),
        (rb'{"count":1,"name":"\uD83D\u0041"}', "name"),
        (rb'{"count":1,"name":"\udc00\ud800"}', "name"),
        (rb'{"count":1,"metadata":{"\udfff":1}}', "metadata"),
    ],
)
async def test_nul_and_lone_surrogates_are_refused(
    client: httpx.AsyncClient, harness: Harness, body: bytes, field: str
) -> None:
    assert code_and_fields(await post(client, body)) == (422, "validation_failed", [field])
    assert harness.orders == []


async def test_what_only_looks_like_nul_is_kept(
    client: httpx.AsyncClient, harness: Harness
) -> None:
    assert (await post(client, rb'{"count":1,"name":"a\\u0000b \ud83d\ude00"}')).status_code == 201
    assert harness.orders[0].name == r"a\u0000b 😀"


async def test_an_unknown_field_with_a_hostile_name_is_answered_readably(
    client: httpx.AsyncClient,
) -> None:
    name = "\\u0000\\u001b" + "x" * 5000
    answer = await post(client, b'{"count":1,"' + name.encode() + b'":1}')
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert len(error["field"]) < 300
    assert "\x1b" not in error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/msgpack"},
    ],
)
async def test_other_content_is_unsupported(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await post(client, b'{"count":1}', **headers)
    assert code_and_fields(answer) == (415, "unsupported_media_type", [])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; Charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/merge-patch+json",
    ],
)
async def test_json_by_any_of_its_names_is_taken(
    client: httpx.AsyncClient, content_type: str
) -> None:
    answer = await post(client, b'{"count":1}', **{"Content-Type": content_type})
    assert answer.status_code == 201


async def test_json_without_a_content_type_is_taken(harness: Harness) -> None:
    async with serving(harness.app) as url:
        body = b'{"count":1}'
        head = header_lines({"Host": "x", "Content-Length": str(len(body)), **BUYER})
        reader, writer = await speak(url, b"POST /api/order HTTP/1.1\r\n" + head + b"\r\n" + body)
        assert (await read_answer(reader)).status == 201
        writer.close()


@pytest.mark.parametrize("body", [None, b"", b"{}", b'{"reason":null}'])
async def test_a_body_of_optional_fields_may_be_left_out(
    client: httpx.AsyncClient, body: bytes | None
) -> None:
    answer = await client.post("/api/optional", content=body)
    assert (answer.status_code, answer.json()) == (200, {"reason": None})


@pytest.mark.parametrize("body", [None, b"", b"{}", b" { } \n"])
async def test_a_post_without_a_body_takes_none_or_an_empty_object(
    client: httpx.AsyncClient, body: bytes | None
) -> None:
    answer = await client.post("/api/bare/x", content=body, headers=WORKER)
    assert (answer.status_code, answer.json()) == (200, {"name": "x", "worker": "wrk_one"})


@pytest.mark.parametrize("body", [b'{"a":1}', b"[]", b"null", b"0", b"{", b"text"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_call_without_a_body_refuses_one(
    client: httpx.AsyncClient, method: str, body: bytes
) -> None:
    answer = await client.request(method, "/api/bare/x", content=body, headers=WORKER)
    assert code_and_fields(answer) == (422, "validation_failed", [])


async def test_a_raw_body_is_handed_over_as_it_is(
    client: httpx.AsyncClient, harness: Harness
) -> None:
    answer = await client.post(
        "/api/raw", content=b"\x00\xffraw", headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.json() == {"bytes": 5}
    assert harness.raw == [b"\x00\xffraw"]


@pytest.mark.parametrize(
    "query",
    ["wait=61", "wait=-1", "wait=x", "wait=", "wait=%205", "empty=perhaps", "wait=1&empty=%00"],
)
async def test_bad_query_values_are_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/work/next?{query}", headers=WORKER)
    assert code_and_fields(answer)[:2] == (422, "validation_failed")


async def test_a_bad_query_value_is_named_and_its_url_is_not_repeated(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/work/next?wait=61&secret=value", headers=WORKER)
    assert [e["field"] for e in answer.json()["errors"]] == ["wait"]
    assert "secret" not in answer.text


async def test_unknown_query_parameters_are_ignored(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/work/next?wait=5&unheard=of", headers=WORKER)
    assert (answer.status_code, answer.json()) == (200, {"wait": 5})


async def test_a_path_with_nul_leads_nowhere(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/bare/a%00b", headers=WORKER)
    assert code_and_fields(answer)[:2] == (404, "not_found")


class TestTooLarge:
    LIMIT = 131_072

    async def test_by_its_length_before_a_byte_is_read(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            head = header_lines({"Host": "x", "Content-Length": str(10**12), **BUYER})
            reader, writer = await speak(url, b"POST /api/order HTTP/1.1\r\n" + head + b"\r\n")
            answer = await read_answer(reader)
            assert answer.status == 413
            assert answer.json()["code"] == "payload_too_large"
            assert answer.json()["limit_bytes"] == self.LIMIT
            assert answer.headers["connection"] == "close"
            writer.close()

    async def test_before_100_continue(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            head = header_lines(
                {"Host": "x", "Content-Length": str(10**9), "Expect": "100-continue", **BUYER}
            )
            reader, writer = await speak(url, b"POST /api/order HTTP/1.1\r\n" + head + b"\r\n")
            assert (await read_answer(reader)).status == 413
            writer.close()

    async def test_in_chunks_that_never_end(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            head = header_lines({"Host": "x", "Transfer-Encoding": "chunked", **BUYER})
            reader, writer = await speak(url, b"POST /api/order HTTP/1.1\r\n" + head + b"\r\n")
            chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
            for _ in range(self.LIMIT // 0x4000 + 1):
                writer.write(chunk)
            await writer.drain()
            # No final chunk was sent: the answer comes all the same.
            answer = await read_answer(reader)
            assert (answer.status, answer.json()["limit_bytes"]) == (413, self.LIMIT)
            writer.close()
        assert harness.orders == []

    async def test_a_client_that_sends_it_all_gets_the_answer(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await post(client, b" " * 3_000_000)
        assert code_and_fields(answer)[:2] == (413, "payload_too_large")

    async def test_the_limit_itself_is_allowed(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        body = b'{"count":1}'
        assert (await post(client, body.rjust(self.LIMIT))).status_code == 201
        assert (await post(client, body.rjust(self.LIMIT + 1))).status_code == 413
        assert len(harness.orders) == 1

    async def test_a_changed_limit_holds_at_once(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        body = b'{"count":1}'.rjust(2000)
        assert (await post(client, body)).status_code == 201
        harness.live.bytes_("task_input", 1999)
        answer = await post(client, body)
        assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 1999)

    async def test_where_no_body_is_taken(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/bare/x", content=b" " * 5000, headers=WORKER)
        assert answer.json()["limit_bytes"] == 4096

    async def test_on_a_get(self, client: httpx.AsyncClient) -> None:
        answer = await client.request(
            "GET", "/api/admin/thing", content=b" " * 5000, headers=OPERATOR
        )
        assert answer.status_code == 413


async def test_hostile_bodies_leave_the_server_well(client: httpx.AsyncClient) -> None:
    hostile: list[Any] = [b"[" * 130_000, b'{"a":' * 26_000, b'"' + b"\\u0000" * 20_000 + b'"']
    for body in hostile:
        assert (await post(client, body)).status_code in {400, 422}
    assert (await post(client, b'{"count":1}')).status_code == 201
