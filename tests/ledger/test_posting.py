import asyncio
import random

import psycopg
import pytest

from openclaw_jobs.db import Connection, Database
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import (
    BUYER_ACCOUNTS,
    WORKER_ACCOUNTS,
    Account,
    DuplicateTransfer,
    InsufficientFunds,
    Line,
    Transfer,
    UnknownAccount,
    balances,
    lock_balances,
    open_accounts,
    operator_grant,
    post,
    refund,
    refusal,
    settle,
    split_charge,
    task_charge,
    unfreeze,
    verify,
)
from tests.ledger.auditor import audit
from tests.ledger.conftest import Opener


def sure(*transfers: Transfer | None) -> list[Transfer]:
    found = [transfer for transfer in transfers if transfer is not None]
    assert len(found) == len(transfers)
    return found


async def test_the_life_of_a_task(db: Database, buyer: Opener, worker: str, dsn: str) -> None:
    buyer_id, task = await buyer(100), new_id("task")
    async with db.transaction() as conn:
        await post(conn, sure(task_charge(task, buyer_id, 60, 0)))
        assert await balances(conn, buyer_id) == {
            Account.BUYER_PAID: 0,
            Account.BUYER_PROMO: 40,
            Account.RECEIVABLE_BUYER: 0,
        }
    async with db.transaction() as conn:
        await post(conn, sure(settle(task, worker, 60, 9)))
        assert await balances(conn, worker) == {
            Account.WORKER_FROZEN: 51,
            Account.RECEIVABLE_WORKER: 0,
            Account.WORKER_AVAILABLE: 0,
        }
    async with db.transaction() as conn:
        await post(conn, sure(unfreeze(task, worker, 51)))
        assert await balances(conn, worker) == {
            Account.WORKER_FROZEN: 0,
            Account.RECEIVABLE_WORKER: 0,
            Account.WORKER_AVAILABLE: 51,
        }
        proof = await verify(conn)
    assert proof.ok
    assert (proof.transactions, proof.entries, proof.sum_cents) == (4, 9, 0)
    with psycopg.connect(dsn) as raw:
        assert audit(raw).escrow == {}


async def test_facts_of_one_batch_may_build_on_each_other(
    db: Database, buyer: Opener, worker: str
) -> None:
    buyer_id, kept, lost = await buyer(0), new_id("task"), new_id("task")
    async with db.transaction() as conn:
        await post(
            conn,
            sure(
                operator_grant(buyer_id, 100, "gift", actor="usr_1"),
                task_charge(kept, buyer_id, 70, 0),
                task_charge(lost, buyer_id, 30, 0),
                settle(kept, worker, 70, 7),
                refund(lost, buyer_id, 30, 0, "expired"),
                unfreeze(kept, worker, 63),
            ),
        )
        assert await balances(conn, buyer_id) == {
            Account.BUYER_PAID: 0,
            Account.BUYER_PROMO: 30,
            Account.RECEIVABLE_BUYER: 0,
        }
        assert (await balances(conn, worker))[Account.WORKER_AVAILABLE] == 63
        assert (await verify(conn)).ok
        cursor = await conn.execute("SELECT kind, actor FROM transfers ORDER BY key")
        assert dict(await cursor.fetchall()) == {
            "task_charge": None,
            "operator_grant": "usr_1",
            "refund_expired": None,
            "settle": None,
            "unfreeze": None,
        }


async def test_nothing_to_post_is_nothing(db: Database) -> None:
    async with db.transaction() as conn:
        await post(conn, [])
        assert (await verify(conn)).transactions == 0


async def test_a_batch_is_refused_as_a_whole(db: Database, buyer: Opener) -> None:
    rich, poor = await buyer(100), await buyer(5)
    with pytest.raises(InsufficientFunds) as refused:
        async with db.transaction() as conn:
            await post(
                conn,
                sure(
                    task_charge(new_id("task"), rich, 50, 0),
                    task_charge(new_id("task"), poor, 4, 0),
                    task_charge(new_id("task"), poor, 4, 0),
                ),
            )
    assert (refused.value.owner, refused.value.account) == (poor, Account.BUYER_PROMO)
    assert (refused.value.balance_cents, refused.value.change_cents) == (5, -8)
    async with db.read() as conn:
        assert (await balances(conn, rich))[Account.BUYER_PROMO] == 100
        assert (await balances(conn, poor))[Account.BUYER_PROMO] == 5
        assert (await verify(conn)).ok


async def test_a_replay_changes_nothing(db: Database, buyer: Opener, worker: str) -> None:
    buyer_id, task = await buyer(100), new_id("task")
    charge, settled = sure(task_charge(task, buyer_id, 60, 0), settle(task, worker, 60, 9))
    async with db.transaction() as conn:
        await post(conn, [charge, settled])
    for replay in (charge, settled):
        # The charge is more than what is left, and is still told that it is a replay.
        with pytest.raises(DuplicateTransfer) as refused:
            async with db.transaction() as conn:
                await post(conn, [replay])
        assert refused.value.key == replay.key
    async with db.read() as conn:
        assert (await balances(conn, buyer_id))[Account.BUYER_PROMO] == 40
        assert (await balances(conn, worker))[Account.WORKER_FROZEN] == 51


