"""A whole web node with its background jobs, on a real socket in the test's own event loop."""

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import uvicorn

from openclaw_jobs.api.application import Application
from openclaw_jobs.api.limits import RateLimiter
from openclaw_jobs.api.server import BoundedProtocol
from openclaw_jobs.api.services import Services
from openclaw_jobs.app import Runtime, compose, create_app, open_runtime, prepare_database
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.open_accounts import create_funded_buyer
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.settings import Settings

ADMIN_TOKEN = "admin-token-of-the-tests"
FORBIDDEN_IN_KEYS = ("internal", "shadow", "bench", "spot", "hidden", "gold", "verdict", "qa")
"""What no key in an answer to a worker or buyer may contain, by the contract."""
_numbers = itertools.count(1)
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""An empty one: httpx would read all certificates of the machine for each client."""

Json: TypeAlias = Any
"""Whatever JSON holds, or a caller's keyword arguments that become JSON."""


@dataclass
class Party:
    """A buyer, a worker or the operator with its own HTTP client."""

    id: str
    token: str
    http: httpx.AsyncClient

    async def get(self, path: str, **params: Json) -> httpx.Response:
        return await self.http.get(path, params=params)

    async def post(self, path: str, body: Json = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, json=body, headers=named)

    async def send(self, method: str, path: str, content: bytes, **headers: str) -> httpx.Response:
        """Send bytes as they are, declared to be JSON unless a header says otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(
            method, path, content=content, headers={"content-type": "application/json"} | named
        )

    async def ok(self, method: str, path: str, body: Json = None, status: int = 200) -> Json:
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None


def keys_in(value: Json) -> set[str]:
    """All keys in a JSON value, however deep."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_in, value.values()))
    return set().union(*map(keys_in, value)) if isinstance(value, list) else set()


async def _check_contract(answer: httpx.Response) -> None:
    """What the contract says of every answer, so that each test proves it of the ones it sees."""
    request_id = answer.headers["x-request-id"]
    kind = answer.headers.get("content-type", "")
    if "json" not in kind:
        return
    await answer.aread()
    body = answer.json()
    if answer.status_code >= 400:
        assert kind == "application/problem+json", (kind, body)
        assert body["status"] == answer.status_code
        assert body["request_id"] == request_id or "idempotent-replayed" in answer.headers
        assert all(isinstance(body[k], str) for k in ("type", "title", "detail", "code"))
        assert answer.status_code not in {429, 503} or "retry-after" in answer.headers, body
        for error in body.get("errors", ()):
            assert set(error) == {"field", "message"}
    path = answer.request.url.path
    if not path.startswith(("/api/admin/", "/api/openapi")):
        told = {key for key in keys_in(body) for word in FORBIDDEN_IN_KEYS if word in key.lower()}
        assert not told, (path, told)


class Node:
    """A running marketplace."""

    def __init__(
        self, runtime: Runtime, services: Services, app: Application, address: str
    ) -> None:
        self.runtime = runtime
        self.services = services
        self.app = app
        self.address = address
        self._open: list[httpx.AsyncClient] = []

    @property
    def market(self) -> Market:
        return self.runtime.market

    def party(self, party_id: str, token: str) -> Party:
        http = httpx.AsyncClient(
            base_url=self.address,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(30.0),
            trust_env=False,
            verify=_NO_TLS,
            limits=httpx.Limits(max_connections=None),
            event_hooks={"response": [_check_contract]},
        )
        self._open.append(http)
        return Party(party_id, token, http)

    def anyone(self) -> Party:
        return self.party("nobody", "")

    def operator(self) -> Party:
        return self.party("operator", ADMIN_TOKEN)

    async def buyer(self, credit_cents: int = 10_000) -> Party:
        email = f"buyer{next(_numbers)}@example.com"
        buyer_id, key = await create_funded_buyer(self.market, email, credit_cents, "test")
        return self.party(buyer_id, key.key)

    async def worker(self, **preferences: Json) -> Party:
        body = {"name": f"worker {next(_numbers)}", "preferences": preferences}
        made = await self.anyone().ok("POST", "/api/worker/connect", body, 201)
        return self.party(made["worker_id"], made["token"])

    async def configure(self, key: str, **fields: Json) -> None:
        await change_config(self.market, key, fields, None, "test")

    def forget_calls(self) -> None:
        """Let every limit begin anew."""
        self.app.door.limiter = RateLimiter()

    async def prove(self) -> None:
        """The ledger adds up, and agrees with tasks and earnings."""
        proof = await prove_ledger(self.market)
        assert proof.ok, proof.violations

    async def close(self) -> None:
        for http in self._open:
            await http.aclose()


UNLIMITED = {"limit": 1_000_000, "per_seconds": 60}
LIMITS = ("connect", "work_next", "task_submit", "work_submit", "heartbeat", "worker_write",
          "buyer_write", "api_read", "stream", "admin", "auth_failures")  # fmt: skip


_GRACE_S = 5.0


class _Server(uvicorn.Server):
    """uvicorn that leaves pytest's signals alone, and stops without its steps of 0.1 s."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_GRACE_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self.lifespan.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running_node(
    dsn: str, *, background: bool = True, **settings: Json
) -> AsyncIterator[Node]:
    """Serve the marketplace on `dsn` (a migrated database) until the block ends.

    Args:
        dsn: Where its data is.
        background: False leaves the periodic jobs to the test, so that it decides when.
        **settings: Fields of `Settings`.
    """
    chosen = Settings(admin_token=ADMIN_TOKEN, **settings)
    await prepare_database(chosen, dsn)
    # Made for TCP by name: only then does asyncio send small answers at once, and with the delays
    # of Nagle and of acknowledgements together each call may take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with open_runtime(chosen, dsn) as runtime:
        parts = compose(runtime)
        app = create_app(runtime, parts)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            http=BoundedProtocol,
        )
        server = _Server(config)
        stop = asyncio.Event()
        loops = [*parts.web_loops, *parts.loops]
        if not background:
            loops = [loop for loop in parts.web_loops if loop is not parts.due_checks]
        tasks = [asyncio.ensure_future(loop(stop)) for loop in loops]
        # The listener accepts from now on; requests wait until the server has started.
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        node = Node(runtime, parts.services, app, address)
        try:
            await node.configure("rate_limits", **dict.fromkeys(LIMITS, UNLIMITED))
            yield node
        finally:
            await node.close()
            await parts.drain()
            server.stopping.set()
            await serving
            stop.set()
            await asyncio.gather(*tasks)
