"""The contract as a whole: who may call what, what is refused first, and what describes it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import TypeAlias

import httpx
import pytest
from litestar.routes import HTTPRoute

from tests.market.steps import claim, complete, post, refused, until
from tests.running import Json, Node, Party, running_node

PUBLIC = {"/api/worker/connect", "/api/health", "/api/deposit/webhook", "/api/quality"}
Route: TypeAlias = tuple[str, str]


def served(node: Node) -> set[Route]:
    """Every route but pages and that of the description itself."""
    return {
        (method, route.path_format)
        for route in node.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema()
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    }


async def test_every_route_is_described(node: Node) -> None:
    document = await node.anyone().ok("GET", "/api/openapi.json")

    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == served(node)


async def test_the_description_is_whole(node: Node) -> None:
    document = await node.anyone().ok("GET", "/api/openapi.json")

    assert document["openapi"].startswith("3.")
    assert document["info"]["title"]
    schemas = document["components"]["schemas"]
    references = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))
    assert references
    assert set(references) <= set(schemas)
    operation_ids = []
    for path, operations in document["paths"].items():
        names = set(re.findall(r"{(\w+)}", path))
        for operation in operations.values():
            operation_ids.append(operation["operationId"])
            parameters = operation.get("parameters", [])
            assert {p["name"] for p in parameters if p["in"] == "path"} == names
            assert any(status.startswith("2") for status in operation["responses"])
            assert operation["tags"]
            problems = [s for s in operation["responses"] if s[0] in "45" and s != "503"]
            for status in problems:
                response = operation["responses"][status]
                assert set(response["content"]) == {"application/problem+json"}, path
                assert re.search(r"`\w+`", response["description"])
            for security in operation.get("security", []):
                assert set(security) <= set(document["components"]["securitySchemes"])
    assert len(operation_ids) == len(set(operation_ids))
    open_to_all = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if not operation.get("security")
    }
    assert open_to_all <= PUBLIC


async def test_what_is_not_there(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer()
    missing = [
        ("GET", "/api/nothing"),
        ("POST", "/api/task/x/y/z"),
        ("GET", "/api/%00"),
        ("GET", "/api/admin"),
    ]
    for method, path in missing:
        with subtests.test(route=f"{method} {path}"):
            answer = await buyer.http.request(method, path)
            refused(answer, 404, "not_found")


async def test_another_method_names_those_that_are(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer()
    wrong = [
        ("GET", "/api/task", "POST"),
        ("DELETE", "/api/task", "POST"),
        ("POST", "/api/balance", "GET"),
        ("PUT", "/api/worker/profile", "PATCH"),
        ("POST", "/api/worker/profile", "PATCH"),
        ("GET", "/api/work/submit", "POST"),
        ("PATCH", "/api/keys", "GET"),
        ("TRACE", "/api/tasks", "GET"),
    ]
    for method, path, allowed in wrong:
        with subtests.test(route=f"{method} {path}"):
            answer = await buyer.http.request(method, path)
            refused(answer, 405, "method_not_allowed")
            assert allowed in answer.headers["allow"]


async def test_only_json_in_utf_8_is_taken(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer()
    body = b'{"prompt": "hello", "dry_run": true}'
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/xml",
        "",
    ):
        with subtests.test(kind=kind):
            answer = await buyer.http.post(
                "/api/task", content=body, headers={"content-type": kind}
            )
            refused(answer, 415, "unsupported_media_type")
    for kind in ("application/json", "APPLICATION/JSON; Charset=UTF-8"):
        answer = await buyer.http.post("/api/task", content=body, headers={"content-type": kind})
        assert answer.status_code == 200
    zipped = await buyer.send("POST", "/api/task", body, content_encoding="gzip")
    refused(zipped, 415, "unsupported_media_type")


async def test_bodies_where_there_are_none(node: Node) -> None:
    buyer, operator = await node.buyer(), node.operator()
    task_id = (await post(buyer))["id"]
    for content in (b'{"a": 1}', b"[]", b"x", b'"x"'):
        answer = await buyer.send("POST", f"/api/task/{task_id}/cancel", content)
        refused(answer, 422, "validation_failed")
        answer = await operator.send("POST", "/api/cron/unfreeze-earnings", content)
        refused(answer, 422, "validation_failed")
    answer = await buyer.send("POST", f"/api/task/{task_id}/cancel", b" { } ")
    assert answer.json()["status"] == "cancelled"
    await node.prove()


async def test_what_is_refused_first(node: Node) -> None:
    """A length over the limit, then who calls, then how often, then what."""
    buyer, stranger = await node.buyer(), node.party("x", "ocb_unknown")
    huge, bad = b"x" * 131_073, b"{"
    plain = {"content_type": "text/plain"}
    once = {"limit": 1, "per_seconds": 60}

    refused(await stranger.send("POST", "/api/task", huge, **plain), 413, "payload_too_large")
    refused(await stranger.send("POST", "/api/task", bad, **plain), 401, "unauthenticated")
    worker = await node.worker()
    refused(await worker.send("POST", "/api/task", bad, **plain), 403, "forbidden")
    refused(await worker.send("POST", "/api/task", huge), 413, "payload_too_large")

    await node.configure("rate_limits", task_submit=once)
    refused(await buyer.send("POST", "/api/task", bad), 400, "malformed_json")
    refused(await buyer.send("POST", "/api/task", bad), 429, "rate_limited")
    refused(await buyer.send("POST", "/api/task", huge), 413, "payload_too_large")
    refused(await stranger.send("POST", "/api/task", bad), 401, "unauthenticated")
    # Nobody's worker, but it is the address that has used up its share.
    await node.configure("rate_limits", auth_failures={"limit": 2, "per_seconds": 60})
    refused(await stranger.send("POST", "/api/task", bad), 429, "rate_limited")
    refused(await buyer.get("/api/balance"), 429, "rate_limited")
    refused(await stranger.send("POST", "/api/task", huge), 413, "payload_too_large")


async def test_a_body_is_not_read_past_its_limit(node: Node) -> None:
    """Without a length the limit holds as well, however long the body goes on."""
    buyer = await node.buyer()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65_536
            yield b" " * 65_536

    try:
        answer = await buyer.http.post("/api/task", content=endless())
    except httpx.TransportError:
        answer = None

    assert answer is None or refused(answer, 413, "payload_too_large")
    assert sent < 16 * 1024 * 1024


LIMITED = {
    "retry-after": r"[1-9]\d*",
    "ratelimit-limit": r"\d+",
    "ratelimit-remaining": "0",
    "ratelimit-reset": r"[1-9]\d*",
}


async def over_limit(party: Party, method: str, path: str, body: Json, limit: int) -> None:
    """Call until refused; the limit must be the seeded one."""
    for _ in range(limit):
        answer = await party.http.request(method, path, json=body)
        assert answer.status_code < 400, answer.text
    answer = await party.http.request(method, path, json=body)
    refused(answer, 429, "rate_limited")
    for header, pattern in LIMITED.items():
        assert re.fullmatch(pattern, answer.headers[header]), header
    assert answer.headers["ratelimit-limit"] == str(limit)


async def test_the_seeded_limits_hold(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    seeded = {"connect": 3, "work_next": 30, "task_submit": 20}
    windows = {name: {"limit": n, "per_seconds": 60} for name, n in seeded.items()}
    await node.configure("rate_limits", **windows)
    node.forget_calls()

    await over_limit(node.anyone(), "POST", "/api/worker/connect", {}, 3)
    await over_limit(worker, "GET", "/api/work/next", None, 30)
    dry = {"prompt": "hello", "dry_run": True}
    await over_limit(buyer, "POST", "/api/task", dry, 20)
    # Another of the same address shares its address's limit; another kind of call is free.
    refused(await (await node.buyer()).post("/api/task", dry), 429, "rate_limited")
    assert (await buyer.get("/api/balance")).status_code == 200


async def test_a_poll_that_delivers_is_not_counted(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=50)
    await node.configure("rate_limits", work_next={"limit": 2, "per_seconds": 60})
    for _ in range(5):
        await post(buyer)
    claims = [await claim(worker) for _ in range(5)]
    for each in claims[:3]:
        body = {
            "task_id": each["task_id"],
            "lease_token": each["lease_token"],
            "status": "completed",
            "result": "x",
            "next": {"max": 1},
        }
        await worker.ok("POST", "/api/work/submit", body)

    await over_limit(worker, "GET", "/api/work/next?max=1", None, 2)
    await node.prove()


@pytest.mark.parametrize("query", ["", "?wait=0&max=5"])
async def test_polls_that_come_at_once_are_limited_all_the_same(node: Node, query: str) -> None:
    workers = [await node.worker() for _ in range(2)]
    await node.configure("rate_limits", work_next={"limit": 30, "per_seconds": 60})

    polls = (worker.http.get(f"/api/work/next{query}") for _ in range(30) for worker in workers)
    answers = await asyncio.gather(*polls)

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200 if query else 204] * 30 + [429] * 30
    for answer in answers:
        if answer.status_code == 429:
            refused(answer, 429, "rate_limited")
            assert answer.headers["ratelimit-limit"] == "30"
            assert "retry-after" in answer.headers


async def test_polls_that_come_at_once_and_deliver_are_never_limited(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(max_concurrent=50)
    await node.configure("rate_limits", work_next={"limit": 3, "per_seconds": 60})
    for _ in range(40):
        await post(buyer)

    answers = await asyncio.gather(*(worker.get("/api/work/next") for _ in range(40)))

    assert [answer.status_code for answer in answers] == [200] * 40
    await over_limit(worker, "GET", "/api/work/next?max=1", None, 3)


@pytest.mark.parametrize(
    ("environment", "public_url", "told"),
    [
        ("production", "https://jobs.example.com", "max-age=31536000; includeSubDomains"),
        ("production", "http://jobs.example.com", None),
        ("production", None, None),
        ("development", "https://jobs.example.com", None),
    ],
)
async def test_browsers_are_told_to_keep_to_https(
    dsn: str, environment: str, public_url: str | None, told: str | None
) -> None:
    secrets = {"session_secret": "s" * 32, "public_url": public_url}
    async with running_node(dsn, background=False, environment=environment, **secrets) as node:
        anyone = node.anyone()
        answers = [
            await anyone.get(path)
            for path in ("/api/health", "/api/balance", "/api/nothing", "/", "/favicon.svg")
        ]
        answers.append(await anyone.send("POST", "/api/worker/connect", b"x" * 20_000))
        codes = [answer.status_code for answer in answers]
        assert codes == [200, 401, 404, 200, 200, 413]
        for answer in answers:
            assert answer.headers.get_list("strict-transport-security") == ([told] if told else [])


async def test_every_answer_has_an_id_and_may_keep_the_client_s(node: Node) -> None:
    buyer = await node.buyer()
    ids = set()
    for path in ("/api/balance", "/api/nothing", "/api/worker/me", "/api/health", "/"):
        answer = await buyer.get(path)
        ids.add(answer.headers["x-request-id"])
        kept = await buyer.http.get(path, headers={"X-Request-Id": "mine-1"})
        assert kept.headers["x-request-id"] == "mine-1"
    assert len(ids) == 5
    assert all(re.fullmatch(r"req_[0-9a-z]{26}", each) for each in ids)
    for bad in ("x" * 65, "a b", "<script>", ""):
        answer = await buyer.http.get("/api/balance", headers={"X-Request-Id": bad})
        assert re.fullmatch(r"req_[0-9a-z]{26}", answer.headers["x-request-id"])


async def test_no_stream_has_a_key_that_tells_too_much(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    task_id = (await post(buyer))["id"]
    await complete(worker, await claim(worker))
    async with buyer.http.stream("GET", f"/api/task/{task_id}/events") as stream:
        lines = [line async for line in stream.aiter_lines()]

    keys = set(re.findall(r'"(\w+)":', "".join(lines)))
    assert keys <= {"task_id", "status", "progress", "price_cents", "balance_cents", "at"}
    assert {"task_id", "status", "at"} <= keys
    await node.prove()


async def test_a_client_that_leaves_is_no_error(node: Node) -> None:
    worker = await node.worker()
    parked = asyncio.create_task(worker.get("/api/work/next", wait=30))
    await until(lambda: node.services.matcher.parked == 1)
    parked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await parked
    await until(lambda: node.services.matcher.parked == 0)
