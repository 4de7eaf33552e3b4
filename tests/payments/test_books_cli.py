"""`openclaw-jobs ledger statement` and `pnl`: the same books from the command line."""

import asyncio
import csv
import io
import json
import os
import sys

from tests.market.steps import claim, complete, deposit, post
from tests.running import Node


async def run(dsn: str, *words: str) -> tuple[int, str]:
    """Run a command of the group `ledger` as a program of its own; its exit code and answer."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openclaw_jobs.cli", "ledger", *words),
        env=os.environ | {"DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, errors = await program.communicate()
    assert program.returncode is not None
    assert bool(errors) == bool(program.returncode), errors.decode()
    return program.returncode, told.decode()


def rows(table: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table, newline="")))


async def test_the_books_are_printed(node: Node, dsn: str) -> None:
    buyer, worker = await node.buyer(100), await node.worker()
    await deposit(node, buyer, 1_000)
    await post(buyer)
    await complete(worker, await claim(worker))
    operator = node.operator()

    page = await operator.ok("GET", f"/api/admin/statements/{buyer.id}")
    _, text = await run(dsn, "statement", buyer.id, "--json")
    told = [json.loads(line) for line in text.splitlines()]
    assert [x for x in told if not x["kind"].endswith("_balance")] == page["lines"]
    closing = {x["account"]: x["balance_cents"] for x in told if x["kind"] == "closing_balance"}
    assert closing == {b["account"]: b["closing_cents"] for b in page["balances"]}

    answer = await operator.get("/api/admin/statements/stripe", format="csv")
    _, table = await run(dsn, "statement", "stripe", "--csv")
    assert rows(table) == rows(answer.text)
    _, text = await run(dsn, "statement", "stripe", "--from", "2001-01-01")
    assert text.splitlines()[-1].endswith("$10.00")

    served = await operator.ok("GET", "/api/admin/pnl")
    _, text = await run(dsn, "pnl", "--json")
    printed = json.loads(text)
    assert (printed["total"], printed["days"]) == (served["total"], served["days"])
    _, text = await run(dsn, "pnl")
    assert text.split()[:4] == ["day", "commission", "promo", "net"]


async def test_what_cannot_be_printed_is_said(dsn: str, node: Node) -> None:
    del node
    codes = await asyncio.gather(
        run(dsn, "pnl", "--csv", "--json"),
        run(dsn, "statement", "nobody"),
        run(dsn, "statement", "stripe", "--from", "then"),
    )
    assert list(codes) == [(2, ""), (1, ""), (1, "")]
