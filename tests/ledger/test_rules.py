from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.ledger import (
    Account,
    Line,
    RefundReason,
    Split,
    Transfer,
    commission_cents,
    operator_grant,
    refund,
    settle,
    signup_bonus,
    split_charge,
    task_charge,
    unfreeze,
)
from openclaw_jobs.ledger.models import ASSETS, LIABILITIES, OWNER_PREFIXES
from openclaw_jobs.ledger.rules import is_plain

CENTS = st.integers(min_value=0, max_value=10**12)
REASONS: st.SearchStrategy[RefundReason] = st.sampled_from(["cancelled", "failed", "expired"])


def test_signup_bonus_is_an_expense_owed_to_the_buyer() -> None:
    assert signup_bonus("byr_1", 500) == Transfer(
        "bonus:byr_1",
        "signup_bonus",
        (Line(Account.EXPENSE_PROMO, None, 500), Line(Account.BUYER_PROMO, "byr_1", -500)),
    )


def test_operator_grant_names_its_reference_and_its_actor() -> None:
    assert operator_grant("byr_1", 700, "req_9", actor="usr_2") == Transfer(
        "grant:req_9",
        "operator_grant",
        (Line(Account.EXPENSE_PROMO, None, 700), Line(Account.BUYER_PROMO, "byr_1", -700)),
        "usr_2",
    )


def test_charge_takes_both_balances_into_escrow() -> None:
    assert task_charge("task_1", "byr_1", 30, 70) == Transfer(
        "charge:task_1",
        "task_charge",
        (
            Line(Account.BUYER_PROMO, "byr_1", 30),
            Line(Account.BUYER_PAID, "byr_1", 70),
            Line(Account.ESCROW_TASK, "task_1", -100),
        ),
    )


def test_settle_divides_escrow_between_worker_and_commission() -> None:
    assert settle("task_1", "wrk_1", 100, 15) == Transfer(
        "settle:task_1",
        "settle",
        (
            Line(Account.ESCROW_TASK, "task_1", 100),
            Line(Account.WORKER_FROZEN, "wrk_1", -85),
            Line(Account.COMMISSION, None, -15),
        ),
    )


@pytest.mark.parametrize("reason", ["cancelled", "failed", "expired"])
def test_refund_returns_the_original_split_under_one_key(reason: RefundReason) -> None:
    assert refund("task_1", "byr_1", 30, 70, reason) == Transfer(
        "refund:task_1",
        f"refund_{reason}",  # type: ignore[arg-type]  # each reason has its kind
        (
            Line(Account.ESCROW_TASK, "task_1", 100),
            Line(Account.BUYER_PROMO, "byr_1", -30),
            Line(Account.BUYER_PAID, "byr_1", -70),
        ),
    )


def test_unfreeze_makes_an_earning_available() -> None:
    assert unfreeze("task_1", "wrk_1", 85) == Transfer(
        "unfreeze:task_1",
        "unfreeze",
        (
            Line(Account.WORKER_FROZEN, "wrk_1", 85),
            Line(Account.WORKER_AVAILABLE, "wrk_1", -85),
        ),
    )


@pytest.mark.parametrize(
    ("transfer", "accounts"),
    [
        (task_charge("task_1", "byr_1", 100, 0), [Account.BUYER_PROMO, Account.ESCROW_TASK]),
        (task_charge("task_1", "byr_1", 0, 100), [Account.BUYER_PAID, Account.ESCROW_TASK]),
        (settle("task_1", "wrk_1", 3, 0), [Account.ESCROW_TASK, Account.WORKER_FROZEN]),
        (settle("task_1", "wrk_1", 3, 3), [Account.ESCROW_TASK, Account.COMMISSION]),
        (refund("task_1", "byr_1", 5, 0, "failed"), [Account.ESCROW_TASK, Account.BUYER_PROMO]),
    ],
)
def test_lines_of_zero_are_left_out(transfer: Transfer | None, accounts: list[Account]) -> None:
    assert transfer is not None
    assert [line.account for line in transfer.lines] == accounts


@pytest.mark.parametrize(
    "transfer",
    [
        signup_bonus("byr_1", 0),
        operator_grant("byr_1", 0, "req_1"),
        task_charge("task_1", "byr_1", 0, 0),
        settle("task_1", "wrk_1", 0, 0),
        refund("task_1", "byr_1", 0, 0, "expired"),
        unfreeze("task_1", "wrk_1", 0),
    ],
)
def test_no_money_makes_no_transfer(transfer: Transfer | None) -> None:
    assert transfer is None


