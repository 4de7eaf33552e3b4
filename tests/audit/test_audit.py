"""The audit log: an entry stands if and only if the act does, and nobody rewrites it."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from openclaw_jobs import audit
from openclaw_jobs.db import Database
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.ids import is_id


async def test_an_entry_says_who_did_what_to_whom_and_when(db: Database) -> None:
    detail = {"reason": "too slow", "changes": [{"field": "a.b", "old": None, "new": 0.5}]}
    async with db.transaction() as conn:
        entry_id = await audit.record(conn, "admin-token", "worker.suspend", "wrk_1", detail)
    async with db.read() as conn:
        page = await audit.list_entries(conn, 10)
    (entry,) = page.entries
    assert is_id("aud", entry_id)
    assert (entry.id, entry.actor, entry.action) == (entry_id, "admin-token", "worker.suspend")
    assert (entry.subject, entry.detail) == ("wrk_1", detail)
    assert abs(datetime.now(UTC) - entry.created_at) < timedelta(minutes=1)
    assert page.next_cursor is None


async def test_an_act_that_is_rolled_back_leaves_no_entry(db: Database) -> None:
    async def act() -> None:
        async with db.transaction() as conn:
            await audit.record(conn, "ann", "config.put", "signup", {})
            raise LookupError

    with pytest.raises(LookupError):
        await act()
    async with db.read() as conn:
        assert (await audit.list_entries(conn, 10)).entries == []


@pytest.mark.parametrize(("total", "limit"), [(0, 3), (3, 3), (4, 3), (6, 3), (7, 3), (3, 1)])
async def test_pages_are_newest_first_and_miss_nothing(
    db: Database, total: int, limit: int
) -> None:
    written = []
    for number in range(total):
        async with db.transaction() as conn:
            written.append(await audit.record(conn, "ann", "config.put", "signup", {"n": number}))
    read: list[str] = []
    cursor: str | None = None
    for page_number in range(total + 1):
        async with db.read() as conn:
            page = await audit.list_entries(conn, limit, cursor)
        assert len(page.entries) <= limit
        read += [entry.id for entry in page.entries]
        cursor = page.next_cursor
        if cursor is None:
            assert page_number == max(0, (total - 1) // limit)
            break
    assert cursor is None
    assert read == sorted(written, reverse=True)


async def test_an_entry_written_meanwhile_does_not_shift_the_pages(db: Database) -> None:
    async with db.transaction() as conn:
        for number in range(4):
            await audit.record(conn, "ann", "config.put", "signup", {"n": number})
    async with db.read() as conn:
        first = await audit.list_entries(conn, 2)
        await audit.record(conn, "bob", "config.put", "tiers", {})
        second = await audit.list_entries(conn, 2, first.next_cursor)
    seen = [entry.id for entry in first.entries + second.entries]
    assert len(set(seen)) == 4
    assert {entry.actor for entry in second.entries} == {"ann"}


@pytest.mark.parametrize(
    "cursor", ["", "7", "aud_x", "' OR 1=1 --", "\x00", "task_01m86b1c1ee0zv0bvph0ystnsr"]
)
async def test_a_cursor_that_was_never_given_out_is_refused(db: Database, cursor: str) -> None:
    async with db.read() as conn:
        with pytest.raises(Problem) as refused:
            await audit.list_entries(conn, 10, cursor)
    assert refused.value.code == "validation_failed"


@pytest.mark.parametrize(("actor", "action"), [("", "config.put"), ("ann", "")])
async def test_nobody_doing_nothing_is_no_entry(db: Database, actor: str, action: str) -> None:
    async with db.read() as conn:
        with pytest.raises(psycopg.errors.CheckViolation):
            await audit.record(conn, actor, action, "signup", {})
