"""The unit of work: one transaction, its events, its wake-ups, and the answer to be repeated."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from openclaw_jobs import events
from openclaw_jobs.db import Connection, savepoint
from openclaw_jobs.events import EventType, NewEvent, Wake
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.market import store
from openclaw_jobs.market.context import Market

T = TypeVar("T")

_UNREAD_STREAMS: Final = 256
"""So many that hidden tasks seldom wait for each other's sequence, and few enough to be kept."""

_JUDGED_AFTER_S: Final = (0.2, 1.0)
"""After how long, at random, a check is looked at that has its results."""

_NEVER_STORED = frozenset({401, 413, 429})
_SERVER_ERROR = 500


def _nobody(task_id: str | None) -> str:
    return f"nobody_{zlib.crc32((task_id or '').encode()) % _UNREAD_STREAMS:02x}"


class Unit:
    """A transaction under way, and what is to be told once it has been committed.

    Attributes:
        conn: Its connection.
        now: When it began, by the process's clock.
        events: What buyers are told.
        queued: The categories in which a task can be claimed.
        reserved_cents: What it has taken of this process's budget of checks.
        paid_cents: What it settled of buyers' tasks.
        paid_claims: How many of buyers' tasks it handed out.
        due_soon: Whether a check of it has a hidden task to queue soon.
        checks_ready: Whether a check may have results to compare.
    """

    def __init__(self, conn: Connection, now: datetime) -> None:
        """Begin with nothing to tell."""
        self.conn = conn
        self.now = now
        self.events: list[NewEvent] = []
        self.queued: list[str] = []
        self.reserved_cents = 0
        self.paid_cents = 0
        self.paid_claims = 0
        self.due_soon = False
        self.checks_ready = False

    def tell(
        self,
        buyer_id: str | None,
        kind: EventType,
        task_id: str | None,
        **data: Any,  # noqa: ANN401 - JSON members of the event
    ) -> None:
        """Have an event written with this transaction.

        A hidden task has nobody to tell. Its event is written all the same, to a stream that nobody
        reads, so that whatever is done to it takes the time that it takes with a paid one.
        """
        stream = _nobody(task_id) if buyer_id is None else buyer_id
        self.events.append(NewEvent(stream, kind, task_id, data))

    def queue(self, category: str) -> None:
        """A task of this category can be claimed from the commit on."""
        self.queued.append(category)

    def forget(self) -> None:
        """What was done so far was undone, and is not to be told; a reserve stays taken."""
        self.events.clear()
        self.queued.clear()
        self.paid_cents = self.paid_claims = 0
        self.due_soon = False
        self.checks_ready = False


class Replay(msgspec.Struct, Generic[T], frozen=True):
    """How to answer a request that comes again.

    Attributes:
        key: Which request it is.
        answer: Renders what the effect returned.
        refusal: Renders the problem that it raised.
    """

    key: ReplayKey
    answer: Callable[[T], StoredAnswer]
    refusal: Callable[[Problem], StoredAnswer]


def begin(
    market: Market, *, pipelined: bool = False, name: str | None = None
) -> AbstractAsyncContextManager[Unit]:
    """Open a transaction; its events are written last, its wake-ups sent after the commit.

    `pipelined` is that of `Database.transaction`. A span is called `name`, or as the caller.
    """
    if not market.tracing.on:
        return _begin(market, pipelined=pipelined)
    name = name or sys._getframe(1).f_code.co_qualname  # noqa: SLF001 - there is no other way
    return _traced(market, pipelined, name.partition(".")[0])


@asynccontextmanager
async def _traced(market: Market, pipelined: bool, name: str) -> AsyncIterator[Unit]:  # noqa: FBT001
    with market.tracing.span(f"transaction {name}"):
        async with _begin(market, pipelined=pipelined) as unit:
            yield unit


