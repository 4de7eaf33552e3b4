import asyncio
import json
import random
from datetime import timedelta

import psycopg
import pytest

from openclaw_jobs.db import Database
from openclaw_jobs.events import Event, NewEvent, append, last_seq, purge, read_after
from openclaw_jobs.kit.clock import ManualClock

_BUYERS = [f"byr_{n}" for n in range(5)]


def _progress(buyer_id: str, text: str, task_id: str = "task_1") -> NewEvent:
    return NewEvent(buyer_id, "task.progress", task_id, {"progress": text})


async def _write(db: Database, clock: ManualClock, *events: NewEvent) -> None:
    async with db.transaction() as conn:
        await append(conn, events, clock.now())


async def _all(db: Database, buyer_id: str) -> list[Event]:
    async with db.read() as conn:
        return await read_after(conn, buyer_id, 0, 100_000)


async def test_events_are_numbered_in_the_order_given_a_buyer(
    db: Database, manual_clock: ManualClock
) -> None:
    async with db.transaction() as conn:
        buyers = await append(
            conn,
            [
                NewEvent("byr_b", "task.queued", "task_1", {"status": "queued", "price_cents": 9}),
                NewEvent("byr_a", "balance", None, {"balance_cents": 5}),
                NewEvent("byr_b", "balance", None, {"balance_cents": 91}),
            ],
            manual_clock.now(),
        )
    await _write(db, manual_clock, _progress("byr_b", "half"))

    assert buyers == {"byr_a", "byr_b"}
    events = await _all(db, "byr_b")
    assert [(e.seq, e.type, e.task_id) for e in events] == [
        (1, "task.queued", "task_1"),
        (2, "balance", None),
        (3, "task.progress", "task_1"),
    ]
    assert json.loads(events[0].data) == {
        "task_id": "task_1",
        "status": "queued",
        "price_cents": 9,
        "at": "2026-01-15T12:00:00.000Z",
    }
    assert [e.seq for e in await _all(db, "byr_a")] == [1]


@pytest.mark.parametrize(
    "text",
    ["\x00", "\x1f", 'quote " and \\ slash', "line\r\nend", "{NULL,}", "\u2028 é 😀", "-", "NULL"],
)
async def test_any_text_comes_back_as_it_was(
    db: Database, manual_clock: ManualClock, text: str
) -> None:
    await _write(db, manual_clock, _progress("byr_a", text), _progress("byr_a", "next"))

    events = await _all(db, "byr_a")

    assert [json.loads(e.data)["progress"] for e in events] == [text, "next"]


async def test_no_events_are_no_statement(db: Database, manual_clock: ManualClock) -> None:
    async with db.transaction() as conn:
        assert await append(conn, [], manual_clock.now()) == frozenset()


async def test_a_name_with_the_separator_is_refused_before_the_database(
    db: Database, manual_clock: ManualClock
) -> None:
    with pytest.raises(ValueError, match="separator"):
        await _write(db, manual_clock, _progress("byr_a\x1fbyr_b", "x"))


async def test_a_rollback_leaves_no_gap(db: Database, manual_clock: ManualClock) -> None:
    await _write(db, manual_clock, _progress("byr_a", "first"))

    async def write_and_fail() -> None:
        async with db.transaction() as conn:
            await append(conn, [_progress("byr_a", "undone")], manual_clock.now())
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError, match="undo"):
        await write_and_fail()
    await _write(db, manual_clock, _progress("byr_a", "second"))

    events = await _all(db, "byr_a")

    assert [(e.seq, json.loads(e.data)["progress"]) for e in events] == [
        (1, "first"),
        (2, "second"),
    ]


async def test_a_task_s_events_are_told_from_the_buyer_s_others(
    db: Database, manual_clock: ManualClock
) -> None:
    await _write(
        db,
        manual_clock,
        *(_progress("byr_a", str(n), f"task_{n % 3}") for n in range(9)),
        _progress("byr_b", "foreign", "task_1"),
    )

    async with db.read() as conn:
        events = await read_after(conn, "byr_a", 2, 10, "task_1")
        page = await read_after(conn, "byr_a", 0, 2, "task_1")
        assert await last_seq(conn, "byr_a") == 9
        assert await last_seq(conn, "byr_none") == 0

    assert [e.seq for e in events] == [5, 8]
    assert [e.seq for e in page] == [2, 5]


