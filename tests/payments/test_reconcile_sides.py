"""What two sides of a reconciliation tell of each other, by any movements; pure."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.payments.providers import RailRecord
from openclaw_jobs.payments.reconciliation import LedgerMovement, compare

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
Moves = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(-50, 50).filter(bool), st.integers(0, 9)),
    max_size=12,
)


def sides(moves: list[tuple[str, int, int]]) -> tuple[list[RailRecord], list[LedgerMovement]]:
    """The same movements, as a rail and as the ledger would have them."""
    records = [
        RailRecord(reference=f"r{i}", key=name, amount_cents=cents, fee_cents=fee, at=NOON)
        for i, (name, cents, fee) in enumerate(moves)
    ]
    movements = [
        LedgerMovement((name, f"{name}{i}"), cents > 0, cents, fee, NOON, f"k:{name}:{i}")
        for i, (name, cents, fee) in enumerate(moves)
    ]
    return records, movements


@given(Moves)
def test_the_same_movements_always_agree(moves: list[tuple[str, int, int]]) -> None:
    records, movements = sides(moves)
    found = compare(records, movements, NOON, NOON + timedelta(hours=1))
    assert found.findings == []
    assert found.matched == len({(name, cents > 0) for name, cents, _ in moves})


@given(Moves.filter(bool), st.data())
def test_any_one_that_is_missing_or_differs_is_found(
    moves: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    records, movements = sides(moves)
    at = data.draw(st.integers(0, len(moves) - 1))
    if data.draw(st.booleans()):
        del records[at]
    else:
        del movements[at]
    found = compare(records, movements, NOON, NOON + timedelta(hours=1))
    assert len(found.findings) == 1
    assert found.findings[0].at == NOON


@given(Moves)
def test_what_is_not_to_be_judged_is_never_told(moves: list[tuple[str, int, int]]) -> None:
    records, movements = sides(moves)
    for day in (-2, 2):
        since = NOON + timedelta(days=day)
        for one_side in (compare(records, [], since, since + timedelta(hours=1)),
                         compare([], movements, since, since + timedelta(hours=1))):  # fmt: skip
            assert one_side.findings == []
