"""Calls to a sign-in provider: bounded in time and size, and told as one kind of failure."""

import functools
import json
import ssl
from typing import Any, Final

import httpx
from httpx_oauth.oauth2 import BaseOAuth2, OAuth2RequestError, OAuth2Token

from openclaw_jobs.identity.oauth.models import ProviderError

__all__ = ["Dance", "exchange", "get_json", "open_client", "text_of"]

_TIMEOUT: Final = httpx.Timeout(10.0)
_MAX_BYTES: Final = 256 * 1024
_MAX_CHARS: Final = 320


def open_client() -> httpx.AsyncClient:
    """A client for one sign-in; it follows no redirects, since none is due."""
    return httpx.AsyncClient(
        timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=_tls()
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    # To read all authorities' certificates takes longer than the sign-in.
    return httpx.create_ssl_context(trust_env=False)


class Dance(BaseOAuth2[dict[str, Any]]):
    """The authorization code flow of httpx-oauth, with our bounds on its calls."""

    def get_httpx_client(self) -> httpx.AsyncClient:
        """A client of ours in place of one without bounds."""
        return open_client()


async def exchange(
    dance: Dance, title: str, code: str, redirect_uri: str, verifier: str
) -> OAuth2Token:
    """The tokens that a code is worth.

    Raises:
        ProviderError: None.
    """
    try:
        token = await dance.get_access_token(code, redirect_uri, verifier)
    except (OAuth2RequestError, httpx.HTTPError, ValueError, TypeError) as error:
        raise ProviderError(f"{title} did not accept the sign-in. Please try again.") from error
    if not isinstance(token.get("access_token"), str):
        # GitHub tells of errors with a 200.
        raise ProviderError(f"{title} did not accept the sign-in. Please try again.")
    return token


async def get_json(
    client: httpx.AsyncClient, title: str, url: str, token: str | None = None
) -> Any:  # noqa: ANN401 - JSON
    """What a provider has at `url`.

    Raises:
        ProviderError: Nothing that can be read.
    """
    headers = {"Accept": "application/json", "User-Agent": "openclaw-jobs"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with client.stream("GET", url, headers=headers) as answer:
            answer.raise_for_status()
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ProviderError(f"{title} said more than can be true.")
        return json.loads(body)
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderError(f"{title} cannot be reached right now. Please try again.") from error


def text_of(value: object) -> str | None:
    """`value` if it is a text of sensible length that can be shown and stored."""
    if not isinstance(value, str) or not value or len(value) > _MAX_CHARS:
        return None
    return value if value.isprintable() else None
