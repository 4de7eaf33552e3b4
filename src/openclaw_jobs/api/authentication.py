"""Who a token belongs to, asked of the database for all that ask at once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from openclaw_jobs import identity
from openclaw_jobs.identity import sessions
from openclaw_jobs.identity.models import SessionIdentity
from openclaw_jobs.kit.batching import Coalescer
from openclaw_jobs.market.context import Market
from openclaw_jobs.workers import service as workers
from openclaw_jobs.workers.models import WorkerIdentity

__all__ = ["DatabaseAuthenticator"]

Found = TypeVar("Found")

_MAX_BATCH: Final = 200
_CONCURRENCY: Final = 2


class DatabaseAuthenticator:
    """Looks tokens up with one statement for all requests that come in while one is running.

    Nothing is remembered: a key or a session that was revoked, or a token that was replaced, stops
    at once, on every node.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._buyers = _batched(self._find_buyers)
        self._workers = _batched(self._find_workers)
        self._sessions = _batched(self._find_sessions)

    async def buyer_by_key(self, key_hash: bytes) -> str | None:
        """The id of the buyer with this API key, or None."""
        return await self._buyers.submit(key_hash)

    async def worker_by_token(self, token_hash: bytes) -> WorkerIdentity | None:
        """The worker with this token, or None."""
        return await self._workers.submit(token_hash)

    async def session(self, token_hash: bytes) -> SessionIdentity | None:
        """The live session with this secret, or None."""
        return await self._sessions.submit(token_hash)

    async def seen(self, session: SessionIdentity) -> None:
        """Note that a session was just used, if that was not noted in the last few minutes."""
        async with self._market.db.transaction() as conn:
            await sessions.touch_session(conn, session.id)

    async def _find_buyers(self, hashes: Sequence[bytes]) -> Mapping[bytes, str]:
        async with self._market.db.read() as conn:
            return await identity.buyers_by_key_hash(conn, hashes)

    async def _find_workers(self, hashes: Sequence[bytes]) -> Mapping[bytes, WorkerIdentity]:
        async with self._market.db.read() as conn:
            return await workers.by_token_hash(conn, hashes)

    async def _find_sessions(self, hashes: Sequence[bytes]) -> Mapping[bytes, SessionIdentity]:
        async with self._market.db.read() as conn:
            return await sessions.sessions_by_hash(conn, hashes)


def _batched(
    find: Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, Found]]],
) -> Coalescer[bytes, Found | None]:
    async def handle(hashes: Sequence[bytes]) -> Sequence[Found | Exception | None]:
        found = await find(hashes)
        return [found.get(token_hash) for token_hash in hashes]

    return Coalescer(handle, max_batch=_MAX_BATCH, concurrency=_CONCURRENCY)