async def test_one_fact_twice_in_a_batch_is_refused(
    db: Database, buyer: Opener, worker: str
) -> None:
    task = new_id("task")
    async with db.transaction() as conn:
        await post(conn, sure(task_charge(task, await buyer(60), 60, 0)))
    with pytest.raises(DuplicateTransfer, match=f"settle:{task}"):
        async with db.transaction() as conn:
            await post(conn, sure(settle(task, worker, 60, 9), settle(task, worker, 60, 9)))


async def test_accounts_must_have_been_opened(db: Database, buyer: Opener) -> None:
    task, stranger = new_id("task"), new_id("wrk")
    with pytest.raises(UnknownAccount) as refused:
        async with db.transaction() as conn:
            await post(
                conn,
                sure(task_charge(task, await buyer(9), 9, 0), settle(task, stranger, 9, 1)),
            )
    assert (refused.value.owner, refused.value.account) == (stranger, Account.WORKER_FROZEN)
    async with db.read() as conn:
        assert await balances(conn, stranger) == {}


@pytest.mark.parametrize(
    ("owner", "accounts"),
    [
        ("byr_1", WORKER_ACCOUNTS),
        ("wrk_1", BUYER_ACCOUNTS),
        ("task_1", (Account.ESCROW_TASK,)),
        ("byr_1", (Account.COMMISSION,)),
    ],
)
async def test_only_ones_own_balances_are_opened(
    db: Database, owner: str, accounts: tuple[Account, ...]
) -> None:
    async with db.transaction() as conn:
        with pytest.raises(ValueError, match="not an account to open"):
            await open_accounts(conn, owner, accounts)


@pytest.mark.parametrize(
    "text", ["a,b", "a b", 'a"b', "a\\b", "{a}", "a\nb", "ä", "a\x00", "\u2028"]
)
async def test_text_that_would_need_quotes_never_reaches_the_database(
    db: Database, buyer: Opener, text: str
) -> None:
    buyer_id = await buyer(5)
    lines = (Line(Account.BUYER_PROMO, buyer_id, 1), Line(Account.EXPENSE_PROMO, None, -1))
    async with db.transaction() as conn:
        for transfer in (
            Transfer(f"grant:{text}", "operator_grant", lines),
            Transfer("grant:1", "operator_grant", lines, text),
            Transfer("grant:1", "operator_grant", (lines[0], Line(lines[1].account, text, -1))),
        ):
            with pytest.raises(ValueError, match="plain"):
                await post(conn, [transfer])


async def test_a_refusal_of_something_else_is_not_the_ledgers(db: Database, dsn: str) -> None:
    async with db.read() as conn:
        with pytest.raises(psycopg.Error) as other:
            await conn.execute("SELECT 1 / 0")
        assert refusal(other.value) is None
        unbalanced = Transfer(
            "grant:1",
            "operator_grant",
            (Line(Account.COMMISSION, None, 1), Line(Account.EXPENSE_PROMO, None, -2)),
        )
        with pytest.raises(psycopg.errors.CheckViolation) as wrong:
            await post(conn, [unbalanced])
        assert refusal(wrong.value) is None
    with psycopg.connect(dsn, autocommit=True) as raw:
        raw.execute("INSERT INTO balances VALUES ('byr_1', 'buyer:paid')")
        with pytest.raises(psycopg.errors.CheckViolation) as bare:
            raw.execute("UPDATE balances SET balance_cents = -1")
        assert refusal(bare.value) is None


async def test_a_balance_is_spent_exactly_as_often_as_it_suffices(
    dsn: str, buyer: Opener, db: Database
) -> None:
    buyer_id = await buyer(505)
    barrier = asyncio.Barrier(100)

    async def spend(database: Database) -> bool:
        charge = sure(task_charge(new_id("task"), buyer_id, 10, 0))
        await barrier.wait()
        try:
            async with database.transaction() as conn:
                await post(conn, charge)
        except InsufficientFunds:
            return False
        return True

    async with await Database.open(dsn, min_size=25, max_size=25, acquire_timeout_s=30) as wide:
        spent = await asyncio.gather(*(spend(wide) for _ in range(100)))
    assert sum(spent) == 50
    async with db.read() as conn:
        assert (await balances(conn, buyer_id))[Account.BUYER_PROMO] == 5
        assert (await verify(conn)).ok


