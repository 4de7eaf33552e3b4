"""The proof finds each kind of damage; it takes a superuser without guards to do any."""

from uuid import uuid4

import pytest

from openclaw_jobs.db import Connection, Database
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import post, settle, task_charge, verify
from openclaw_jobs.ledger.store import MAX_VIOLATIONS
from tests.ledger.conftest import Opener

FILL = """
    INSERT INTO transfers (id, key, kind, posting_count)
    SELECT gen_random_uuid(), 'settle:task_' || n, 'settle', 2 FROM generate_series(1, %s) AS n
"""


@pytest.fixture
async def unguarded(owner: Connection, worker: str, db: Database, buyer: Opener) -> Connection:
    """A ledger with one settled task, whose guards are off."""
    task = new_id("task")
    transfers = [task_charge(task, await buyer(100), 60, 0), settle(task, worker, 60, 9)]
    async with db.transaction() as conn:
        await post(conn, [transfer for transfer in transfers if transfer])
    for table in ("transfers", "postings"):
        await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    await owner.execute("ALTER TABLE balances DROP CONSTRAINT balance_floor")
    return owner


async def test_an_empty_ledger_is_sound(db: Database) -> None:
    async with db.read() as conn:
        proof = await verify(conn)
    assert proof.ok
    assert (proof.transactions, proof.entries, proof.accounts, proof.sum_cents) == (0, 0, 0, 0)


async def test_a_sound_ledger_is_counted(db: Database, unguarded: Connection) -> None:
    async with db.read() as conn:
        proof = await verify(conn)
    assert proof.ok
    assert (proof.transactions, proof.entries, proof.sum_cents) == (3, 7, 0)
    # expense:promo, commission, the buyer's promo, the worker's frozen, the task's escrow
    assert proof.accounts == 5
    assert (await verify(unguarded)) == proof


@pytest.mark.parametrize(
    ("damage", "signs"),
    [
        (
            "UPDATE postings SET amount_cents = -10 WHERE account = 'commission'",
            ["sums to -1 cents"],
        ),
        ("DELETE FROM postings WHERE account = 'commission'", ["sums to 9 cents"]),
        ("DELETE FROM transfers WHERE kind = 'settle'", ["3 postings belong to no transfer"]),
        (
            "DELETE FROM postings p USING transfers t WHERE t.id = transfer_id AND kind = 'settle'",
            ["settle:task_", "has no postings", "holds 51 cents, its postings say 0"],
        ),
        ("UPDATE transfers SET posting_count = 4 WHERE kind = 'settle'", ["it declares 4"]),
        ("UPDATE postings SET line = 7 WHERE line = 1", ["numbered 2 to 7"]),
        (
            "UPDATE balances SET balance_cents = 52 WHERE account = 'worker:frozen'",
            ["worker:frozen of wrk_", "holds 52 cents, its postings say 51"],
        ),
        (
            "UPDATE balances SET balance_cents = 3 WHERE account = 'worker:available'",
            ["holds 3 cents, its postings say 0"],
        ),
        (
            "DELETE FROM balances WHERE account = 'buyer:promo'",
            ["buyer:promo of byr_", "postings of 40 cents and no balance"],
        ),
        (
            "UPDATE postings SET owner = 'task_other' WHERE account LIKE 'escrow%' AND line = 1",
            ["escrow:task of task_other is below zero: -60 cents"],
        ),
    ],
)
async def test_damage_is_found(
    db: Database, unguarded: Connection, damage: str, signs: list[str]
) -> None:
    await unguarded.execute(damage)
    async with db.read() as conn:
        proof = await verify(conn)
    assert not proof.ok
    text = "\n".join(proof.violations)
    for sign in signs:
        assert sign in text


async def test_money_from_nowhere_shows_in_the_sum(db: Database, unguarded: Connection) -> None:
    await unguarded.execute(
        "INSERT INTO postings VALUES (%s, 1, 'commission', NULL, -7)", (uuid4(),)
    )
    async with db.read() as conn:
        assert (await verify(conn)).sum_cents == -7


async def test_a_flood_of_violations_is_bounded(db: Database, unguarded: Connection) -> None:
    await unguarded.execute(FILL, (MAX_VIOLATIONS * 3,))
    async with db.read() as conn:
        proof = await verify(conn)
    assert not proof.ok
    assert len(proof.violations) == MAX_VIOLATIONS
    assert proof.transactions == MAX_VIOLATIONS * 3 + 3