@pytest.mark.parametrize(
    "build",
    [
        lambda: signup_bonus("byr_1", -1),
        lambda: operator_grant("byr_1", -1, "req_1"),
        lambda: task_charge("task_1", "byr_1", -1, 5),
        lambda: task_charge("task_1", "byr_1", 5, -1),
        lambda: settle("task_1", "wrk_1", 5, 6),
        lambda: settle("task_1", "wrk_1", 5, -1),
        lambda: settle("task_1", "wrk_1", -5, 0),
        lambda: refund("task_1", "byr_1", -1, 5, "failed"),
        lambda: unfreeze("task_1", "wrk_1", -1),
        lambda: split_charge(-1, 0, 0),
        lambda: commission_cents(-1, 100),
        lambda: commission_cents(100, 10_001),
        lambda: commission_cents(100, -1),
        lambda: operator_grant("byr_1", 5, "two words"),
        lambda: operator_grant("byr_1", 5, ""),
        lambda: operator_grant("byr_1", 5, "req_1", actor='a"b'),
        lambda: operator_grant("byr_1", 5, "req_1", actor="null"),
    ],
)
def test_nonsense_is_refused(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"negative|must be|plain|printable"):
        build()


@pytest.mark.parametrize(
    ("price", "rate_bp", "commission"),
    [(100, 2000, 20), (99, 2000, 19), (4, 2000, 0), (0, 2000, 0), (7, 0, 0), (7, 10_000, 7)],
)
def test_commission_rounds_down(price: int, rate_bp: int, commission: int) -> None:
    assert commission_cents(price, rate_bp) == commission


@given(st.integers(0, 100_000_000), st.integers(0, 10_000))
def test_a_commission_and_the_rest_are_the_price(gross: int, rate_bp: int) -> None:
    commission = commission_cents(gross, rate_bp)
    assert 0 <= commission <= gross
    assert commission * 10_000 <= gross * rate_bp < (commission + 1) * 10_000


@pytest.mark.parametrize(
    ("price", "promo", "paid", "split"),
    [
        (100, 30, 70, Split(30, 70)),
        (100, 100, 500, Split(100, 0)),
        (100, 0, 100, Split(0, 100)),
        (100, 30, 69, None),
        (0, 0, 0, Split(0, 0)),
        (1, 0, 0, None),
    ],
)
def test_promotional_credit_is_spent_first(
    price: int, promo: int, paid: int, split: Split | None
) -> None:
    assert split_charge(price, promo, paid) == split


@given(price=CENTS, promo=CENTS, paid=CENTS)
def test_a_split_covers_the_price_from_what_is_there(price: int, promo: int, paid: int) -> None:
    split = split_charge(price, promo, paid)
    assert (split is None) == (price > promo + paid)
    if split is not None:
        assert split.promo_cents + split.paid_cents == price
        assert 0 <= split.promo_cents <= promo
        assert 0 <= split.paid_cents <= paid


@given(promo=CENTS, paid=CENTS, rate_bp=st.integers(0, 10_000), reason=REASONS)
def test_a_life_of_a_task_leaves_nothing_in_escrow(
    promo: int, paid: int, rate_bp: int, reason: RefundReason
) -> None:
    charge = task_charge("task_1", "byr_1", promo, paid)
    price = promo + paid
    commission = commission_cents(price, rate_bp)
    assert commission * 10_000 <= price * rate_bp < (commission + 1) * 10_000
    for end in (
        settle("task_1", "wrk_1", price, commission),
        refund("task_1", "byr_1", promo, paid, reason),
    ):
        lines = [line for part in (charge, end) if part is not None for line in part.lines]
        assert sum(line.amount_cents for line in lines) == 0
        assert all(line.amount_cents for line in lines)
        assert sum(x.amount_cents for x in lines if x.account is Account.ESCROW_TASK) == 0


@given(st.text(max_size=8))
def test_what_is_plain_needs_no_quotes_in_an_array(text: str) -> None:
    special = set('",\\{} ')
    expected = (
        bool(text)
        and all("!" <= letter <= "~" and letter not in special for letter in text)
        and text.lower() != "null"
    )
    assert is_plain(text) is expected


@pytest.mark.parametrize("text", ["usr_01h455", "admin-token", "a@b.example", "grant:1|2~3"])
def test_names_in_use_are_plain(text: str) -> None:
    assert is_plain(text)


def test_the_chart_is_whole() -> None:
    assert not ASSETS & LIABILITIES
    assert {Account(a) for a in OWNER_PREFIXES} <= ASSETS | LIABILITIES
