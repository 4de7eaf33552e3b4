"""What every answer carries, problems of every origin, and what the logs say of it."""

import asyncio
import contextlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest
import structlog

from openclaw_jobs.api import protocol
from openclaw_jobs.api.middleware import NO_DOCUMENT, access_log
from openclaw_jobs.kit.errors import STATUS_BY_CODE
from openclaw_jobs.logs import configure_logging
from tests.api.framework import (
    BUYER,
    BUYER_KEY,
    WORKER,
    WORKER_TOKEN,
    Harness,
    fresh_harness,
    header_lines,
    read_answer,
    serving,
    speak,
)

OURS = re.compile(r"req_[0-9a-z]{26}")
ORDER = {"count": 1}


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


@pytest.fixture
async def client(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


@contextlib.contextmanager
def logged(
    harness: Harness, *, level: str = "DEBUG", as_json: bool = True
) -> Iterator[io.StringIO]:
    """Everything that is logged in the block, as the server would write it."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(level=level, json=as_json, stream=stream)
    harness.app._access_log = access_log()
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)
        structlog.reset_defaults()
        harness.app._access_log = access_log()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestRequestId:
    async def test_every_answer_has_one(self, client: httpx.AsyncClient) -> None:
        answers = [
            await client.post("/api/optional"),
            await client.post("/api/order"),
            await client.get("/api/nowhere"),
            await client.put("/api/order"),
            await client.options("/api/order"),
            await client.get("/api/broken"),
            await client.get("/api/openapi.json"),
            await client.delete("/api/bare/x", headers=WORKER),
            await client.post("/api/replay", headers=BUYER),
            await client.post("/api/order", content=b"x" * 200_000),
        ]
        assert [a.status_code for a in answers] == [
            *(200, 401, 404, 405, 204, 500, 200, 204, 202, 413),
        ]
        ids = [a.headers["x-request-id"] for a in answers]
        assert all(OURS.fullmatch(request_id) for request_id in ids)
        assert len(set(ids)) == len(ids)

    async def test_a_problem_repeats_it(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/nowhere")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]

    @pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
    async def test_a_clients_own_is_taken(self, client: httpx.AsyncClient, given: str) -> None:
        answer = await client.get("/api/nowhere", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "a\u00e9", "a/b"])
    async def test_what_could_do_harm_is_replaced(
        self, client: httpx.AsyncClient, given: str
    ) -> None:
        headers = httpx.Headers([("X-Request-Id", given)], encoding="utf-8")
        answer = await client.get("/api/nowhere", headers=headers)
        assert OURS.fullmatch(answer.headers["x-request-id"])


async def test_answers_are_neither_sniffed_nor_stored(client: httpx.AsyncClient) -> None:
    for answer in (await client.post("/api/optional"), await client.get("/api/nowhere")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == NO_DOCUMENT
        assert "server" not in answer.headers


async def test_no_other_site_is_let_in(client: httpx.AsyncClient) -> None:
    evil = {"Origin": "https://evil.example"}
    asking = {**evil, "Access-Control-Request-Method": "POST"}
    for answer in (
        await client.post("/api/optional", headers=evil),
        await client.options("/api/order", headers=asking),
        await client.get("/api/nowhere", headers=evil),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


class TestProblems:
    async def test_a_document_is_whole(self, client: httpx.AsyncClient) -> None:
        document = (await client.post("/api/order", json={"count": "x"}, headers=BUYER)).json()
        assert set(document) == {
            *("type", "title", "status", "detail", "code", "request_id", "errors"),
        }
        assert document["title"] == "Unprocessable Entity"
        assert document["errors"] == [{"field": "count", "message": "Expected `int`, got `str`"}]
        assert document["code"] in STATUS_BY_CODE

    @pytest.mark.parametrize("path", ["/", "/api/nowhere", "/api/order/x", "/api/%FF"])
    async def test_what_is_not_there(self, client: httpx.AsyncClient, path: str) -> None:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_another_method(self, client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/order", headers=BUYER)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "OPTIONS, POST"

    @pytest.mark.parametrize(
        "failure",
        [
            psycopg.OperationalError("connection refused"),
            psycopg.errors.AdminShutdown("terminating connection"),
            psycopg.errors.QueryCanceled("canceling statement due to statement timeout"),
        ],
    )
    async def test_a_database_that_is_away(
        self, client: httpx.AsyncClient, harness: Harness, failure: Exception
    ) -> None:
        harness.failure = failure
        answer = await client.get("/api/broken")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"

    async def test_a_database_that_is_away_at_authentication(
        self, client: httpx.AsyncClient, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(_: bytes) -> str | None:
            raise psycopg.OperationalError

        monkeypatch.setattr(harness.people, "buyer_by_key", away)
        answer = await client.post("/api/order", json=ORDER, headers=BUYER)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

    async def test_a_mistake_of_ours_leaks_nothing(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.failure = RuntimeError("the task says hunter2")
        answer = await client.get("/api/broken")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "hunter2" not in answer.text
        assert "RuntimeError" not in answer.text
        assert "Traceback" not in answer.text

    async def test_what_is_not_http(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            reader, writer = await speak(url, b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")
            answer = await read_answer(reader)
            assert answer.status == 400
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == NO_DOCUMENT
            writer.close()

    async def test_a_head_that_never_ends(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            reader, writer = await speak(url, b"GET / HTTP/1.1\r\nX-Long: ")
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    writer.write(b"x" * 16_384)
                    await writer.drain()
            assert (await read_answer(reader)).status == 400
            writer.close()

    @pytest.mark.parametrize("begun", [b"", b"GET /api/nowhere HTTP/1.1\r\nX-Slow: "])
    async def test_a_head_that_is_late_ends_the_connection(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch, begun: bytes
    ) -> None:
        monkeypatch.setattr(protocol, "_HEAD_TIMEOUT_S", 0.05)
        whole = b"GET /api/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        async with serving(harness.app) as url:
            reader, writer = await speak(url, begun)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            # After a request that came in time as well.
            reader, writer = await speak(url, whole)
            assert (await read_answer(reader)).status == 404
            writer.write(b"GET /")
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    async def test_a_long_head_that_ends_is_taken(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/optional", headers={"X-Long": "x" * 30_000})
        assert answer.status_code == 200


class TestDisconnect:
    async def test_a_parked_request_sees_its_client_go(self, harness: Harness) -> None:
        async with serving(harness.app) as url:
            _, writer = await speak(url, b"GET /api/park HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(harness.parked.wait(), 5)
            assert not harness.hung_up.is_set()
            writer.transport.abort()
            await asyncio.wait_for(harness.hung_up.wait(), 5)

    async def test_a_parked_request_is_answered(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        parked = asyncio.create_task(client.get("/api/park"))
        await asyncio.wait_for(harness.parked.wait(), 5)
        harness.let_go.set()
        assert (await parked).json() == {"let_go": True}
        assert not harness.hung_up.is_set()

    async def test_a_client_that_goes_in_the_middle_of_its_body(self, harness: Harness) -> None:
        head = header_lines({"Host": "x", "Content-Length": "100", **BUYER})
        with logged(harness) as stream:
            async with serving(harness.app) as url:
                _, writer = await speak(
                    url, b"POST /api/order HTTP/1.1\r\n" + head + b'\r\n{"count"'
                )
                # The answer to a second request proves that the first has reached its route.
                async with httpx.AsyncClient(base_url=url) as other:
                    assert (await other.post("/api/optional")).status_code == 200
                writer.transport.abort()
        # `serving` has waited for both to end.
        assert harness.orders == []
        assert [line["status"] for line in lines(stream)] == [200, 499]
        assert "exception" not in stream.getvalue()


class TestLogs:
    async def test_a_line_for_each_request(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        with logged(harness) as stream:
            answer = await client.post("/api/bare/some-name?why=because", headers=WORKER)
        (line,) = lines(stream)
        assert line["event"] == "request"
        assert line["level"] == "info"
        assert line["logger"] == "openclaw_jobs.access"
        assert (line["method"], line["status"]) == ("POST", 200)
        assert line["route"] == "/api/bare/{name}"
        assert line["caller"] == "wrk_one"
        assert line["request_id"] == answer.headers["x-request-id"]
        assert line["duration_ms"] > 0
        assert "some-name" not in stream.getvalue()

    async def test_work_that_goes_well_is_quiet(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        with logged(harness, level="INFO") as stream:
            await client.get("/api/work/next", headers=WORKER)
            assert stream.getvalue() == ""
            await client.get("/api/work/next")
        assert [line["status"] for line in lines(stream)] == [401]

    async def test_a_mistake_of_ours_is_logged_once_with_its_traceback(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        harness.failure = KeyError("a place")
        with logged(harness) as stream:
            answer = await client.get("/api/broken")
        mistakes = [line for line in lines(stream) if line["level"] == "error"]
        assert len(mistakes) == 1
        assert mistakes[0]["request_id"] == answer.headers["x-request-id"]
        assert "KeyError" in mistakes[0]["exception"]
        assert "framework.py" in mistakes[0]["exception"]

    @pytest.mark.parametrize("as_json", [True, False])
    async def test_no_secret_and_no_text_is_ever_logged(
        self,
        client: httpx.AsyncClient,
        harness: Harness,
        as_json: bool,  # noqa: FBT001 - both formats
    ) -> None:
        secret = "the-secret-of-the-task"
        harness.failure = psycopg.errors.CheckViolation(secret)
        hidden = [secret, BUYER_KEY, WORKER_TOKEN, "ocb_guess4567", "lease_token12345678"]
        with logged(harness, as_json=as_json) as stream:
            await client.post("/api/order", json={"count": 1, "name": secret}, headers=BUYER)
            await client.post("/api/order", json={"count": secret}, headers=BUYER)
            await client.post("/api/order", content=secret.encode(), headers=BUYER)
            await client.post("/api/order", headers={"Authorization": "Bearer ocb_guess4567"})
            await client.get(f"/api/{secret}?token={BUYER_KEY}&q={secret}")
            await client.get(f"/api/work/next?wait={secret}", headers=WORKER)
            await client.get("/api/nowhere", headers={"X-Request-Id": WORKER_TOKEN})
            await client.get("/api/broken")
            harness.failure = RuntimeError(f"cannot use {BUYER_KEY}")
            await client.get("/api/broken")
            log = structlog.get_logger("test")
            log.info("odd", prompt=secret, lease_token=secret, x={"api_key": secret})
            log.warning("a sentence with lease_token12345678 in it")
            logging.getLogger("other").warning("Authorization: Bearer %s", BUYER_KEY)
            logging.getLogger("other").warning("postgresql://user:%s@host/db", secret)
        written = stream.getvalue()
        assert written.count("\n") >= 10
        for text in hidden:
            assert text not in written, written

    async def test_database_errors_quote_no_row(
        self,
        client: httpx.AsyncClient,
        harness: Harness,
        db: Any,  # noqa: ANN401
    ) -> None:
        async with db.read() as conn:
            try:
                await conn.execute("SELECT 'the-prompt'::int")
            except psycopg.Error as error:
                harness.failure = error
        with logged(harness) as stream:
            assert (await client.get("/api/broken")).status_code == 500
        assert "SQLSTATE 22P02" in stream.getvalue()
        assert "the-prompt" not in stream.getvalue().replace("SELECT 'the-prompt'", "")


async def test_the_description_lists_the_routes_and_nothing_of_other_sites(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/openapi.json")
    document = answer.json()
    assert document["info"]["title"] == "OpenClaw.jobs"
    assert {"/api/order", "/api/bare/{name}", "/api/work/next"} <= set(document["paths"])
    assert "/api/openapi.json" not in document["paths"]
    assert set(document["components"]["securitySchemes"]) == {"buyer", "worker", "operator"}
    parameters = document["paths"]["/api/work/next"]["get"]["parameters"]
    (wait,) = [p for p in parameters if p["name"] == "wait"]
    assert (wait["schema"]["minimum"], wait["schema"]["maximum"]) == (0, 60)
    assert "://" not in answer.text
    for path in ("/schema", "/api/swagger", "/api/redoc", "/api/elements"):
        assert (await client.get(path)).status_code == 404
