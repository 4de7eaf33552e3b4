import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql

from openclaw_jobs.db.embedded import EmbeddedServer
from openclaw_jobs.db.migrate import migrate
from openclaw_jobs.events import EventType, NewEvent, stream
from tests.conftest import Postgres
from tests.events.conftest import Node, StartNode, running_node

_LONG_S = 15.0

Bytes = AsyncGenerator[bytes, None]


def _event(kind: EventType, task_id: str | None = "task_1", buyer_id: str = "byr_a") -> NewEvent:
    return NewEvent(buyer_id, kind, task_id, {"status": kind.removeprefix("task.")})


def _blocks(chunk: bytes) -> list[dict[str, str]]:
    """The fields of each block, by the standard's grammar; comments are left out."""
    found = []
    for block in chunk.decode().split("\n\n")[:-1]:
        lines = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        if lines:
            found.append({name: value for name, _, value in lines})
    return found


class Client:
    """Reads a stream as a browser does: knows the last id, and sees only blocks with data."""

    def __init__(self, chunks: Bytes) -> None:
        self._chunks = chunks
        self.events: list[tuple[int, str]] = []
        self.last_id: str | None = None

    async def read(self, count: int) -> list[tuple[int, str]]:
        """Up to the `count`th event from the start."""
        async with asyncio.timeout(_LONG_S):
            while len(self.events) < count:
                self.take(await anext(self._chunks))
        return self.events

    async def to_end(self) -> list[tuple[int, str]]:
        async with asyncio.timeout(_LONG_S):
            async for chunk in self._chunks:
                self.take(chunk)
        return self.events

    async def opened(self) -> "Client":
        """Until the stream knows its place."""
        async with asyncio.timeout(_LONG_S):
            while self.last_id is None:
                self.take(await anext(self._chunks))
        return self

    def take(self, chunk: bytes) -> None:
        for block in _blocks(chunk):
            self.last_id = block.get("id", self.last_id)
            if "data" in block:
                assert block["event"]
                assert json.loads(block["data"])["at"].endswith("Z")
                self.events.append((int(block["id"]), block["event"]))


@asynccontextmanager
async def _client(
    node: Node, after: int | None, task_id: str | None = None, *, ended: bool = False
) -> AsyncIterator[Client]:
    chunks = stream(node.db, node.bus, "byr_a", after, task_id, ended=ended)
    async with aclosing(chunks):
        yield Client(chunks)


async def test_the_first_bytes_need_no_database(start_node: StartNode) -> None:
    node = await start_node("node-1")
    await node.db.close()
    async with aclosing(stream(node.db, node.bus, "byr_a", None)) as chunks:
        assert _blocks(await anext(chunks)) == [{"retry": "1000"}]


async def test_a_buyer_s_stream_begins_now(start_node: StartNode) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"), _event("balance", None))
    async with _client(node, None) as client:
        await client.opened()
        assert client.last_id == "2"
        await node.post(_event("task.claimed"), _event("task.claimed", buyer_id="byr_b"))
        await node.post(_event("task.completed"))

        assert await client.read(2) == [(3, "task.claimed"), (4, "task.completed")]


async def test_it_resumes_after_the_last_event_id(start_node: StartNode) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"), _event("task.claimed"), _event("task.completed"))
    async with _client(node, 1) as client:
        assert await client.read(2) == [(2, "task.claimed"), (3, "task.completed")]
        await node.post(_event("balance", None))
        assert await client.read(3) == [(2, "task.claimed"), (3, "task.completed"), (4, "balance")]


async def test_a_client_cut_off_before_its_first_event_misses_nothing(
    start_node: StartNode,
) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"))
    async with _client(node, None) as client:
        await client.opened()
        last_id = client.last_id
    assert last_id is not None
    await node.post(_event("task.claimed"))

    async with _client(node, int(last_id)) as client:
        assert await client.read(1) == [(2, "task.claimed")]


async def test_a_number_that_was_never_given_out_hides_nothing(start_node: StartNode) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"))
    async with _client(node, 2**63 - 1) as client:
        reading = asyncio.create_task(client.read(1))
        await _until_waiting(node)
        await node.post(_event("task.claimed"))

        assert await reading == [(2, "task.claimed")]


async def test_it_goes_on_on_another_node(start_node: StartNode) -> None:
    here, there = await start_node("node-1"), await start_node("node-2")
    async with _client(here, None) as client:
        await client.opened()
        await here.post(_event("task.queued"))
        await client.read(1)
        last_id = client.last_id
        here.bus.close()
        await client.to_end()
    assert last_id is not None
    await here.post(_event("task.claimed"), tell=False)

    async with _client(there, int(last_id)) as client:
        assert await client.read(1) == [(2, "task.claimed")]
        await here.post(_event("task.completed"))
        assert await client.read(2) == [(2, "task.claimed"), (3, "task.completed")]


async def test_a_task_s_stream_tells_its_story_and_ends(start_node: StartNode) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"), _event("task.queued", "task_2"))
    await node.post(_event("task.claimed", "task_2"), _event("task.claimed"))
    async with _client(node, None, "task_1") as client:
        assert await client.read(2) == [(1, "task.queued"), (4, "task.claimed")]
        await node.post(_event("task.completed", "task_2"))
        await node.post(_event("task.progress"), _event("task.completed"))

        assert await client.to_end() == [
            (1, "task.queued"),
            (4, "task.claimed"),
            (6, "task.progress"),
            (7, "task.completed"),
        ]