async def test_twenty_writers_leave_gapless_sequences_in_the_order_of_commits(
    dsn: str, manual_clock: ManualClock
) -> None:
    # Each writer notes, in the transaction and under the sequence's lock, which batch it wrote;
    # a reader beside them must never see a number whose predecessors it cannot see.
    writers, rounds = 20, 15
    rng = random.Random(7)  # noqa: S311 - a seed to repeat the test by, no secret
    plans = [
        [rng.choices(_BUYERS, k=rng.randint(1, 12)) for _ in range(rounds)] for _ in range(writers)
    ]
    done = asyncio.Event()

    async with await Database.open(dsn, min_size=1, max_size=writers + 1) as db:

        async def write(writer: int) -> None:
            for turn, buyers in enumerate(plans[writer]):
                events = [_progress(b, f"{writer}:{turn}:{n}") for n, b in enumerate(buyers)]
                async with db.transaction() as conn:
                    await append(conn, events, manual_clock.now())
                    # Left open across a turn of the loop, so that commits interleave.
                    await asyncio.sleep(0)

        async def watch() -> int:
            seen = dict.fromkeys(_BUYERS, 0)
            reads = 0
            while not done.is_set():
                for buyer in _BUYERS:
                    async with db.read() as conn:
                        events = await read_after(conn, buyer, seen[buyer], 1000)
                    numbers = [e.seq for e in events]
                    first = seen[buyer] + 1
                    assert numbers == list(range(first, first + len(numbers)))
                    seen[buyer] += len(numbers)
                    reads += bool(numbers)
            return reads

        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(write(n) for n in range(writers)))
        done.set()
        assert await watcher > 1

        total = 0
        for buyer in _BUYERS:
            events = await _all(db, buyer)
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            notes = [tuple(map(int, json.loads(e.data)["progress"].split(":"))) for e in events]
            # One transaction's events stand together, and each writer's turns follow each other.
            batches = [note[:2] for note in notes]
            starts = [b for n, b in enumerate(batches) if n == 0 or batches[n - 1] != b]
            assert len(starts) == len(set(starts))
            for writer in range(writers):
                mine = [note[1:] for note in notes if note[0] == writer]
                assert mine == sorted(mine)
            total += len(events)
        assert total == sum(len(buyers) for plan in plans for buyers in plan)


async def test_a_number_is_not_seen_before_its_predecessors(
    db: Database, manual_clock: ManualClock
) -> None:
    # The second writer has to wait for the first, whatever it does before its own commit.
    async with db.transaction() as first:
        await append(first, [_progress("byr_a", "first")], manual_clock.now())
        second = asyncio.create_task(_write(db, manual_clock, _progress("byr_a", "second")))
        async with db.read() as conn:
            await _until_someone_waits_for_a_lock(conn)
        assert not second.done()
        assert await _all(db, "byr_a") == []
    await second

    assert [json.loads(e.data)["progress"] for e in await _all(db, "byr_a")] == ["first", "second"]


async def _until_someone_waits_for_a_lock(
    conn: psycopg.AsyncConnection[tuple[object, ...]],
) -> None:
    async with asyncio.timeout(10):
        while True:
            cursor = await conn.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
            if await cursor.fetchone():
                return
            await asyncio.sleep(0.005)


async def test_a_purge_takes_the_old_in_bounded_steps_and_the_numbers_go_on(
    db: Database, manual_clock: ManualClock
) -> None:
    await _write(db, manual_clock, *(_progress("byr_a", str(n)) for n in range(7)))
    manual_clock.advance(timedelta(days=30))
    await _write(db, manual_clock, _progress("byr_a", "young"))
    before = manual_clock.now() - timedelta(days=7)

    removed = []
    for _ in range(3):
        async with db.transaction() as conn:
            removed.append(await purge(conn, before, 5))

    assert removed == [5, 2, 0]
    assert [e.seq for e in await _all(db, "byr_a")] == [8]
    await _write(db, manual_clock, _progress("byr_a", "next"))
    assert [e.seq for e in await _all(db, "byr_a")] == [8, 9]
