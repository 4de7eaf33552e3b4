import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from openclaw_jobs.api import AddressBook, FrontDoor, RateLimiter, build_application
from openclaw_jobs.api.streams import streams_router
from openclaw_jobs.db import Database
from openclaw_jobs.events import Bus, EventType, NewEvent, Wake, append
from openclaw_jobs.kit.clock import SystemClock
from openclaw_jobs.kit.ids import new_id
from tests.api.framework import BUYER, WORKER, Live, People, header_lines, serving, speak

_LONG_S = 15.0
# The buyer that `People` knows.
_ME = "byr_one"


@dataclass(frozen=True)
class Site:
    url: str
    db: Database
    bus: Bus

    async def task(self, *, owner: str = _ME, status: str = "queued") -> str:
        """A task in the database, with no events yet."""
        task_id = new_id("task")
        async with self.db.transaction() as conn:
            await conn.execute(
                "INSERT INTO tasks (id, buyer_id, category, status, price_cents, promo_cents,"
                " queue_rank, expires_at, completed_at) VALUES (%s, %s, 'general', %s, 1, 0, 0,"
                " now() + interval '1 day', CASE WHEN %s <> 'queued' THEN now() END)",
                (task_id, owner, status, status),
            )
        return task_id

    async def post(self, kind: EventType, task_id: str | None, buyer_id: str = _ME) -> None:
        event = NewEvent(buyer_id, kind, task_id, {"status": kind.removeprefix("task.")})
        async with self.db.transaction() as conn:
            buyers = await append(conn, [event], SystemClock().now())
        self.bus.publish(Wake(buyers=buyers))

    @asynccontextmanager
    async def follow(self, path: str, last_id: str | None = None) -> AsyncIterator[httpx.Response]:
        headers = BUYER if last_id is None else {**BUYER, "Last-Event-ID": last_id}
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=_LONG_S, trust_env=False) as client,
            client.stream("GET", path, headers=headers) as response,
        ):
            yield response


@pytest.fixture
async def site(db: Database) -> AsyncIterator[Site]:
    bus = Bus()
    door = FrontDoor(
        config=Live(),
        authenticator=People(),
        limiter=RateLimiter(),
        addresses=AddressBook(),
        admin_token=None,
    )
    async with serving(build_application(door, [streams_router(db, bus)])) as url:
        yield Site(url, db, bus)
        bus.close()


async def _until(lines: AsyncIterator[str], start: str) -> list[str]:
    """The lines up to the first that begins with `start`."""
    seen = []
    async for line in lines:
        seen.append(line)
        if line.startswith(start):
            return seen
    raise AssertionError(f"the stream ended before {start!r}: {seen}")


async def _until_nobody_follows(bus: Bus) -> None:
    async with asyncio.timeout(_LONG_S):
        while True:
            if not bus.subscribed_buyers():
                return
            await asyncio.sleep(0.005)