async def test_locked_balances_are_split_without_a_refusal(
    db: Database, buyer: Opener, dsn: str
) -> None:
    buyer_id = await buyer(35)
    async with db.transaction() as conn:
        paid = (Line(Account.STRIPE, None, 40), Line(Account.BUYER_PAID, buyer_id, -40))
        await post(conn, [Transfer("grant:paid", "operator_grant", paid)])

    async def spend() -> bool:
        async with db.transaction() as conn:
            held = await balances(conn, buyer_id, for_update=True)
            split = split_charge(10, held[Account.BUYER_PROMO], held[Account.BUYER_PAID])
            if split is not None:
                charge = task_charge(new_id("task"), buyer_id, split.promo_cents, split.paid_cents)
                await post(conn, sure(charge))
            return split is not None

    assert sum(await asyncio.gather(*(spend() for _ in range(30)))) == 7
    with psycopg.connect(dsn) as raw:
        found = audit(raw)
    assert found.balances[buyer_id, "buyer:paid"] == 5
    assert found.balances[buyer_id, "buyer:promo"] == 0


async def test_batches_over_the_same_balances_never_deadlock(
    db: Database, buyer: Opener, dsn: str
) -> None:
    workers = [new_id("wrk") for _ in range(6)]
    buyer_id = await buyer(40 * 25 * 10)
    async with db.transaction() as conn:
        for worker_id in workers:
            await open_accounts(conn, worker_id, WORKER_ACCOUNTS)
    rng = random.Random(7)  # noqa: S311  # the same order in every run

    async def settle_some() -> None:
        batch: list[Transfer] = []
        for task in (new_id("task") for _ in range(25)):
            worker_id = rng.choice(workers)
            batch += sure(
                task_charge(task, buyer_id, 10, 0),
                settle(task, worker_id, 10, 2),
                unfreeze(task, worker_id, 8),
            )
        rng.shuffle(batch)
        async with db.transaction() as conn:
            await post(conn, batch)

    await asyncio.gather(*(settle_some() for _ in range(40)))
    with psycopg.connect(dsn) as raw:
        found = audit(raw)
    assert found.escrow == {}
    assert sum(found.balances[w, "worker:available"] for w in workers) == 40 * 25 * 8
    assert found.balances[buyer_id, "buyer:promo"] == 0


async def test_of_a_hundred_twins_one_is_posted(db: Database, buyer: Opener, worker: str) -> None:
    task = new_id("task")
    async with db.transaction() as conn:
        await post(conn, sure(task_charge(task, await buyer(60), 60, 0)))

    async def settle_it() -> bool:
        try:
            async with db.transaction() as conn:
                await post(conn, sure(settle(task, worker, 60, 9)))
        except DuplicateTransfer:
            return False
        return True

    assert sum(await asyncio.gather(*(settle_it() for _ in range(100)))) == 1
    async with db.read() as conn:
        assert (await balances(conn, worker))[Account.WORKER_FROZEN] == 51


async def test_plans_made_on_small_tables_never_read_them_whole(
    db: Database, buyer: Opener, worker: str, owner: Connection
) -> None:
    """A plan outlives the size that it was made for, so posting must not scan even tiny tables."""
    buyer_id = await buyer(1000)
    await owner.execute("ANALYZE transfers, postings, balances")

    async def scans() -> list[tuple[str, int]]:
        cursor = await owner.execute(
            "SELECT relname, seq_scan FROM pg_stat_user_tables"
            " WHERE relname IN ('transfers', 'postings', 'balances') ORDER BY relname"
        )
        return [(name, count) for name, count in await cursor.fetchall()]

    before = await scans()
    async with db.transaction() as conn:
        for _ in range(8):
            task = new_id("task")
            await post(conn, sure(task_charge(task, buyer_id, 10, 0), settle(task, worker, 10, 1)))
        await conn.execute("SELECT pg_stat_force_next_flush()")
    async with db.read() as conn:
        await conn.execute("SELECT 1")
    assert await scans() == before


async def test_posting_reads_the_balances_that_it_moves_and_no_others(
    db: Database, buyer: Opener, worker: str, owner: Connection
) -> None:
    """Its cost must not grow with the number of accounts; the pool's sessions avoid sorts."""
    await owner.execute(
        "INSERT INTO balances (owner, account)"
        " SELECT 'wrk_' || lpad(n::text, 26, '0'), 'worker:frozen' FROM generate_series(1, 5000) n"
    )
    await owner.execute("ANALYZE balances")
    buyer_id, task = await buyer(1000), new_id("task")

    async def read(conn: Connection) -> int:
        cursor = await conn.execute(
            "SELECT (seq_tup_read + idx_tup_fetch)::int FROM pg_stat_xact_user_tables"
            " WHERE relname = 'balances'"
        )
        row = await cursor.fetchone()
        return 0 if row is None else int(row[0])

    async with db.transaction() as conn:
        before = await read(conn)
        await post(conn, sure(task_charge(task, buyer_id, 10, 0), settle(task, worker, 10, 1)))
        # Two balances move: each is read to be locked, and again to be changed.
        assert await read(conn) - before <= 8
        before = await read(conn)
        assert set(await lock_balances(conn, [buyer_id, worker])) == {buyer_id, worker}
        assert await read(conn) - before <= 12
