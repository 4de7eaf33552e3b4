"""Array literals arrive in PostgreSQL as the lists they were made of."""

from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_jobs.db import Database
from openclaw_jobs.db.arrays import bytes_array, int_array, text_array
from tests.conftest import Postgres

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
AWKWARD = [
    "",
    "NULL",
    "null",
    None,
    '"',
    "\\",
    '\\"',
    "{}",
    "{a,b}",
    ",",
    " a ",
    "\t\n",
    "ü🦀",
    "'",
]


async def test_awkward_texts_come_through(db: Database) -> None:
    async with db.read() as conn:
        cursor = await conn.execute("SELECT %s::text[]", (text_array(AWKWARD),))
        assert await cursor.fetchone() == (AWKWARD,)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.none() | TEXT, max_size=8),
    numbers=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=8),
    blobs=st.lists(st.binary(max_size=40), max_size=8),
)
def test_any_list_comes_through(
    postgres: Postgres,
    texts: list[str | None],
    numbers: list[int | None],
    blobs: list[bytes],
) -> None:
    row = postgres.admin.execute(
        "SELECT %s::text[], %s::bigint[], %s::bytea[]",
        (text_array(texts), int_array(numbers), bytes_array(blobs)),
    ).fetchone()
    assert row == (texts, numbers, blobs)
