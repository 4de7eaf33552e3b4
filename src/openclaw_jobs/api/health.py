"""`GET /api/health`: whether this process can serve."""

import asyncio
import math
import time
from typing import Final, Literal, Protocol

import msgspec
import psycopg
from litestar import Response, Router, get

from openclaw_jobs import __version__
from openclaw_jobs.api.guards import route_options

__all__ = ["Health", "health_router"]

_DATABASE_TIMEOUT_S: Final = 2.0
_FRESH_FOR_S: Final = 0.25


class PingedDatabase(Protocol):
    """What health asks of the database."""

    async def latency_ms(self, *, timeout_s: float = ...) -> float:
        """How long a trivial statement takes."""
        ...


class DatabaseHealth(msgspec.Struct, frozen=True):
    """Whether the database answers, and how long one trivial statement took."""

    ok: bool
    latency_ms: float | None


class Health(msgspec.Struct, frozen=True):
    """How this process is; `degraded` (answered with 503) means that it cannot serve."""

    status: Literal["ok", "degraded"]
    version: str
    database: DatabaseHealth
    uptime_s: float


class _Pulse:
    """The database's latency, asked at most once at a time and again only after a moment.

    Anybody may call this route as often as they like; it must not eat the pool.
    """

    def __init__(self, database: PingedDatabase) -> None:
        self._database = database
        self._asking: asyncio.Task[float | None] | None = None
        self._answered_at = -math.inf

    async def latency_ms(self) -> float | None:
        """Milliseconds, or None when there was no answer in time."""
        asking = self._asking
        if asking is None or (
            asking.done() and time.monotonic() - self._answered_at > _FRESH_FOR_S
        ):
            asking = self._asking = asyncio.create_task(self._ask())
        # Others wait for the same answer: one caller's hanging up must not end it.
        return await asyncio.shield(asking)

    async def _ask(self) -> float | None:
        try:
            return await self._database.latency_ms(timeout_s=_DATABASE_TIMEOUT_S)
        except (TimeoutError, psycopg.Error):
            return None
        finally:
            self._answered_at = time.monotonic()


def health_router(database: PingedDatabase) -> Router:
    """The route, asking `database`."""
    started = time.monotonic()
    pulse = _Pulse(database)

    @get(
        "/api/health",
        opt=route_options(auth="public", rate="health"),
        operation_id="getHealth",
        summary="Whether this process can serve",
        tags=["Operations"],
    )
    async def health() -> Response[Health]:
        latency = await pulse.latency_ms()
        answer = Health(
            status="degraded" if latency is None else "ok",
            version=__version__,
            database=DatabaseHealth(
                ok=latency is not None,
                latency_ms=None if latency is None else round(latency, 3),
            ),
            uptime_s=round(time.monotonic() - started, 3),
        )
        return Response(answer, status_code=503 if latency is None else 200)

    return Router("/", route_handlers=[health])
