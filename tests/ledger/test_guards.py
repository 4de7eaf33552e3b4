"""What the database itself refuses, whatever the application sends."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors

from openclaw_jobs.db import Connection, Database
from openclaw_jobs.ledger import Account, balances, verify
from openclaw_jobs.ledger.models import ASSETS, LIABILITIES, OWNER_PREFIXES
from tests.ledger.conftest import Opener

INSERT = """
    WITH written AS (INSERT INTO transfers (id, key, kind, posting_count) VALUES (%s, %s, %s, %s))
    INSERT INTO postings (transfer_id, line, account, owner, amount_cents)
    SELECT * FROM unnest(%s::uuid[], %s::smallint[], %s::text[], %s::text[], %s::bigint[])
"""
LATE = "INSERT INTO postings VALUES (%s, %s, %s, %s, %s)"

Posting = tuple[int, str, str | None, int]
SOUND: list[Posting] = [(1, "expense:promo", None, 5), (2, "commission", None, -5)]


@pytest.fixture(params=["openclaw_app", "owner"])
async def conn(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[Connection]:
    """A connection as the application's role, and one as the owner of the tables."""
    conn: Connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    async with conn:
        if request.param == "openclaw_app":
            await conn.execute("SET ROLE openclaw_app")
        yield conn


async def insert(
    conn: Connection,
    postings: Sequence[Posting],
    *,
    count: int | None = None,
    key: str = "settle:task_1",
    kind: str = "settle",
    transfer_id: UUID | None = None,
) -> UUID:
    chosen = transfer_id or uuid4()
    lines, accounts, owners, amounts = zip(*postings, strict=True) if postings else ((),) * 4
    await conn.execute(
        INSERT,
        (
            chosen,
            key,
            kind,
            len(postings) if count is None else count,
            [chosen] * len(postings),
            list(lines),
            list(accounts),
            list(owners),
            list(amounts),
        ),
    )
    return chosen


