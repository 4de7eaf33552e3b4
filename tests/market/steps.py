"""The steps that the tests of the marketplace are made of."""

import asyncio
from collections.abc import Callable
from typing import LiteralString

import httpx

from openclaw_jobs import ledger
from openclaw_jobs.buyers import TotalsChange, update_totals
from openclaw_jobs.kit.ids import new_id
from tests.running import Json, Node, Party


async def post(buyer: Party, prompt: str = "hello", **fields: Json) -> Json:
    """Post a task."""
    return await buyer.ok("POST", "/api/task", {"prompt": prompt, **fields}, 201)


async def claim(worker: Party) -> Json:
    """Claim one task that must be there."""
    return await worker.ok("GET", "/api/work/next")


async def claim_many(worker: Party, most: int = 100) -> Json:
    """Claim up to `most` tasks."""
    return (await worker.ok("GET", f"/api/work/next?max={most}"))["tasks"]


def lease_of(claimed: Json) -> dict[str, str]:
    """What names a claim in later calls."""
    return {"task_id": claimed["task_id"], "lease_token": claimed["lease_token"]}


def completion(claimed: Json, result: str = "done") -> dict[str, str]:
    """The body that completes a claim."""
    return {**lease_of(claimed), "status": "completed", "result": result}


def failure(claimed: Json, error: str = "I cannot") -> dict[str, str]:
    """The body that gives a claim up."""
    return {**lease_of(claimed), "status": "failed", "error": error}


async def complete(worker: Party, claimed: Json, result: str = "done") -> Json:
    """Complete a claim; the receipt."""
    return await worker.ok("POST", "/api/work/submit", completion(claimed, result))


async def fail(worker: Party, claimed: Json) -> Json:
    """Give a claim up; the receipt."""
    return await worker.ok("POST", "/api/work/submit", failure(claimed))


async def balance(buyer: Party) -> int:
    """What the buyer has."""
    found: int = (await buyer.ok("GET", "/api/balance"))["balance_cents"]
    return found


async def deposit(node: Node, buyer: Party, cents: int) -> None:
    """Give a buyer paid credit, as a deposit does."""
    paid = ledger.deposit(new_id("dep"), buyer.id, cents, owed_cents=0)
    async with node.market.db.transaction() as conn:
        await ledger.post(conn, [paid] if paid else [])
        await update_totals(conn, [TotalsChange(buyer.id, deposited_cents=cents)])


async def status_of(buyer: Party, task_id: str) -> str:
    """A task's status."""
    found: str = (await buyer.ok("GET", f"/api/task/{task_id}"))["status"]
    return found


async def recover(node: Node) -> Json:
    """Run recovery now."""
    return await node.operator().ok("POST", "/api/cron/timeout-recovery")


async def lapse_leases(node: Node) -> None:
    """Let every lease that is held end."""
    await sql(node, "UPDATE leases SET expires_at = now() - interval '1 second'")


async def sql(node: Node, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
    """Do what only time or a fault could do."""
    async with node.market.db.transaction() as conn:
        cursor = await conn.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


async def until(holds: Callable[[], bool], *, within_s: float = 10) -> None:
    """Wait for what this process will soon have done."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


def refused(answer: httpx.Response, status: int, code: str) -> Json:
    """The problem that an answer must be."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    problem = answer.json()
    assert problem["code"] == code, problem
    return problem


def misfit(answer: httpx.Response, field: str) -> Json:
    """The problem of one field that does not fit."""
    problem = refused(answer, 422, "validation_failed")
    assert field in [error["field"] for error in problem["errors"]], problem
    return problem
