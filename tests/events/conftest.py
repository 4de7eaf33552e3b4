"""Nodes of the marketplace on one database, as far as events go: a pool, a bus, a notifier."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from openclaw_jobs.db import Database
from openclaw_jobs.events import Bus, NewEvent, Notifier, Wake, append
from openclaw_jobs.kit.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Node:
    """One process's share."""

    db: Database
    bus: Bus
    notifier: Notifier

    async def post(self, *events: NewEvent, tell: bool = True) -> None:
        """Commit `events` here and, unless `tell` is false, publish them."""
        async with self.db.transaction() as conn:
            buyers = await append(conn, events, SystemClock().now())
        if tell:
            self.bus.publish(Wake(buyers=buyers))


StartNode: TypeAlias = Callable[..., Awaitable[Node]]


@asynccontextmanager
async def running_node(
    dsn: str, name: str, *, acquire_timeout_s: float = 5.0, **options: float
) -> AsyncIterator[Node]:
    """A node on the database `dsn`, with `options` for its notifier."""
    async with await Database.open(
        dsn, min_size=1, max_size=8, application_name=name, acquire_timeout_s=acquire_timeout_s
    ) as db:
        bus = Bus()
        rng = random.Random(name)  # noqa: S311 - jitter
        notifier = Notifier(db, bus, node_id=name, rng=rng, **options)
        await notifier.start()
        try:
            yield Node(db, bus, notifier)
        finally:
            await notifier.stop()


@pytest.fixture
async def start_node(dsn: str) -> AsyncIterator[StartNode]:
    """Start nodes on the test's database; all are stopped after the test."""
    async with AsyncExitStack() as stack:

        async def start(name: str, **options: float) -> Node:
            return await stack.enter_async_context(running_node(dsn, name, **options))

        yield start
