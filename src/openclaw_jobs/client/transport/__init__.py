"""How requests get to the server: the seam between the SDK and an HTTP library.

`httpx` is the base install's; when `aiohttp` is installed (the extra `fast`), the async client
uses it by itself, because it needs a fraction of the time per request (see
`docs/reference/sdk.md`).
"""

from __future__ import annotations

from openclaw_jobs.client.transport.base import (
    AsyncStream,
    AsyncTransport,
    Outgoing,
    Stream,
    Transport,
)
from openclaw_jobs.client.transport.httpx_transport import AsyncHttpxTransport, HttpxTransport

__all__ = [
    "AsyncHttpxTransport",
    "AsyncStream",
    "AsyncTransport",
    "HttpxTransport",
    "Outgoing",
    "Stream",
    "Transport",
    "default_async_transport",
]


def default_async_transport() -> AsyncTransport:
    """Make the fastest transport the installed packages allow."""
    try:
        from openclaw_jobs.client.transport.aiohttp_transport import (
            AiohttpTransport,
        )
    except ImportError:
        return AsyncHttpxTransport()
    return AiohttpTransport()