@pytest.mark.parametrize("end", ["task.completed", "task.failed", "task.cancelled", "task.expired"])
async def test_every_end_ends_it_and_a_credit_before_it_opened_is_told(
    start_node: StartNode, end: EventType
) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"), _event(end))
    await node.post(_event("task.credited"))
    async with _client(node, None, "task_1") as client:
        assert await client.to_end() == [(1, "task.queued"), (2, end), (3, "task.credited")]


async def test_a_task_that_ended_with_nothing_left_to_tell_ends_at_once(
    start_node: StartNode,
) -> None:
    node = await start_node("node-1")
    await node.post(_event("task.queued"), _event("task.completed"))
    async with _client(node, 2, "task_1", ended=True) as client:
        assert await client.to_end() == []


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 15])
async def test_what_is_more_than_a_page_comes_in_pages(start_node: StartNode, count: int) -> None:
    node = await start_node("node-1")
    await node.post(*[_event("task.progress")] * count, _event("task.completed"))
    async with aclosing(stream(node.db, node.bus, "byr_a", None, "task_1", page_size=7)) as chunks:
        pages = [[b["id"] for b in _blocks(c) if "id" in b] async for c in chunks]

    assert max(len(page) for page in pages) <= 7
    assert [int(seq) for page in pages for seq in page] == list(range(1, count + 2))


async def test_silence_is_filled_with_heartbeats_and_costs_no_sql(
    start_node: StartNode, dsn: str
) -> None:
    node = await start_node("node-1")
    async with aclosing(stream(node.db, node.bus, "byr_a", None, heartbeat_s=0.01)) as chunks:
        await anext(chunks)
        await anext(chunks)
        heartbeats = [await anext(chunks)]
        before = await _statements(dsn)
        heartbeats += [await anext(chunks) for _ in range(9)]
        after = await _statements(dsn)

    assert heartbeats == [b": heartbeat\n\n"] * 10
    assert before == after


async def _statements(dsn: str) -> list[tuple[Any, ...]]:
    """When each connection of the node was last used."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        cursor = await conn.execute(
            "SELECT application_name, max(query_start) FROM pg_stat_activity"
            " WHERE application_name LIKE 'node-1%' GROUP BY 1 ORDER BY 1"
        )
        found = await cursor.fetchall()
    assert len(found) == 3
    return found


async def test_a_client_that_leaves_leaves_nothing_behind(start_node: StartNode) -> None:
    node = await start_node("node-1")

    async def follow() -> None:
        async with _client(node, None) as client:
            await client.read(1)

    following = asyncio.create_task(follow())
    await _until_waiting(node)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following

    assert node.bus.subscribed_buyers() == []


async def test_hundreds_of_streams_end_at_once_when_the_node_drains(
    start_node: StartNode,
) -> None:
    node = await start_node("node-1")
    clients = [stream(node.db, node.bus, f"byr_{n}", None) for n in range(500)]
    endings = [asyncio.create_task(Client(chunks).to_end()) for chunks in clients]
    await _until_waiting(node, 500)
    started = asyncio.get_running_loop().time()
    node.bus.close()
    await asyncio.gather(*endings)

    assert asyncio.get_running_loop().time() - started < 1
    assert node.bus.subscribed_buyers() == []


async def test_an_error_that_time_does_not_mend_ends_the_stream_loudly(
    start_node: StartNode, dsn: str
) -> None:
    node = await start_node("node-1")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("ALTER TABLE event_sequences RENAME TO gone")
    async with _client(node, None) as client:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await client.opened()
    assert node.bus.subscribed_buyers() == []


async def test_it_outlives_a_crash_of_the_database(tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path, settings={"fsync": "off"}) as server:
        migrate(server.dsn())
        async with running_node(server.dsn(), "node-1") as node, _client(node, None) as client:
            await client.opened()
            await asyncio.to_thread(server.restart, immediate=True)
            await node.post(_event("task.queued"))
            assert await client.read(1) == [(1, "task.queued")]


async def test_it_waits_while_the_database_is_away(postgres: Postgres, dsn: str) -> None:
    name = sql.Identifier(str(conninfo.conninfo_to_dict(dsn)["dbname"]))
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    away = sql.SQL(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}"
    )
    async with running_node(dsn, "node-1", acquire_timeout_s=0.1) as node:
        await node.post(_event("task.queued"))
        async with aclosing(stream(node.db, node.bus, "byr_a", 0)) as chunks:
            client = Client(chunks)
            postgres.run(allow.format(name, sql.SQL("false")))
            postgres.run(away.format(sql.Literal(conninfo.conninfo_to_dict(dsn)["dbname"])))
            await anext(chunks)
            assert [await anext(chunks) for _ in range(2)] == [b": heartbeat\n\n"] * 2
            postgres.run(allow.format(name, sql.SQL("true")))

            assert await client.read(1) == [(1, "task.queued")]


async def _until_waiting(node: Node, count: int = 1) -> None:
    """Until that many streams have read all there is, and wait."""
    async with asyncio.timeout(_LONG_S):
        while True:
            subscriptions = [s for group in node.bus._subscriptions.values() for s in group]
            if sum(s._waiter is not None for s in subscriptions) == count:
                return
            await asyncio.sleep(0.002)
