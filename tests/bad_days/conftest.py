"""A marketplace of three processes, shared by the tests that leave it whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest_asyncio

from tests.bad_days.programs import Back, Program, background, behind, caller, together, web

if TYPE_CHECKING:
    from tests.conftest import Postgres


@dataclass
class Stage:
    """Two web processes and a background one on one database.

    Leases last two seconds, so that a test can see one end.
    """

    back: Back
    first: Program
    second: Program
    clients: list[httpx.AsyncClient]

    async def buyer(self) -> httpx.AsyncClient:
        return self._client(self.first, await self.back.buyer())

    async def worker(self, program: Program | None = None, **wants: int) -> httpx.AsyncClient:
        return self._client(program or self.first, await self.back.worker(**wants))

    def _client(self, program: Program, token: str) -> httpx.AsyncClient:
        client = caller(program.address, token)
        self.clients.append(client)
        return client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(postgres: "Postgres") -> AsyncIterator[Stage]:
    with postgres.database() as dsn:
        async with (
            behind(dsn, lease_seconds=2, strikes=100, max_attempts=20) as back,
            together(web(dsn), web(dsn), background(dsn)) as (first, second, third),
        ):
            clients: list[httpx.AsyncClient] = []
            yield Stage(back, first, second, clients)
            for client in clients:
                await client.aclose()
            await back.prove()
            for each in (first, second, third):
                each.terminate()
            for each in (first, second, third):
                assert await each.ended() == 0, each.text()
