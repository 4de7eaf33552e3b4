"""A small application of its own behind the real front door, on a real uvicorn socket."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import httpx
import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from uvicorn.server import ServerState

from openclaw_jobs.api import (
    AddressBook,
    ApiRequest,
    Application,
    FrontDoor,
    RateLimiter,
    build_application,
    route_options,
)
from openclaw_jobs.api.connections import Connections
from openclaw_jobs.api.server import BoundedProtocol, configuration
from openclaw_jobs.economy import DEFAULT_CONFIG, Config, RateLimit
from openclaw_jobs.kit.idempotency import Replayed, StoredAnswer
from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.workers.models import Preferences, WorkerIdentity

BUYER_KEY = "ocb_" + "b" * 32
WORKER_TOKEN = "ocw_" + "w" * 32
ADMIN_TOKEN = "operator-secret-of-the-test"
BUYER = {"Authorization": f"Bearer {BUYER_KEY}"}
WORKER = {"Authorization": f"Bearer {WORKER_TOKEN}"}
OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


class People:
    """One buyer and one worker."""

    def __init__(self) -> None:
        self.lookups = 0

    async def buyer_by_key(self, key_hash: bytes) -> str | None:
        self.lookups += 1
        return "byr_one" if key_hash == hash_token(BUYER_KEY) else None

    async def worker_by_token(self, token_hash: bytes) -> WorkerIdentity | None:
        self.lookups += 1
        if token_hash != hash_token(WORKER_TOKEN):
            return None
        return WorkerIdentity(
            worker_id="wrk_one",
            tier="bronze",
            standing="active",
            suspended_until=None,
            preferences=Preferences(),
            schedule=None,
        )


class Live:
    """A configuration that a test changes while the server runs."""

    def __init__(self) -> None:
        self.current: Config = DEFAULT_CONFIG

    def rate(self, name: str, limit: int, per_seconds: int = 60) -> None:
        rule = RateLimit(limit=limit, per_seconds=per_seconds)
        limits = msgspec.structs.replace(self.current.rate_limits, **{name: rule})
        self.current = msgspec.structs.replace(self.current, rate_limits=limits)

    def bytes_(self, name: str, limit: int) -> None:
        limits = msgspec.structs.replace(self.current.payload_limits, **{name: limit})
        self.current = msgspec.structs.replace(self.current, payload_limits=limits)


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    amount: int
    note: str | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: Annotated[int, msgspec.Meta(ge=0, le=10)]
    name: str = ""
    lines: list[Line] = []
    metadata: dict[str, Any] | None = None


class Optional(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str | None = None


class Harness:
    """What the routes have seen, and what the test may pull. Get one with `fresh_harness`."""

    def __init__(self) -> None:
        self.live = Live()
        self.people = People()
        self.door = FrontDoor(
            config=self.live,
            authenticator=self.people,
            limiter=RateLimiter(),
            addresses=AddressBook(),
            admin_token=ADMIN_TOKEN,
        )
        self.app = build_application(
            self.door, [*buyer_routes(self), *worker_routes(self), *other_routes(self)]
        )
        self.forget()

    def forget(self) -> None:
        """Be as new, but keep the application: it takes a tenth of a second to make."""
        self.live.current = DEFAULT_CONFIG
        self.people.lookups = 0
        self.door.limiter = RateLimiter()
        self.orders: list[Order] = []
        self.raw: list[bytes] = []
        self.replay_keys: list[Any] = []
        self.parked = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.let_go = asyncio.Event()
        self.failure: Exception = RuntimeError("broken")


@functools.cache
def _harness() -> Harness:
    return Harness()


def fresh_harness() -> Harness:
    """The harness, knowing nothing of other tests."""
    harness = _harness()
    harness.forget()
    return harness


def buyer_routes(seen: Harness) -> list[Any]:
    @post(
        "/api/order",
        opt=route_options(auth="buyer", body_limit="task_input", rate="task_submit", replay=True),
    )
    async def order(request: ApiRequest, data: JSONBody[Order]) -> dict[str, Any]:
        assert type(data) is Order
        seen.orders.append(data)
        seen.replay_keys.append(request.replay_key)
        return {"buyer": request.buyer_id, "count": data.count}

    @post("/api/replay", opt=route_options(auth="buyer", replay=True))
    async def replay(request: ApiRequest) -> None:
        seen.replay_keys.append(request.replay_key)
        raise Replayed(
            StoredAnswer(status=202, headers={"X-First": "yes"}, content='{"first":true}')
        )

    @post("/api/secret", opt=route_options(auth="public", replay="refuse"))
    async def secret(request: ApiRequest) -> None:
        seen.replay_keys.append(request.replay_key)

    return [order, replay, secret]


def worker_routes(seen: Harness) -> list[Any]:
    @post("/api/bare/{name:str}", status_code=200, opt=route_options(auth="worker"))
    async def bare(request: ApiRequest, name: FromPath[str]) -> dict[str, str]:
        return {"name": name, "worker": request.worker.worker_id}

    @delete("/api/bare/{name:str}", status_code=204, opt=route_options(auth="worker"))
    async def remove(name: FromPath[str]) -> None:
        assert name

    @get(
        "/api/work/next",
        opt=route_options(auth="worker", rate="work_next", counted_by="handler"),
    )
    async def following(
        request: ApiRequest,
        wait: Annotated[int, QueryParameter(ge=0, le=60)] = 0,
        empty: FromQuery[int] = 0,
    ) -> dict[str, Any]:
        if empty:
            await request.count()
        return {"wait": wait}

    @post("/api/work/ignore", opt=route_options(auth="worker", rate="work_submit"))
    async def ignore(request: ApiRequest, data: JSONBody[Optional]) -> None:
        assert data.reason is None
        seen.replay_keys.append(request.replay_key)

    return [bare, remove, following, ignore]


def other_routes(seen: Harness) -> list[Any]:
    @post("/api/optional", status_code=200, opt=route_options(auth="public", rate="connect"))
    async def optional(data: JSONBody[Optional]) -> dict[str, Any]:
        return {"reason": data.reason}

    @post(
        "/api/raw",
        status_code=200,
        opt=route_options(auth="public", body_limit="webhook", raw_body=True),
    )
    async def raw(request: ApiRequest) -> dict[str, int]:
        seen.raw.append(await request.body())
        return {"bytes": len(seen.raw[-1])}

    @get("/api/admin/thing", opt=route_options(auth="operator", rate="admin"))
    async def thing(request: ApiRequest) -> dict[str, str]:
        return {"operator": request.operator}

    @get("/metrics", opt=route_options(auth="operator_or_loopback"))
    async def metrics() -> dict[str, bool]:
        return {"open": True}

    @get("/api/park", opt=route_options(auth="public"))
    async def park(request: ApiRequest) -> dict[str, bool]:
        seen.parked.set()
        gone = asyncio.create_task(request.until_hung_up())
        let_go = asyncio.create_task(seen.let_go.wait())
        done, pending = await asyncio.wait({gone, let_go}, return_when="FIRST_COMPLETED")
        for task in pending:
            task.cancel()
        if gone in done:
            seen.hung_up.set()
        return {"let_go": let_go in done}

    @get("/api/broken", opt=route_options(auth="public"))
    async def broken() -> None:
        raise seen.failure

    return [optional, raw, thing, metrics, park, broken]


@contextlib.asynccontextmanager
async def serving(app: Application, connections: Connections | None = None) -> AsyncIterator[str]:
    """Serve `app` on a free port of the loopback for the length of the block.

    This is uvicorn's protocol as the server runs it, without the second that its own shutdown
    takes at each test.
    """
    config = configuration(app)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: BoundedProtocol(
            config=config,
            server_state=state,
            app_state={},
            connections=connections or Connections(),
        ),
        "127.0.0.1",
        0,
    )
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=5)
        await server.wait_closed()


class RawAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


async def speak(url: str, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send raw bytes to the server of `url`."""
    parts = httpx.URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    writer.write(request)
    await writer.drain()
    return reader, writer


async def read_answer(reader: asyncio.StreamReader) -> RawAnswer:
    """Read one HTTP/1.1 answer that has a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawAnswer(int(head[0].split()[1]), headers, body)


def header_lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode()
