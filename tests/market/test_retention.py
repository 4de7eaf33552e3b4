"""Texts go when their time is over, with all that was made of them; the books stay."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from openclaw_jobs.kit.clock import ManualClock
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.erase_old_texts import Erased, erase_old_texts
from openclaw_jobs.tasks import store as tasks_store
from tests.running import Node, Party

SECRET = "the-secret-words"


@pytest.fixture
def sql(dsn: str) -> Any:  # noqa: ANN401 - a connection
    with psycopg.connect(dsn, autocommit=True) as conn:
        yield conn


def everything(sql: psycopg.Connection) -> dict[str, int]:
    """In how many rows of each table the secret words stand, wherever that is."""
    tables = sql.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    found = {}
    for (table,) in tables:
        row = sql.execute(
            f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE %s",  # noqa: S608
            (f"%{SECRET}%",),
        ).fetchone()
        if row and row[0]:
            found[table] = row[0]
    return found


async def done(buyer: Party, worker: Party, **rest: Any) -> str:  # noqa: ANN401
    """A task of a buyer, done by a worker; all texts hold the secret words."""
    body = {"prompt": f"{SECRET} asked", "metadata": {"note": SECRET}, **rest}
    posted = await buyer.ok("POST", "/api/task", body, 201)
    task = await worker.ok("GET", "/api/work/next")
    await worker.ok(
        "POST",
        "/api/work/submit",
        {
            "task_id": task["task_id"],
            "lease_token": task["lease_token"],
            "status": "completed",
            "result": f"{SECRET} answered",
            "usage": {"model": SECRET},
        },
    )
    assert task["task_id"] == posted["id"]
    return str(posted["id"])


async def erase(node: Node, *, after_days: float) -> Erased:
    """What the job does when so many days have gone by."""
    clock = ManualClock(datetime.now(UTC) + timedelta(days=after_days))
    return await erase_old_texts(dataclasses.replace(node.market, clock=clock))


def done_later(sql: psycopg.Connection, task_id: str, days: float) -> None:
    """Let a task have been done so many days after it was made."""
    sql.execute(
        "UPDATE tasks SET completed_at = completed_at + make_interval(secs => %s) WHERE id = %s",
        (days * 86_400, task_id),
    )


@pytest.fixture
async def ready(node: Node) -> tuple[Party, Party]:
    await node.configure("quality", enabled=False, credit_window_hours=24)
    await node.configure("retention", task_text_days=30)
    return await node.buyer(), await node.worker()


async def test_what_is_old_enough_loses_its_texts_and_keeps_its_books(
    node: Node, ready: tuple[Party, Party], sql: psycopg.Connection
) -> None:
    buyer, worker = ready
    old, young = await done(buyer, worker), await done(buyer, worker)
    done_later(sql, young, 2)
    balance = await buyer.ok("GET", "/api/balance")
    books = sql.execute("SELECT count(*), sum(amount_cents) FROM postings").fetchall()

    assert await erase(node, after_days=29.9) == Erased(0, 0)
    assert await erase(node, after_days=30.1) == Erased(0, 1)
    assert await erase(node, after_days=30.1) == Erased(0, 0)

    task = await buyer.ok("GET", f"/api/task/{old}")
    assert task["erased"] is True
    assert (task["status"], task["result"]) == ("completed", None)
    assert not {"prompt", "messages", "metadata"} & set(task)
    kept = await buyer.ok("GET", f"/api/task/{young}")
    assert kept["prompt"] == f"{SECRET} asked"
    assert "erased" not in kept
    listed = await buyer.ok("GET", "/api/tasks")
    assert {each["id"]: each.get("erased", False) for each in listed["tasks"]} == {
        old: True,
        young: False,
    }
    assert await buyer.ok("GET", "/api/balance") == balance
    assert sql.execute("SELECT count(*), sum(amount_cents) FROM postings").fetchall() == books
    rated = await buyer.ok("POST", f"/api/task/{old}/rating", {"rating": "up"})
    assert rated["rating"] == "up"
    await node.prove()


async def test_nothing_of_it_is_left_anywhere(
    node: Node, ready: tuple[Party, Party], sql: psycopg.Connection
) -> None:
    """Every table is searched, so that one that is added later is not forgotten."""
    buyer, worker = ready
    origin, copy = await done(buyer, worker), await done(buyer, worker)
    done_later(sql, copy, 20)
    check = new_id("chk")
    gold = new_id("gold")
    sql.execute("UPDATE attempts SET error = %s", (SECRET,))
    sql.execute(
        "INSERT INTO credits (task_id, buyer_id, worker_id, amount_cents, reason, status,"
        " decided_at, decided_by) VALUES (%s, %s, %s, 1, %s, 'rejected', now(), 'test')",
        (origin, buyer.id, worker.id, SECRET),
    )
    sql.execute(
        "INSERT INTO checks (id, kind, stage, category, price_cents, original_task_id,"
        " copy_task_id, due_at, reserved_cents, decided_at, evidence)"
        " VALUES (%s, 'shadow', 'decided', 'general', 1, %s, %s, now(), 0, now(), %s)",
        (check, origin, copy, f'{{"said": "{SECRET}"}}'),
    )
    sql.execute(
        "INSERT INTO golds (id, category, prompt, answers, buyer_id, origin_task_id, created_by)"
        " VALUES (%s, 'general', %s, ARRAY[%s], %s, %s, 'checks')",
        (gold, SECRET, SECRET, buyer.id, origin),
    )
    found = everything(sql)
    assert {"task_inputs", "task_results", "attempts", "credits", "checks", "golds"} <= set(found)

    # While a gold task of it is out, it waits.
    going = new_id("chk")
    sql.execute(
        "INSERT INTO checks (id, kind, stage, category, price_cents, gold_id, due_at,"
        " reserved_cents) VALUES (%s, 'gold', 'copying', 'general', 1, %s, now(), 0)",
        (going, gold),
    )
    assert await erase(node, after_days=30.5) == Erased(0, 0)
    sql.execute("UPDATE checks SET stage = 'void', decided_at = now() WHERE id = %s", (going,))

    assert await erase(node, after_days=30.5) == Erased(0, 1)
    # Streams and repeated answers have short lives of their own.
    assert set(everything(sql)) <= {"events", "idempotency_records"}
    retired = sql.execute("SELECT retired_at IS NOT NULL FROM golds").fetchall()
    assert retired == [(True,)]


async def test_what_is_not_over_keeps_its_texts(
    node: Node, ready: tuple[Party, Party], sql: psycopg.Connection
) -> None:
    buyer, worker = ready
    disputed = await done(buyer, worker)
    sql.execute("UPDATE tasks SET status = 'credit_review' WHERE id = %s", (disputed,))
    await buyer.ok("POST", "/api/task", {"prompt": SECRET}, 201)
    assert await erase(node, after_days=30.5) == Erased(0, 0)
    sql.execute("UPDATE tasks SET status = 'completed' WHERE id = %s", (disputed,))
    # Its price can still be asked back.
    await node.configure("quality", credit_window_hours=24 * 31)
    assert await erase(node, after_days=30.5) == Erased(0, 0)
    await node.configure("quality", credit_window_hours=24)
    await node.configure("retention", task_text_days=None)
    assert await erase(node, after_days=30.5) == Erased(0, 0)
    await node.configure("retention", task_text_days=30)
    assert await erase(node, after_days=30.5) == Erased(0, 1)


async def test_a_conversation_goes_as_a_whole_with_its_last_message(
    node: Node, ready: tuple[Party, Party], sql: psycopg.Connection
) -> None:
    buyer, worker = ready
    task = await done(buyer, worker)
    conversation, turn = new_id("cnv"), new_id("turn")
    sql.execute(
        "INSERT INTO conversations (id, buyer_id, title, category) VALUES (%s, %s, %s, 'general')",
        (conversation, buyer.id, SECRET),
    )
    sql.execute(
        "INSERT INTO turns (id, conversation_id, seq, prompt, words)"
        " VALUES (%s, %s, 1, %s, to_tsvector('simple', %s))",
        (turn, conversation, SECRET, SECRET),
    )
    sql.execute(
        "INSERT INTO turn_tasks (turn_id, task_id, seq, words)"
        " VALUES (%s, %s, 1, to_tsvector('simple', %s))",
        (turn, task, SECRET),
    )
    # Something was said less than 30 days ago, and the whole is what later answers build on.
    sql.execute("UPDATE conversations SET updated_at = now() + interval '1 day'")
    assert await erase(node, after_days=30.5) == Erased(0, 0)
    sql.execute("UPDATE conversations SET updated_at = now()")
    assert await erase(node, after_days=30.5) == Erased(1, 1)
    assert set(everything(sql)) <= {"events", "idempotency_records"}
    async with node.market.db.read() as conn:
        view = await tasks_store.select_view(conn, buyer.id, task)
    assert view is not None
    assert view.erased


async def test_many_go_in_batches(
    node: Node,
    ready: tuple[Party, Party],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openclaw_jobs.market.erase_old_texts._BATCH", 2)
    buyer, worker = ready
    for _ in range(5):
        await done(buyer, worker)
    assert await erase(node, after_days=31) == Erased(0, 5)
