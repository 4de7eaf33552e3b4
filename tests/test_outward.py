"""Calls to others: only to a proven partner over TLS, and only where they were meant to go."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from solders.keypair import Keypair

from openclaw_jobs.identity.oauth.calls import open_client
from openclaw_jobs.kit.clock import SystemClock
from openclaw_jobs.payments.deposits.gateway import StripeGateway
from openclaw_jobs.payments.providers.paypal import PayPal
from openclaw_jobs.payments.providers.solana import Solana
from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond

CERTIFICATE = Path(__file__).parent / "identity" / "localhost.pem"
NAMES = ("sign-in", "paypal", "solana", "stripe")


@contextlib.asynccontextmanager
async def caller(name: str) -> AsyncIterator[httpx.AsyncClient]:
    """The client with which the server calls this partner, as it is made in production."""
    async with contextlib.AsyncExitStack() as stack:
        if name == "sign-in":
            client = await stack.enter_async_context(open_client())
        elif name == "paypal":
            rail = PayPal("app", "secret", api_base="https://paypal.test", clock=SystemClock())
            stack.push_async_callback(rail.aclose)
            client = rail._http
        elif name == "solana":
            chain = Solana("https://solana.test", Keypair(), mint=None)
            stack.push_async_callback(chain.aclose)
            client = chain._http
        else:
            gateway = StripeGateway.open("sk_test_nothing", None)
            stack.push_async_callback(gateway.close)
            client = gateway._http._client_async
        yield client


@pytest.mark.parametrize("name", NAMES)
async def test_a_certificate_that_nobody_vouches_for_is_not_believed(name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = await asyncio.start_server(hear, sock=listener, ssl=context)
    async with server, caller(name) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(f"https://localhost:{port}/")
    assert heard == []


class Mover(AsgiFake):
    """Sends everybody on."""

    asked: int = 0

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read_body(receive)
        self.asked += 1
        await respond(send, 302, headers={"location": f"{self.url}/elsewhere"})


@pytest.mark.parametrize("name", NAMES)
async def test_no_redirect_is_followed(name: str) -> None:
    async with Mover() as mover, caller(name) as client:
        answer = await client.get(f"{mover.url}/")
    assert (answer.status_code, mover.asked) == (302, 1)


def test_no_tls_before_1_2_is_spoken() -> None:
    for context in (ssl.create_default_context(), httpx.create_ssl_context(trust_env=False)):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
