"""What only shows when two things happen in the same moment."""

import asyncio

import psycopg

from tests.market.steps import (
    balance,
    claim,
    complete,
    completion,
    lapse_leases,
    post,
    recover,
    refused,
    sql,
)
from tests.running import Node


async def test_credits_asked_at_once_are_counted_one_by_one(node: Node) -> None:
    """A buyer cannot get more back unasked by asking for all of it in the same moment."""
    await node.configure("quality", auto_credit_min_tasks=1, auto_credit_rate=0.2)
    buyer, worker = await node.buyer(), await node.worker()
    tasks = []
    for _ in range(10):
        tasks.append((await post(buyer))["id"])
        await complete(worker, await claim(worker))
    answers = await asyncio.gather(*(buyer.post(f"/api/task/{t}/credit", {}) for t in tasks))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [202] * 8
    await node.prove()


async def test_a_submission_that_waited_for_its_task_does_not_take_the_next_workers(
    node: Node, dsn: str
) -> None:
    """While it waits for the task's row, the lease is lost and the task claimed by another."""
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    paid = (await post(buyer))["price_cents"]
    lost = await claim(first)
    async with await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", (lost["task_id"],))
        submitting = asyncio.create_task(first.post("/api/work/submit", completion(lost)))
        await _waits(dsn)
        # What a release and then a claim write.
        await other.execute(
            "WITH gone AS (DELETE FROM leases RETURNING *)"
            " INSERT INTO attempts (task_id, attempt, worker_id, outcome, token_hash, claimed_at)"
            " SELECT task_id, attempt, worker_id, 'released', token_hash, claimed_at FROM gone"
        )
        await other.execute("UPDATE tasks SET attempts = 2, worker_id = %s", (second.id,))
        await other.execute(
            "INSERT INTO leases (task_id, worker_id, attempt, token_hash, rate_bp, earning_cents,"
            " expires_at) VALUES (%s, %s, 2, sha256('lease_other'), 1500, 1,"
            " now() + interval '1 hour')",
            (lost["task_id"], second.id),
        )
    refused(await submitting, 409, "lease_lost")
    held = {"task_id": lost["task_id"], "lease_token": "lease_other"}
    body = {**held, "status": "completed", "result": "done"}
    receipt = await second.ok("POST", "/api/work/submit", body)
    assert "duplicate" not in receipt
    assert (await first.ok("GET", "/api/worker/me"))["balance"]["frozen_cents"] == 0
    assert await balance(buyer) == 10_000 - paid
    await node.prove()


async def test_recovery_leaves_a_lease_that_a_heartbeat_is_extending(node: Node, dsn: str) -> None:
    """The heartbeat came in time, and only its commit comes after the end of the lease."""
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    held = await claim(worker)
    async with await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute("UPDATE leases SET expires_at = now() - interval '1 second'")
        await other.commit()
        await other.execute("UPDATE leases SET expires_at = now() + interval '1 hour'")
        recovering = asyncio.create_task(node.operator().ok("POST", "/api/cron/timeout-recovery"))
        recovered = await asyncio.wait_for(recovering, 5)
    assert recovered["requeued"] == 0
    await complete(worker, held)
    await node.prove()


async def _waits(dsn: str) -> None:
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn,
        asyncio.timeout(10),
    ):
        while True:
            cursor = await conn.execute(
                "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE NOT l.granted AND a.datname = current_database()"
            )
            if cursor.rowcount:
                return
            await asyncio.sleep(0.005)


async def test_recovery_holds_no_statistics_while_it_waits_for_a_balance(node: Node) -> None:
    """Who gives a task up holds its buyer's balance, then wants the worker's statistics."""
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await claim(worker)
    await lapse_leases(node)
    await post(buyer)
    await sql(node, "UPDATE tasks SET expires_at = now() WHERE status = 'queued'")
    async with node.market.db.transaction() as conn:
        await conn.execute("SELECT FROM balances WHERE owner = %s FOR UPDATE", (buyer.id,))
        recovery = asyncio.create_task(recover(node))
        done, _ = await asyncio.wait([recovery], timeout=0.5)
        assert not done, "it waits for the balance"
        await conn.execute(
            "SELECT FROM worker_stats WHERE worker_id = %s FOR UPDATE NOWAIT", (worker.id,)
        )
    recovered = await recovery
    assert (recovered["requeued"], recovered["expired"]) == (1, 1)
    await node.prove()
