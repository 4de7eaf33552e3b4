"""Statements and profit by day: what the ledger says, in order, and all of it."""

import csv
import io
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from openclaw_jobs import ledger
from openclaw_jobs.api.tables import csv_lines
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import BUYER_ACCOUNTS, WORKER_ACCOUNTS, Account, Position, Transfer
from openclaw_jobs.ledger import store_statements as store
from openclaw_jobs.market.statements import BEGINNING, END
from tests.market.steps import claim, complete, deposit, misfit, post, refused, sql
from tests.running import Json, Node, Party

PLATFORM = ("stripe", "commission", "expense:promo", "bank", "owner")


async def busy(node: Node) -> tuple[Party, Party]:
    """A buyer with both kinds of credit and a worker, after tasks that ended in several ways."""
    buyer, worker = await node.buyer(30), await node.worker()
    await deposit(node, buyer, 500)
    for _ in range(5):
        await post(buyer)
        await complete(worker, await claim(worker))
    done = await post(buyer)
    await complete(worker, await claim(worker))
    await buyer.ok("POST", f"/api/task/{done['id']}/credit", {"reason": "bad"})
    dropped = await post(buyer)
    await buyer.ok("POST", f"/api/task/{dropped['id']}/cancel")
    return buyer, worker


async def held(node: Node, name: str) -> dict[str, int]:
    """What the ledger says that an owner's or platform account holds."""
    rows = await sql(
        node,
        "SELECT account, sum(amount_cents)::bigint FROM postings"
        " WHERE owner = %s OR (owner IS NULL AND account = %s) GROUP BY account",
        name,
        name,
    )
    return {
        str(account): ledger.balance_cents(Account(str(account)), int(str(cents)))
        for account, cents in rows
    }


def check(lines: list[Json], opening: dict[str, int], closing: dict[str, int]) -> None:
    """Each line follows from the one before, from the opening to the closing balances."""
    running = dict(opening)
    for line in lines:
        running[line["account"]] += line["amount_cents"]
        assert line["balance_cents"] == running[line["account"]], line
        assert line["transaction"].startswith("txn_")
        assert line["account"] not in line["counter_accounts"]
        assert line["counter_accounts"]
    assert running == closing
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


