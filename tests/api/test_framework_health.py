"""Health follows the database, and a crowd that asks does not weigh on it."""

import asyncio

import httpx
import psycopg
import pytest

from openclaw_jobs.api.application import build_application
from openclaw_jobs.api.health import health_router
from tests.api.framework import Harness, fresh_harness, serving


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


class Pinged:
    """A database whose answer a test holds back."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def latency_ms(self, *, timeout_s: float = 2.0) -> float:
        self.asked += 1
        self.was_asked.set()
        async with asyncio.timeout(timeout_s):
            await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return 0.5


class TestHealth:
    @pytest.mark.parametrize("failure", [TimeoutError(), psycopg.OperationalError("away")])
    async def test_it_follows_the_database(self, harness: Harness, failure: Exception) -> None:
        pinged = Pinged()
        app = build_application(harness.door, [health_router(pinged)])
        async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
            well = await client.get("/api/health")
            assert well.status_code == 200
            document = well.json()
            assert document["status"] == "ok"
            assert document["database"] == {"ok": True, "latency_ms": 0.5}
            assert document["uptime_s"] >= 0
        pinged = Pinged(failure)
        app = build_application(harness.door, [health_router(pinged)])
        async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
            ill = await client.get("/api/health")
            assert ill.status_code == 503
            assert ill.json()["database"] == {"ok": False, "latency_ms": None}

    async def test_a_crowd_asks_the_database_once(self, harness: Harness) -> None:
        pinged = Pinged()
        pinged.may_answer.clear()
        app = build_application(harness.door, [health_router(pinged)])
        async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
            crowd = [asyncio.create_task(client.get("/api/health")) for _ in range(20)]
            await asyncio.wait_for(pinged.was_asked.wait(), 5)
            pinged.may_answer.set()
            assert {answer.status_code for answer in await asyncio.gather(*crowd)} == {200}
        assert pinged.asked <= 2
