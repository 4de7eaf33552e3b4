"""Rules of payouts: pure, so proven over many cases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs import ledger
from openclaw_jobs.ledger import Account, Transfer
from openclaw_jobs.payments.models import Lot
from openclaw_jobs.payments.payouts import Attempt, Payout, PayoutStatus
from openclaw_jobs.payments.payouts.rules import (
    RESEND_S,
    check_delay_s,
    day_start,
    next_step,
    restore,
)
from openclaw_jobs.payments.rules import consume

CENTS = st.integers(min_value=0, max_value=10_000)


def lot(number: int, available: int, withdrawn: int = 0) -> Lot:
    net = available + withdrawn
    return Lot(f"task_{number}", "wrk_1", net, 0, net, "available", available, withdrawn, 0)


@given(st.lists(st.integers(min_value=1, max_value=10_000), min_size=1), st.data())
def test_what_was_consumed_is_restored(available: list[int], data: st.DataObject) -> None:
    lots = [lot(n, cents) for n, cents in enumerate(available)]
    cents = data.draw(st.integers(min_value=1, max_value=sum(available)))
    owed = data.draw(CENTS)
    taken = {c.task_id: c.withdrawn_cents for c in consume(lots, cents)}
    # Oldest first: all that was taken but the last is taken whole.
    assert list(taken) == [each.task_id for each in lots[: len(taken)]]
    assert all(taken[each.task_id] == each.available_cents for each in lots[: len(taken) - 1])
    assert sum(taken.values()) == cents

    back = restore([each for each in lots if each.task_id in taken], taken, owed)
    assert back.repaid_cents == min(owed, cents)
    assert sum(c.clawed_cents for c in back.changes) == back.repaid_cents
    assert sum(c.available_cents for c in back.changes) == cents - back.repaid_cents
    for change in back.changes:
        assert change.withdrawn_cents == -taken[change.task_id]
        assert change.available_cents + change.withdrawn_cents + change.clawed_cents == 0
        assert min(change.available_cents, change.clawed_cents) >= 0


@given(st.integers(min_value=1, max_value=10**9), CENTS, st.integers(min_value=1, max_value=9))
def test_money_back_balances_and_has_a_key_an_attempt(cents: int, owed: int, attempt: int) -> None:
    repaid = min(owed, cents)
    held = ledger.withdrawal("pay_1", "wrk_1", cents, attempt)
    back = ledger.payout_back(
        "pay_1", "wrk_1", cents, rejected=False, repaid_cents=repaid, attempt=attempt
    )
    returned = ledger.payout_returned("pay_1", Account.PAYPAL, "wrk_1", cents, repaid)
    for transfer in (held, back, returned):
        assert isinstance(transfer, Transfer)
        assert sum(line.amount_cents for line in transfer.lines) == 0
    next_held = ledger.withdrawal("pay_1", "wrk_1", cents, attempt + 1)
    assert held is not None
    assert next_held is not None
    assert held.key != next_held.key


@given(st.floats(min_value=0, max_value=10**9), st.floats(min_value=0, max_value=10**9))
def test_questions_come_ever_later_and_at_least_every_hour(one: float, two: float) -> None:
    early, late = sorted((one, two))
    assert 5 <= check_delay_s(early) <= check_delay_s(late) <= 3600


def payout(status: PayoutStatus) -> Payout:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Payout(
        payout_id="pay_1",
        worker_id="wrk_1",
        amount_cents=1,
        fee_cents=0,
        method="paypal",
        address="a@example.com",
        provider="paypal",
        status=status,
        attempt=0 if status == "approved" else 1,
        approved_by="rules",
        approved_at=now,
        error=None,
        created_at=now,
        ended_at=None,
    )


def attempt(*, prepared: bool, sent: bool = False) -> Attempt:
    return Attempt(
        payout_id="pay_1",
        attempt=1,
        provider="paypal",
        key="pay_1-1",
        reference=None,
        signed=None,
        valid_until=None,
        prepared=prepared,
        status="sent" if sent else "started",
    )


@pytest.mark.parametrize(
    ("status", "last", "age_s", "step"),
    [
        ("approved", None, 0, "start"),
        ("approved", attempt(prepared=True), 0, "start"),
        ("submitting", attempt(prepared=False), 0, "prepare"),
        ("submitting", attempt(prepared=False), RESEND_S * 2, "prepare"),
        ("submitting", attempt(prepared=True), 0, "check_or_send"),
        ("unknown", attempt(prepared=True), RESEND_S - 1, "check_or_send"),
        ("unknown", attempt(prepared=True), RESEND_S, "check"),
        ("unknown", attempt(prepared=True, sent=True), 0, "check"),
        ("submitted", attempt(prepared=True, sent=True), 0, "check"),
    ],
)
def test_the_next_step(status: PayoutStatus, last: Attempt | None, age_s: float, step: str) -> None:
    assert next_step(payout(status), last, age_s) == step


def test_an_attempt_that_is_missing_is_no_step() -> None:
    with pytest.raises(ValueError, match="without an attempt"):
        next_step(payout("submitting"), None, 0)


def test_a_day_is_utcs() -> None:
    far_east = timezone(timedelta(hours=14))
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=far_east)
    assert day_start(moment) == datetime(2026, 2, 28, tzinfo=UTC)