async def test_the_headers_come_at_once_and_forbid_gathering(site: Site) -> None:
    async with site.follow("/api/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        assert "content-length" not in response.headers


async def test_a_buyer_follows_and_comes_back(site: Site) -> None:
    task_id = await site.task()
    async with site.follow("/api/events") as response:
        lines = response.aiter_lines()
        assert (await _until(lines, "id: "))[-1] == "id: 0"
        await site.post("task.queued", task_id)
        await site.post("task.queued", "task_other", "byr_two")
        seen = await _until(lines, "data: ")
    await site.post("task.claimed", task_id)
    async with site.follow("/api/events", "1") as response:
        again = await _until(response.aiter_lines(), "data: ")

    assert seen[-3:-1] == ["id: 1", "event: task.queued"]
    data = json.loads(seen[-1].removeprefix("data: "))
    assert (data.pop("at")[-1], data) == ("Z", {"task_id": task_id, "status": "queued"})
    assert again[-3:-1] == ["id: 2", "event: task.claimed"]


async def test_a_task_s_stream_ends_and_is_not_asked_for_again(site: Site) -> None:
    task_id = await site.task(status="cancelled")
    await site.post("task.queued", task_id)
    await site.post("task.cancelled", task_id)
    async with site.follow(f"/api/task/{task_id}/events") as response:
        whole = [line async for line in response.aiter_lines()]
    async with site.follow(f"/api/task/{task_id}/events", "1") as response:
        rest = [line async for line in response.aiter_lines()]
    async with site.follow(f"/api/task/{task_id}/events", "2") as response:
        assert response.status_code == 204
        assert await response.aread() == b""

    assert [x for x in whole if x.startswith("id")] == ["id: 1", "id: 2"]
    assert [x for x in rest if x.startswith("id")] == ["id: 2"]


async def test_a_running_task_s_stream_ends_with_it(site: Site) -> None:
    task_id = await site.task()
    await site.post("task.queued", task_id)
    async with site.follow(f"/api/task/{task_id}/events") as response:
        lines = response.aiter_lines()
        await _until(lines, "data: ")
        await site.post("task.completed", task_id)
        rest = [line async for line in lines]

    assert rest[1:3] == ["id: 2", "event: task.completed"]
    assert site.bus.subscribed_buyers() == []


@pytest.mark.parametrize("path", ["/api/events", "/api/task/{task}/events"])
@pytest.mark.parametrize("last_id", ["", "x", "-1", "1 2", "9223372036854775808"])
async def test_a_last_event_id_that_is_none_is_refused(site: Site, path: str, last_id: str) -> None:
    task_id = await site.task()
    async with site.follow(path.format(task=task_id), last_id) as response:
        problem = json.loads(await response.aread())

    assert response.status_code == 422
    assert problem["code"] == "validation_failed"
    assert problem["errors"][0]["field"] == "Last-Event-ID"


@pytest.mark.parametrize("which", ["foreign", "missing", "malformed", "nul"])
async def test_another_s_task_is_as_if_there_were_none(site: Site, which: str) -> None:
    task_id = {
        "foreign": await site.task(owner="byr_two"),
        "missing": new_id("task"),
        "malformed": "task_1",
        "nul": "task_%00",
    }[which]
    async with site.follow(f"/api/task/{task_id}/events") as response:
        problem = json.loads(await response.aread())

    assert response.status_code == 404
    assert problem["code"] == "not_found"
    # An address with a NUL in it is refused before any route is asked.
    what = "object" if which == "nul" else "task"
    assert problem["detail"] == f"There is no such {what}, or it is not yours."


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (WORKER, 403)])
@pytest.mark.parametrize("path", ["/api/events", "/api/task/task_1/events"])
async def test_only_buyers_follow(
    site: Site, path: str, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as client:
        assert (await client.get(path, headers=headers)).status_code == status


async def test_a_cut_socket_ends_the_stream(site: Site) -> None:
    request = b"GET /api/events HTTP/1.1\r\nHost: x\r\n" + header_lines(BUYER) + b"\r\n"
    reader, writer = await speak(site.url, request)
    await reader.readuntil(b"id: 0\n\n")
    assert site.bus.subscribed_buyers() == [_ME]
    writer.transport.abort()

    await _until_nobody_follows(site.bus)


async def test_draining_ends_the_stream_in_order(site: Site) -> None:
    async with site.follow("/api/events") as response:
        lines = response.aiter_lines()
        await _until(lines, "id: ")
        site.bus.close()

        # httpx would raise if the chunked body had no proper end.
        assert [line async for line in lines] == [""]


async def test_the_routes_are_described(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as client:
        paths = (await client.get("/api/openapi.json")).json()["paths"]

    follow = paths["/api/task/{task_id}/events"]["get"]
    assert follow["operationId"] == "followTask"
    assert set(follow["responses"]) >= {"200", "204", "404", "422"}
    assert list(follow["responses"]["200"]["content"]) == ["text/event-stream"]
    assert [p["name"] for p in follow["parameters"]] == ["task_id", "Last-Event-ID"]
