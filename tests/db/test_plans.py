"""What is done for every task finds its rows by an index, however many others there are.

Nothing is sorted by the plans of requests (`db.pool`), so rows that are asked for in an order which
no index gives are found by walking the whole table in that order: an unnoticed cost that grows with
the table. Here the statements of the main job are explained as they were prepared.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from openclaw_jobs.db.pool import Database
from openclaw_jobs.market.judge_checks import judge_checks
from openclaw_jobs.market.queue_checks import queue_checks
from tests.market.steps import claim, complete, fail, lapse_leases, post, recover
from tests.quality.check_steps import OTHER, RIGHT, quality, settle
from tests.running import Node, running_node


class Walk(NamedTuple):
    """A table or an index that a statement reads without looking anything up in it."""

    relation: str
    by: str | None
    statement: str


SMALL = {"nodes", "check_allotments", "leases"}
"""A row for each process, or for each task in hand."""

PARTIAL = {
    "tasks_queue",
    "tasks_queue_category",
    "tasks_hidden",
    "checks_due",
    "checks_ready",
    "credits_waiting",
    "golds_live",
}
"""These hold only what waits, in the order in which it is taken, and what operators keep live."""

ROUNDS = 3


@pytest.fixture
async def node(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """A node that prepares what it sends twice."""
    arguments = Database._connect_arguments
    monkeypatch.setattr(
        Database, "_connect_arguments", lambda db: arguments(db) | {"prepare_threshold": 1}
    )
    async with running_node(dsn, background=False) as running:
        yield running


async def test_no_statement_of_the_main_job_walks_a_table(node: Node) -> None:
    buyer = await node.buyer()
    first, second, third = [await node.worker() for _ in range(3)]
    for round_ in range(ROUNDS):
        await quality(node, spot_check_rate=1)
        for _ in range(2):
            task = await post(buyer)
            await complete(first, await claim(first), RIGHT)
            await buyer.ok("GET", f"/api/task/{task['id']}")
        await quality(node)
        await queue_checks(node.market)
        for answer in (RIGHT, OTHER):
            await complete(second, await claim(second), answer)
        await judge_checks(node.market)
        await settle(node)
        await complete(third, await claim(third), RIGHT)
        await settle(node)
        await post(buyer, f"failed {round_}")
        await fail(third, await claim(third))
        await claim(first)
        await lapse_leases(node)
        await recover(node)
        await node.prove()
    found = {walk async for walk in _walks(node.market.db)}
    bad = [
        walk
        for walk in found
        if walk.relation not in SMALL and walk.by not in PARTIAL and _is_of_requests(walk.statement)
    ]
    assert bad == []
    assert len(found) > 1, "nothing was explained"


async def test_a_walk_is_seen(node: Node) -> None:
    for _ in range(4 * ROUNDS):
        async with node.market.db.transaction() as conn:
            await conn.execute("SELECT id FROM workers WHERE name = %s", ("x",))
            await conn.execute("SELECT id FROM workers WHERE id = %s", ("x",))
    walks = {w async for w in _walks(node.market.db) if w.statement.startswith("SELECT id FROM w")}
    assert {(w.relation, w.statement[-9:]) for w in walks} == {("workers", "name = $1")}


def _is_of_requests(statement: str) -> bool:
    """Whether it is not of the proof, which reads everything on purpose, nor of these tests."""
    proof = ("per_transfer", "wrong_escrow", "WITH rail AS", "WITH hidden AS", "account = 'payout'")
    return not any(mark in statement for mark in proof) and not statement.startswith(
        ("UPDATE leases SET expires_at = now() - interval",)
    )


async def _walks(db: Database) -> AsyncIterator[Walk]:
    for conn in list(db._pool._pool):
        cursor = await conn.execute(
            "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements",
            prepare=False,
        )
        for name, statement, count in await cursor.fetchall():
            text = re.sub(r"\s+", " ", statement).strip()
            if not text.startswith(("SELECT", "WITH", "UPDATE", "INSERT", "DELETE")):
                continue
            for node in _nodes(await _plan(conn, name, count)):
                relation, index = node.get("Relation Name"), node.get("Index Name")
                kind = node["Node Type"]
                if kind == "Bitmap Heap Scan" or "Scan" not in kind:
                    continue
                if (relation or index) and "Index Cond" not in node and kind != "Tid Scan":
                    yield Walk(relation or "", index, text)


async def _plan(conn: psycopg.AsyncConnection[Any], name: str, parameters: int) -> dict[str, Any]:
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    query = f'EXPLAIN (FORMAT JSON) EXECUTE "{name}"{values}'
    cursor = await conn.execute(query.encode(), prepare=False)
    row = await cursor.fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