@asynccontextmanager
async def _begin(market: Market, *, pipelined: bool) -> AsyncIterator[Unit]:
    unit: Unit | None = None
    committed = False
    try:
        async with market.db.transaction(pipelined=pipelined) as conn:
            unit = Unit(conn, market.clock.now())
            yield unit
            # Last, since it holds the buyers' sequences until the commit.
            await events.append(conn, unit.events, unit.now)
            failpoint("transaction.written")
        committed = True
    finally:
        if unit is not None and unit.reserved_cents:
            market.checks.ended(unit.reserved_cents, committed=committed)
    failpoint("transaction.committed")
    if unit.paid_cents or unit.paid_claims:
        market.checks.count(paid_cents=unit.paid_cents, paid_claims=unit.paid_claims)
    if unit.due_soon:
        market.checks_due.set()
    if unit.checks_ready:
        # Not at once: what comparing costs would fall on whatever a worker asks after handing in
        # a hidden task, and tell it by the time that takes.
        wait = market.rng.uniform(*_JUDGED_AFTER_S)
        asyncio.get_running_loop().call_later(wait, market.checks_ready.set)
    if unit.events or unit.queued:
        market.bus.publish(
            Wake(
                buyers=frozenset(event.buyer_id for event in unit.events),
                tasks=frozenset(event.task_id for event in unit.events if event.task_id),
                queue=frozenset(unit.queued),
            )
        )


async def run(
    market: Market,
    effect: Callable[[Unit], Awaitable[T]],
    replay: Replay[T] | None,
    *,
    pipelined: bool = False,
) -> T:
    """Run an effect in a transaction of its own, once for each idempotency key.

    The answer is stored in the transaction of the effect, so both are there or neither; a
    refusal is stored as well, with the effect rolled back. `pipelined` is that of
    `Database.transaction`.

    Raises:
        Replayed: The request was answered before.
        Problem: `idempotency_conflict`, `idempotency_in_progress`, or what the effect raised.
    """
    if replay is None:
        async with begin(market, pipelined=pipelined, name=_name_of(effect)) as unit:
            return await effect(unit)
    refused: Problem | None = None
    value: T | None = None
    async with begin(market, pipelined=pipelined, name=_name_of(effect)) as unit:
        await first_time(unit.conn, replay.key)
        try:
            async with savepoint(unit.conn):
                value = await effect(unit)
        except Problem as problem:
            if not is_remembered(problem):
                raise
            refused = problem
            unit.forget()
            await _store(unit.conn, replay.key, replay.refusal(problem))
        else:
            await _store(unit.conn, replay.key, replay.answer(value))
    if refused is not None:
        raise refused
    return cast("T", value)


def _name_of(effect: object) -> str:
    """What the use case is called whose effect this is."""
    return getattr(effect, "__qualname__", "effect")


def is_remembered(problem: Problem) -> bool:
    """Whether a refusal is the answer to a repeated request as well."""
    return problem.status not in _NEVER_STORED and problem.status < _SERVER_ERROR


async def refuse_once(market: Market, replay: Replay[None], problem: Problem) -> None:
    """Store the refusal of a request that no effect was tried for, and raise it.

    Raises:
        Replayed: The request was answered before.
        Problem: `problem`, `idempotency_conflict` or `idempotency_in_progress`.
    """

    async def effect(_: Unit) -> None:
        raise problem

    await run(market, effect, replay)


async def first_time(conn: Connection, key: ReplayKey) -> None:
    """See that a request was not answered before, and hold its key until the transaction ends.

    Raises:
        Replayed: The request was answered before.
        Problem: `idempotency_conflict` or `idempotency_in_progress`.
    """
    mine, stored = await store.lock_replay(conn, key)
    check_first_time(key, mine=mine, stored=stored)


def check_first_time(
    key: ReplayKey, *, mine: bool, stored: tuple[bytes, StoredAnswer] | None
) -> None:
    """Judge what `store.lock_replay` found.

    Raises:
        Replayed: The request was answered before.
        Problem: `idempotency_conflict` or `idempotency_in_progress`.
    """
    if not mine:
        raise Problem(
            "idempotency_in_progress",
            "A request with this Idempotency-Key is still running; ask again in a moment.",
            headers={"Retry-After": "1"},
        )
    if stored is None:
        return
    body_hash, answer = stored
    if key.refuse or body_hash != key.body_hash:
        raise Problem(
            "idempotency_conflict",
            "This Idempotency-Key was used before"
            + (", and its answer held a secret." if key.refuse else " with another body."),
        )
    raise Replayed(answer)


async def _store(conn: Connection, key: ReplayKey, answer: StoredAnswer) -> None:
    if key.refuse:
        answer = StoredAnswer(status=answer.status, headers={}, content="")
    await store.insert_replay(conn, key, answer)