async def count_rows(conn: Connection) -> tuple[int, int]:
    cursor = await conn.execute(
        "SELECT (SELECT count(*) FROM transfers), (SELECT count(*) FROM postings)"
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def test_a_sound_transfer_is_taken(conn: Connection) -> None:
    await insert(conn, SOUND)
    assert await count_rows(conn) == (1, 2)


@pytest.mark.parametrize(
    ("postings", "count", "constraint"),
    [
        ([(1, "expense:promo", None, 5), (2, "commission", None, -4)], 2, "postings_balanced"),
        (SOUND, 3, "postings_balanced"),
        ([(1, "expense:promo", None, 5), (3, "commission", None, -5)], 2, "postings_balanced"),
        ([(0, "expense:promo", None, 5), (1, "commission", None, -5)], 2, "postings_balanced"),
        ([(0, "expense:promo", None, 5), (2, "commission", None, -5)], 2, "postings_balanced"),
        ([], 2, "transfers_have_postings"),
        ([(1, "expense:promo", None, 5)], 1, "transfers_two_sided"),
        ([(1, "expense:promo", None, 0), (2, "commission", None, 0)], 2, "postings_not_zero"),
        ([(1, "expense:gifts", None, 5), (2, "commission", None, -5)], 2, "postings_account_owner"),
    ],
)
async def test_what_is_not_whole_is_refused(
    conn: Connection, postings: list[Posting], count: int, constraint: str
) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        await insert(conn, postings, count=count)
    assert refused.value.diag.constraint_name == constraint
    assert await count_rows(conn) == (0, 0)


async def test_two_wrongs_in_one_statement_do_not_cancel_out(conn: Connection) -> None:
    first, second = uuid4(), uuid4()
    statement = """
        WITH written AS (INSERT INTO transfers (id, key, kind, posting_count)
            VALUES (%(a)s, 'settle:task_1', 'settle', 2), (%(b)s, 'settle:task_2', 'settle', 2))
        INSERT INTO postings VALUES
            (%(a)s, 1, 'expense:promo', NULL, 5), (%(a)s, 2, 'commission', NULL, -4),
            (%(b)s, 1, 'expense:promo', NULL, 4), (%(b)s, 2, 'commission', NULL, -5)
    """
    with pytest.raises(errors.CheckViolation) as refused:
        await conn.execute(statement, {"a": first, "b": second})
    assert refused.value.diag.constraint_name == "postings_balanced"


@pytest.mark.parametrize(
    "late",
    [
        [(3, "expense:promo", None, 5)],
        [(3, "expense:promo", None, 5), (4, "commission", None, -5)],
    ],
)
async def test_nothing_is_added_to_a_transfer_later(conn: Connection, late: list[Posting]) -> None:
    transfer_id = await insert(conn, SOUND)
    more = ", (%s, %s, %s, %s, %s)" * (len(late) - 1)
    with pytest.raises(errors.CheckViolation) as refused:
        await conn.execute(
            LATE + more,
            [value for posting in late for value in (transfer_id, *posting)],
        )
    assert refused.value.diag.constraint_name == "postings_balanced"
    with pytest.raises(errors.UniqueViolation):
        await conn.execute(LATE, (transfer_id, 1, "expense:promo", None, 5))
    assert await count_rows(conn) == (1, 2)


async def test_postings_without_a_transfer_are_refused(conn: Connection) -> None:
    stray = uuid4()
    with pytest.raises(errors.CheckViolation, match="not whole"):
        await conn.execute(
            "INSERT INTO postings VALUES (%s, 1, 'expense:promo', NULL, 5),"
            " (%s, 2, 'commission', NULL, -5)",
            (stray, stray),
        )


async def test_a_transfer_alone_is_refused_even_if_its_postings_would_follow(
    conn: Connection,
) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        await conn.execute(
            "INSERT INTO transfers (id, key, kind, posting_count) VALUES (%s, %s, %s, 2)",
            (uuid4(), "settle:task_1", "settle"),
        )
    assert refused.value.diag.constraint_name == "transfers_have_postings"


async def test_a_key_is_taken_once(conn: Connection) -> None:
    await insert(conn, SOUND)
    with pytest.raises(errors.UniqueViolation) as refused:
        await insert(conn, SOUND)
    assert refused.value.diag.constraint_name == "transfers_key_key"


async def test_an_unknown_kind_is_refused(conn: Connection) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        await insert(conn, SOUND, kind="gift")
    assert refused.value.diag.constraint_name == "transfers_kind_known"


@pytest.mark.parametrize("table", ["transfers", "postings"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
        "DELETE FROM {table} WHERE false",
        "TRUNCATE {table}",
    ],
)
async def test_history_is_never_changed(conn: Connection, table: str, statement: str) -> None:
    await insert(conn, SOUND)
    column = "kind" if table == "transfers" else "amount_cents"
    with pytest.raises((errors.RestrictViolation, errors.InsufficientPrivilege)):
        await conn.execute(statement.format(table=table, column=column))
    assert await count_rows(conn) == (1, 2)


@pytest.mark.parametrize("table", ["transfers", "postings"])
async def test_the_owner_meets_the_guard_itself(owner: Connection, table: str) -> None:
    for mode in ("origin", "replica"):
        await owner.execute(f"SET session_replication_role = {mode}")
        for statement in ("DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(errors.RestrictViolation, match="append-only"):
                await owner.execute(statement.format(table))


async def test_an_upsert_changes_nothing_either(owner: Connection) -> None:
    transfer_id = await insert(owner, SOUND)
    with pytest.raises(errors.RestrictViolation):
        await owner.execute(
            "INSERT INTO postings VALUES (%s, 1, 'expense:promo', NULL, 5)"
            " ON CONFLICT (transfer_id, line) DO UPDATE SET amount_cents = 9",
            (transfer_id,),
        )


@pytest.mark.parametrize(
    ("privilege", "table", "granted"),
    [
        (privilege, table, privilege in granted)
        for table, granted in {
            "transfers": {"SELECT", "INSERT"},
            "postings": {"SELECT", "INSERT"},
            "balances": {"SELECT", "INSERT", "UPDATE"},
        }.items()
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER")
    ],
)
async def test_what_the_application_may_do(
    owner: Connection, privilege: str, table: str, *, granted: bool
) -> None:
    cursor = await owner.execute(
        "SELECT has_table_privilege('openclaw_app', %s, %s)", (table, privilege)
    )
    assert await cursor.fetchone() == (granted,)


async def test_a_balance_has_a_floor_and_stays(db: Database, buyer: Opener) -> None:
    buyer_id = await buyer(10)
    async with db.read() as conn:
        with pytest.raises(errors.CheckViolation) as refused:
            await conn.execute("UPDATE balances SET balance_cents = -1")
        assert refused.value.diag.constraint_name == "balance_floor"
        with pytest.raises(errors.InsufficientPrivilege):
            await conn.execute("DELETE FROM balances")
        assert await balances(conn, buyer_id) == {
            Account.BUYER_PAID: 0,
            Account.BUYER_PROMO: 10,
            Account.RECEIVABLE_BUYER: 0,
        }
        assert (await verify(conn)).ok


async def test_the_chart_in_the_database_is_the_chart_in_the_code(owner: Connection) -> None:
    """Each account takes the owner that the code says, and no other."""
    ids = {"byr": "byr_1", "wrk": "wrk_1", "task": "task_1", "pay": "pay_1", None: None}
    for account in Account:
        for prefix, given in ids.items():
            wanted = OWNER_PREFIXES.get(account)
            postings: list[Posting] = [(1, account, given, 5), (2, account, given, -5)]
            key = f"settle:{account}:{prefix}"
            if prefix == wanted:
                await insert(owner, postings, key=key)
            else:
                with pytest.raises(errors.CheckViolation) as refused:
                    await insert(owner, postings, key=key)
                assert refused.value.diag.constraint_name == "postings_account_owner"


def test_every_account_has_one_class() -> None:
    assert {a for a in Account if a not in ASSETS and a not in LIABILITIES} == {
        Account.COMMISSION,
        Account.OWNER,
        *(account for account in Account if account.startswith("expense:")),
    }