async def whole(operator: Party, name: str, **params: Json) -> tuple[Json, list[Json]]:
    """All pages of a statement."""
    lines: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await operator.get(f"/api/admin/statements/{name}", **params, **cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        lines += page["lines"]
        if page["next_cursor"] is None:
            return page, lines
        cursor = {"cursor": page["next_cursor"]}


async def test_every_account_closes_with_what_the_ledger_holds(node: Node) -> None:
    buyer, worker = await busy(node)
    operator = node.operator()
    for name in (buyer.id, worker.id, *PLATFORM):
        page, lines = await whole(operator, name, limit=3)
        opening = {b["account"]: b["opening_cents"] for b in page["balances"]}
        closing = {b["account"]: b["closing_cents"] for b in page["balances"]}
        assert set(opening.values()) == {0}
        assert {a: c for a, c in closing.items() if c} == {
            a: c for a, c in (await held(node, name)).items() if c
        }
        check(lines, opening, closing)
        rows = await sql(
            node,
            "SELECT count(*) FROM postings WHERE owner = %s OR (owner IS NULL AND account = %s)",
            name,
            name,
        )
        assert len(lines) == rows[0][0]
    await node.prove()


async def test_a_period_opens_where_the_one_before_closed(node: Node) -> None:
    buyer, _ = await busy(node)
    operator = node.operator()
    _, lines = await whole(operator, buyer.id)
    middle = lines[len(lines) // 2]["at"]

    before, early = await whole(operator, buyer.id, to=middle)
    after, late = await whole(operator, buyer.id, **{"from": middle})

    assert [b["closing_cents"] for b in before["balances"]] == [
        b["opening_cents"] for b in after["balances"]
    ]
    assert early + late == lines
    assert early
    assert late
    nothing, none = await whole(operator, buyer.id, **{"from": "2001-01-01", "to": "2001-02-01"})
    assert none == []
    assert nothing["from"] == "2001-01-01T00:00:00.000Z"
    assert {b["closing_cents"] for b in nothing["balances"]} == {0}


async def test_csv_is_the_same_statement_and_ends_with_its_balance(node: Node) -> None:
    buyer, _ = await busy(node)
    operator = node.operator()
    for name in (buyer.id, "stripe"):
        page, lines = await whole(operator, name)
        answer = await operator.get(f"/api/admin/statements/{name}", format="csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        ends = {
            kind: {r["account"]: int(r["balance_cents"]) for r in rows if r["kind"] == kind}
            for kind in ("opening_balance", "closing_balance")
        }
        assert ends["closing_balance"] == {
            b["account"]: b["closing_cents"] for b in page["balances"]
        }
        assert ends["opening_balance"] == {
            b["account"]: b["opening_cents"] for b in page["balances"]
        }
        inner = [row for row in rows if not row["kind"].endswith("_balance")]
        assert [
            (
                r["transaction"],
                r["account"],
                int(r["amount_cents"]),
                int(r["balance_cents"]),
                r["key"],
            )
            for r in inner
        ] == [
            (x["transaction"], x["account"], x["amount_cents"], x["balance_cents"], x["key"])
            for x in lines
        ]


async def test_only_the_operator_reads_the_books(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    for path in (
        f"/api/admin/statements/{buyer.id}",
        "/api/admin/statements/stripe?format=csv",
        "/api/admin/pnl",
        "/api/admin/stats",
        "/api/admin/reconciliations",
        "/api/admin/workers",
        "/api/admin/buyers",
        "/api/admin/audit",
        "/api/admin/deposits",
        "/api/admin/webhook-events",
    ):
        refused(await node.anyone().get(path), 401, "unauthenticated")
        for party in (buyer, worker):
            refused(await party.get(path), 403, "forbidden")
    for path in ("/api/cron/reconcile", f"/api/admin/workers/{worker.id}/suspend"):
        refused(await node.anyone().post(path, {}), 401, "unauthenticated")
        for party in (buyer, worker):
            refused(await party.post(path, {}), 403, "forbidden")


@pytest.mark.parametrize("output", ["json", "csv"])
@pytest.mark.parametrize(
    "name",
    [
        "byr_",
        "byr_00000000000000000000000000",
        "wrk_00000000000000000000000000",
        "byr_'; DROP TABLE postings; --",
        "task_00000000000000000000000000",
        "buyer:paid",
        "escrow:task",
        "expense:",
        "STRIPE",
        "stripe ",
        "%FF",
        "=1+1",
        "..",
        "x" * 4000,
        "\u202estripe",
    ],
)
async def test_what_is_no_account_is_not_found(node: Node, name: str, output: str) -> None:
    answer = await node.operator().get(f"/api/admin/statements/{name}", format=output)
    refused(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-01-01T00:00:00"}, "from"),
        ({"to": "2026-13-01"}, "to"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "to"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "to"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "MjAyNi0wMS0wMSAwMDAwIC0x"}, "cursor"),
    ],
)
async def test_a_bad_query_is_told(node: Node, params: dict[str, str], field: str) -> None:
    misfit(await node.operator().get("/api/admin/statements/stripe", **params), field)
    if field in {"from", "to", "format"}:
        misfit(await node.operator().get("/api/admin/pnl", **params), field)


def test_no_cell_is_a_formula() -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
    ((*cells, number, plain),) = csv.reader(io.StringIO(csv_lines([[*texts, -5, "a=b"]])))
    assert [cell[0] for cell in cells] == ["'"] * len(texts)
    assert (number, plain) == ("-5", "a=b")


async def test_profit_by_day_sums_up_to_the_accounts(node: Node) -> None:
    await busy(node)
    operator = node.operator()
    # Facts of other days: the ledger's time is the database's, so they are written to it directly.
    days = [datetime(2026, 1, day, hour, tzinfo=UTC) for day in (1, 2) for hour in (0, 23)]
    for number, at in enumerate(days):
        fact = ledger.deposit_fee(f"cs_{number}", 30 + number)
        assert fact is not None
        await write_at(node, fact, at)

    report = await operator.ok("GET", "/api/admin/pnl?from=2000-01-01&to=2009-12-31")
    assert report["days"] == []
    report = await operator.ok("GET", "/api/admin/pnl?from=2025-06-01&to=2034-01-01")
    old = [day for day in report["days"] if day["day"].startswith("2026-01-0")]
    assert [(d["day"], d["expenses"]["expense_stripe_fee_cents"]) for d in old] == [
        ("2026-01-01", 61),
        ("2026-01-02", 65),
    ]
    assert [d["net_cents"] for d in old] == [-61, -65]
    total = report["total"]
    for field in ("commission_cents", "net_cents"):
        assert total[field] == sum(day[field] for day in report["days"])
    assert total["net_cents"] == total["commission_cents"] - sum(total["expenses"].values())
    assert total["commission_cents"] == (await held(node, "commission"))["commission"]
    for account in ("expense:promo", "expense:stripe_fee"):
        field = f"{account.replace(':', '_')}_cents"
        assert total["expenses"][field] == (await held(node, account))[account]
        assert total["expenses"][field] == sum(d["expenses"][field] for d in report["days"])

    answer = await operator.get(
        "/api/admin/pnl", **{"from": "2025-06-01", "to": "2034-01-01"}, format="csv"
    )
    assert "attachment; filename=" in answer.headers["content-disposition"]
    *rows, last = csv.DictReader(io.StringIO(answer.text))
    assert [row["day"] for row in rows] == [day["day"] for day in report["days"]]
    assert (last["day"], int(last["net_cents"])) == ("total", total["net_cents"])
    usual = await operator.ok("GET", "/api/admin/pnl")
    assert len(usual["days"]) == 1
    misfit(await operator.get("/api/admin/pnl", **{"from": "1990-01-01"}), "from")
    await node.prove()


async def write_at(node: Node, fact: Transfer, at: datetime) -> None:
    await sql(
        node,
        """
        WITH written AS (
            INSERT INTO transfers (id, key, kind, posting_count, created_at)
            VALUES (gen_random_uuid(), %s, %s, %s, %s) RETURNING id)
        INSERT INTO postings (transfer_id, line, account, owner, amount_cents)
        SELECT written.id, p.* FROM written,
            unnest(%s::smallint[], %s::text[], %s::text[], %s::bigint[]) AS p
        """,
        fact.key,
        fact.kind,
        len(fact.lines),
        at,
        list(range(1, len(fact.lines) + 1)),
        [line.account.value for line in fact.lines],
        [line.owner for line in fact.lines],
        [line.amount_cents for line in fact.lines],
    )


async def plan_of(conn: AsyncConnection[Any], name: str, start: Position, until: datetime) -> str:
    """How PostgreSQL reads a page of a statement."""
    query = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + store._lines(name)
    cursor = await conn.execute(query, store._range(name, start, until, 100))
    return "\n".join(row[0] for row in await cursor.fetchall())


async def test_statements_stay_on_indexes_at_a_hundred_thousand_postings(node: Node) -> None:
    market, rng = node.market, random.Random(7)  # noqa: S311 - no secret
    buyers, workers = [new_id("byr") for _ in range(50)], [new_id("wrk") for _ in range(50)]
    async with market.db.transaction() as conn:
        for owner in buyers:
            await ledger.open_accounts(conn, owner, BUYER_ACCOUNTS)
        for owner in workers:
            await ledger.open_accounts(conn, owner, WORKER_ACCOUNTS)
        facts = [ledger.deposit(f"cs_{b}", b, 10**7, 0) for b in buyers]
        await ledger.post(conn, [fact for fact in facts if fact is not None])
    for _ in range(20):
        batch: list[Transfer | None] = []
        for _ in range(1000):
            task = new_id("task")
            batch += [
                ledger.task_charge(task, rng.choice(buyers), 0, 12),
                ledger.settle(task, rng.choice(workers), 12, 3),
            ]
        async with market.db.transaction() as conn:
            await ledger.post(conn, [fact for fact in batch if fact is not None])
    ((count,),) = await sql(node, "SELECT count(*) FROM postings")
    assert count == 100_100

    now = datetime.now(UTC)
    async with market.db.transaction() as conn:
        of_owner = await plan_of(conn, workers[0], Position(BEGINNING), END)
        of_time = await plan_of(conn, "commission", Position(now - timedelta(hours=1)), END)
    # Whatever the planner knows of tables that were never analyzed, an owner's postings come from
    # its own index, a platform account's in the order of time, as many as the page shows.
    assert "postings_by_owner" in of_owner
    assert "transfers_by_time" not in of_owner
    assert "transfers_by_time" in of_time
    assert "Incremental Sort" in of_time
    for plan in (of_owner, of_time):
        assert "Seq Scan" not in plan
        assert "Rows Removed by Join Filter" not in plan

    operator = node.operator()
    for name in (workers[0], "commission"):
        page = await operator.ok("GET", f"/api/admin/statements/{name}?limit=100")
        assert len(page["lines"]) == 100
    answer = await operator.get("/api/admin/statements/commission", format="csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 20_002
    assert int(rows[-1]["balance_cents"]) == 60_000
