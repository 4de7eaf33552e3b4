"""What the ledger's guards cost: settlements against the same rows in tables that check nothing.

Thirty-two writers settle for 3,200 workers and one platform, first one settlement a transaction,
then fifty, as a group of submissions does. The bare tables have the same columns and
the same indexes; there are no triggers, no CHECKs, no function, and no balances to be moved.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence

import psycopg

from bench.report import Figure, median
from bench.stage import Stage
from openclaw_jobs import ledger
from openclaw_jobs.db import Connection, Database
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import BUYER_ACCOUNTS, WORKER_ACCOUNTS, Transfer
from openclaw_jobs.ledger.store import _columns

GROUP = "money"
WRITERS = 32
_WORKERS = 3_200
_PRICE, _COMMISSION = 1_000, 300
_GRANT = 10_000_000
_SHARE = 0.6
# Noise of this machine between two runs of the same.
_WITHIN = 0.9

Write = Callable[[Connection, Sequence[Transfer]], Awaitable[None]]

_TABLES = """
    CREATE TABLE bare_transfers (LIKE transfers INCLUDING DEFAULTS INCLUDING INDEXES);
    CREATE TABLE bare_postings (LIKE postings INCLUDING DEFAULTS INCLUDING INDEXES)
"""
_HISTORY = """
    WITH fresh AS (
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, n
        FROM generate_series(1, %(transfers)s::bigint) AS n
    ), written AS (
        INSERT INTO transfers (id, key, kind, posting_count)
        SELECT id, 'grant:' || n, 'operator_grant', 2 FROM fresh
    )
    INSERT INTO postings (transfer_id, line, account, owner, amount_cents)
    SELECT id, 1, 'expense:promo', NULL, %(cents)s FROM fresh
    UNION ALL SELECT id, 2, 'buyer:promo', %(buyer)s, -%(cents)s FROM fresh
"""
_BALANCE = (
    "UPDATE balances SET balance_cents = balance_cents + %(transfers)s::bigint * %(cents)s"
    " WHERE owner = %(buyer)s AND account = 'buyer:promo'"
)
_BARE = """
    WITH written AS (
        INSERT INTO bare_transfers (id, key, kind, actor, posting_count)
        SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::smallint[]))
    INSERT INTO bare_postings (transfer_id, line, account, owner, amount_cents)
    SELECT * FROM unnest(%s::uuid[], %s::smallint[], %s::text[], %s::text[], %s::bigint[])
"""


async def _write_bare(conn: Connection, transfers: Sequence[Transfer]) -> None:
    await conn.execute(_BARE, _columns(transfers), prepare=True)


class _Books:
    """A ledger with so many postings, and bare tables with as many."""

    def __init__(self, db: Database, dsn: str, postings: int) -> None:
        self.db = db
        self.dsn = dsn
        self.postings = postings
        self.buyer = new_id("byr")
        self.workers = [new_id("wrk") for _ in range(_WORKERS)]
        self._turns = itertools.cycle(self.workers)
        self._settled: list[str] = []

    async def fill(self) -> None:
        async with self.db.transaction() as conn:
            await ledger.open_accounts(conn, self.buyer, BUYER_ACCOUNTS)
            for worker in self.workers:
                await ledger.open_accounts(conn, worker, WORKER_ACCOUNTS)
        values = {"transfers": self.postings // 2, "cents": _GRANT, "buyer": self.buyer}
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as conn:
            async with conn.transaction():
                await conn.execute(_HISTORY, values)
                await conn.execute(_BALANCE, values)
            await conn.execute(_TABLES)
            await conn.execute("INSERT INTO bare_transfers SELECT * FROM transfers")
            await conn.execute("INSERT INTO bare_postings SELECT * FROM postings")
            await conn.execute("VACUUM (ANALYZE)")

    async def rate(self, write: Write, batch: int, count: int) -> float:
        """Settlements per second of all writers together."""
        tasks = [new_id("task") for _ in range(count)]
        made = [
            settled
            for task in tasks
            if (settled := ledger.settle(task, next(self._turns), _PRICE, _COMMISSION)) is not None
        ]
        batches = iter([made[start : start + batch] for start in range(0, count, batch)])

        async def write_some() -> None:
            for transfers in batches:
                async with self.db.transaction() as conn:
                    await write(conn, transfers)

        started = time.perf_counter()
        await asyncio.gather(*(write_some() for _ in range(WRITERS)))
        elapsed = time.perf_counter() - started
        if write is ledger.post:
            self._settled += tasks
        return count / elapsed

    async def check(self) -> None:
        """Charge what was settled, which escrow lent to the clock, and prove the ledger."""
        for start in range(0, len(self._settled), 1_000):
            charges = [
                ledger.task_charge(task, self.buyer, _PRICE, 0)
                for task in self._settled[start : start + 1_000]
            ]
            async with self.db.transaction() as conn:
                await ledger.post(conn, [charge for charge in charges if charge is not None])
        async with self.db.transaction() as conn:
            await conn.execute("SET LOCAL statement_timeout = 0")
            await conn.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on")
            proof = await ledger.verify(conn)
        assert proof.ok, proof.violations


async def run(stage: Stage) -> list[Figure]:
    """Settle with and without guards, in a short ledger and a long one, in turn."""
    depths = (1_000, 10_000) if stage.quick else (1_000, 1_000_000)
    rounds = 2 if stage.quick else 5
    figures: list[Figure] = []
    async with contextlib.AsyncExitStack() as stack:
        books: list[_Books] = []
        for depth in depths:
            dsn = stack.enter_context(stage.database(f"bench_money_{depth}"))
            db = await stack.enter_async_context(
                await Database.open(dsn, min_size=WRITERS, max_size=WRITERS)
            )
            books.append(_Books(db, dsn, depth))
            await books[-1].fill()
        for batch, count in ((1, 1_600), (50, 9_600)):
            size = count // 10 if stage.quick else count
            rates: dict[tuple[int, bool], list[float]] = {}
            for round_ in range(rounds + 1):
                for each, guarded in itertools.product(books, (False, True)):
                    rate = await each.rate(ledger.post if guarded else _write_bare, batch, size)
                    # In the first each connection plans its statements.
                    if round_:
                        rates.setdefault((each.postings, guarded), []).append(rate)
            figures += _figures(batch, depths, rates)
        for each in books:
            await each.check()
    return figures


def _figures(
    batch: int, depths: Sequence[int], rates: dict[tuple[int, bool], list[float]]
) -> list[Figure]:
    how = "one a transaction" if batch == 1 else f"{batch} a transaction"
    names = {
        (depth, guarded): f"{'settlements' if guarded else 'the rows, no guards'}, {how},"
        f" from {depth:,} postings"
        for depth in depths
        for guarded in (False, True)
    }
    figures = []
    for (depth, guarded), name in names.items():
        runs = rates[depth, guarded]
        deeper = guarded and depth != depths[0]
        figures.append(
            Figure(
                group=GROUP,
                name=name,
                value=median(runs),
                unit="/s",
                runs=tuple(runs),
                limit=names[depths[0], True] if deeper else names[depth, False],
                aim_share=_WITHIN if deeper else _SHARE if guarded else None,
                note=f"median, {WRITERS} writers" if guarded else "",
            )
        )
    return figures
