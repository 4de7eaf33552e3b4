"""A real HTTP server for fakes: uvicorn on a real socket, inside the test's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from typing import Any, Self

import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (the signals are pytest's) and its slow ticks."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.exit = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.exit.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AsgiFake:
    """Serves `handle` on a free loopback port; can go away and come back on the same one."""

    def __init__(self) -> None:
        self.port = 0
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.handle,
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    def drop(self, scope: Scope) -> None:
        """Cut the connection of a request."""
        assert self._server is not None
        for connection in self._server.server_state.connections:
            # uvicorn keeps the scope of the request that a connection is at
            if getattr(connection, "scope", None) is scope and connection.transport is not None:
                connection.transport.abort()

    async def stop(self) -> None:
        """Drop every connection and close the port."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._server.exit.set()
        for connection in list(self._server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await self._serving
        self._server = self._serving = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def respond(
    send: Send, status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    sent = {"content-type": "application/json", "x-request-id": "req_fake", **(headers or {})}
    if status != 204:
        sent.setdefault("content-length", str(len(body)))
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
