"""Browsers without a window: HTTP clients that keep cookies and fill in forms."""

import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg

from openclaw_jobs.market.people import set_operator
from tests.running import Node

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""An empty one: httpx would read all certificates of the machine for each client."""
HTML = {"accept": "text/html"}


class Browser:
    """Keeps cookies, follows no redirect by itself, and sends forms as a page of ours would."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = httpx.AsyncClient(
            base_url=address,
            headers={**HTML, "user-agent": "Tests/1.0"},
            trust_env=False,
            verify=NO_TLS,
        )

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def token(self, path: str = "/sign-in") -> str:
        """The CSRF token of a page; that of whoever is signed in is on each."""
        page = await self.http.get(path, follow_redirects=True)
        found = TOKEN.search(page.text)
        assert found is not None, page.text
        return found[1]

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a form with the page's token, or with `token` ("" for none)."""
        if token is None:
            token = await self.token("/sign-in")
        named = {"csrf_token": token} if token else {}
        return await self.http.post(path, data={**named, **(fields or {})}, headers=headers)

    async def sign_in(self, email: str, return_to: str = "/account") -> httpx.Response:
        return await self.post("/auth/development", {"email": email, "return_to": return_to})

    def session(self, name: str = "openclaw_session") -> str | None:
        return self.http.cookies.get(name)


@asynccontextmanager
async def browsing(node: Node, *emails: str | None) -> AsyncIterator[list[Browser]]:
    """One browser for each address, signed in with it; None leaves it a stranger's."""
    browsers = [Browser(node.address) for _ in emails]
    try:
        for browser, email in zip(browsers, emails, strict=True):
            if email is not None:
                answer = await browser.sign_in(email)
                assert answer.status_code == 303, answer.text
        yield browsers
    finally:
        for browser in browsers:
            await browser.http.aclose()


async def make_operator(node: Node, email: str) -> None:
    await set_operator(node.market, email, operator=True, actor="test")


async def ask(node: Node, query: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """What the database has, past all code of ours."""
    async with node.market.db.transaction() as conn:
        cursor: psycopg.AsyncCursor[Any] = await conn.execute(query.encode(), values)
        return await cursor.fetchall() if cursor.description else []
