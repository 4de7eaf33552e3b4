"""What the platform earned and spent, by UTC day; and whether it can pay what it owes."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.ledger import EXPENSES, Account
from openclaw_jobs.ledger import store_statements as store
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.store import begin_snapshot, plan_for_whole_tables

MAX_DAYS: Final = 3660

_RAILS: Final = (Account.STRIPE, Account.BANK, Account.PAYPAL, Account.USDC_SOL)
_OWED: Final = (
    Account.BUYER_PAID,
    Account.BUYER_PROMO,
    Account.ESCROW_TASK,
    Account.WORKER_FROZEN,
    Account.WORKER_AVAILABLE,
    Account.PAYOUT,
)
_PERCENT: Final = 100


class Result(msgspec.Struct, frozen=True):
    """What a time brought, in cents.

    Attributes:
        commission_cents: The platform's share of settled tasks, less what credits took back.
        expenses: By account, `expense:…`; what came back is negative.
        net_cents: Commission less expenses.
    """

    commission_cents: int
    expenses: dict[Account, int]
    net_cents: int


class DayResult(msgspec.Struct, frozen=True):
    """The result of one UTC day."""

    day: date
    result: Result


class ProfitAndLoss(msgspec.Struct, frozen=True):
    """The days on which anything was posted, oldest first, and their sum."""

    days: list[DayResult]
    total: Result


class Coverage(msgspec.Struct, frozen=True):
    """How far the rails' assets cover what is owed, in cents; promotional credit is owed too.

    Attributes:
        assets: What stands at each rail.
        owed: To buyers and workers, by account.
        percent: Assets as a share of what is owed; None if nothing is.
        alert_below_percent: Below this the operator is told.
        alert: Whether it is below.
    """

    assets: dict[Account, int]
    owed: dict[Account, int]
    assets_cents: int
    owed_cents: int
    percent: float | None
    alert_below_percent: float
    alert: bool


async def profit_and_loss(market: Market, since: datetime, until: datetime) -> ProfitAndLoss:
    """Commission and expenses by day, over a period that may begin and end within one.

    Raises:
        Problem: `validation_failed` for a period that is too long or ends before it begins.
    """
    if since > until:
        raise invalid("to", "The period ends before it begins.")
    if until - since > timedelta(days=MAX_DAYS):
        raise invalid("from", f"A period has at most {MAX_DAYS} days.")
    async with market.db.transaction() as conn:
        await begin_snapshot(conn)
        await plan_for_whole_tables(conn)
        rows = await store.sum_by_day(conn, since, until)
    by_day: defaultdict[date, dict[Account, int]] = defaultdict(dict)
    total: defaultdict[Account, int] = defaultdict(int)
    for midnight, account, cents in rows:
        by_day[midnight.date()][account] = cents
        total[account] += cents
    days = [DayResult(day, _result(posted)) for day, posted in by_day.items()]
    return ProfitAndLoss(days, _result(total))


def _result(posted: Mapping[Account, int]) -> Result:
    commission = ledger.balance_cents(Account.COMMISSION, posted.get(Account.COMMISSION, 0))
    expenses = {account: posted.get(account, 0) for account in sorted(EXPENSES)}
    return Result(commission, expenses, commission - sum(expenses.values()))


def coverage(held: Mapping[Account, int], alert_below_percent: float) -> Coverage:
    """Compare what stands at the rails with what is owed; `held` is each account's balance."""
    assets = {account: held.get(account, 0) for account in _RAILS}
    owed = {account: held.get(account, 0) for account in _OWED}
    assets_cents, owed_cents = sum(assets.values()), sum(owed.values())
    percent = round(assets_cents * _PERCENT / owed_cents, 2) if owed_cents else None
    return Coverage(
        assets=assets,
        owed=owed,
        assets_cents=assets_cents,
        owed_cents=owed_cents,
        percent=percent,
        alert_below_percent=alert_below_percent,
        alert=assets_cents * _PERCENT < owed_cents * alert_below_percent,
    )
