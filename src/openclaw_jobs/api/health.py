"""`GET /api/health`: whether this process can serve."""

import time
from typing import Final, Literal, Protocol

import msgspec
import psycopg
from litestar import Response, Router, get
from psycopg_pool import PoolTimeout

from openclaw_jobs import __version__
from openclaw_jobs.api.guards import route_options

__all__ = ["Health", "health_router"]

_DATABASE_TIMEOUT_S: Final = 2.0


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


def health_router(database: PingedDatabase) -> Router:
    """The route, asking `database`."""
    started = time.monotonic()

    @get(
        "/api/health",
        opt=route_options(auth="public"),
        operation_id="getHealth",
        summary="Whether this process can serve",
        tags=["Operations"],
    )
    async def health() -> Response[Health]:
        latency: float | None
        try:
            latency = await database.latency_ms(timeout_s=_DATABASE_TIMEOUT_S)
        except (TimeoutError, psycopg.Error, PoolTimeout):
            latency = None
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
