"""What an operator reads of the money: statements, profit and loss, and what rails say of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from openclaw_jobs.api import tables
from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.ledger import Account, Rail
from openclaw_jobs.market import profit_and_loss as pnl
from openclaw_jobs.market import statements
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.reconcile import Reconciled, list_reconciliations, reconcile
from openclaw_jobs.market.statements import AccountBalance, StatementLine
from openclaw_jobs.market.top_up_rail import ToppedUp, top_up_rail
from openclaw_jobs.payments.reconciliation import RailRecords, Reconciliation

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]
_PNL_DAYS: Final = 30
_COLUMNS: Final = (
    "time",
    "transaction",
    "kind",
    "key",
    "account",
    "counter_accounts",
    "amount_cents",
    "balance_cents",
)
_TOPPED_UP: Final[dict[str, Rail]] = {"paypal": Account.PAYPAL, "usdc_sol": Account.USDC_SOL}

Format = Literal["json", "csv"]
From = Annotated[str | None, QueryParameter(name="from", description="A date, or RFC 3339.")]
To = Annotated[str | None, QueryParameter(name="to", description="Not part of the period.")]


class TopUpBody(Body, frozen=True, kw_only=True):
    """Money that was moved from the bank to a rail; `reference` is what the rail calls it."""

    rail: Literal["paypal", "usdc_sol"]
    amount_cents: Annotated[int, Meta(ge=1, le=10**12)]
    reference: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,100}\Z")]


class StatementEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One posting; amounts count as the account's own kind does."""

    at: str | None
    transaction: str | None
    kind: str
    key: str | None
    account: str
    counter_accounts: list[str]
    amount_cents: int | None
    balance_cents: int


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a statement; `balances` are of the whole period, lines are oldest first."""

    account: str
    since: str | None = msgspec.field(name="from")
    until: str | None = msgspec.field(name="to")
    balances: list[AccountBalance]
    lines: list[StatementEntry]
    next_cursor: str | None


class PnlRow(msgspec.Struct, frozen=True, kw_only=True):
    """Commission, expenses and what is left, in cents; `day` is None for the sum of all."""

    day: date | None
    commission_cents: int
    expenses: dict[str, int]
    net_cents: int


class PnlReport(msgspec.Struct, frozen=True, kw_only=True):
    """The UTC days on which anything was posted, oldest first, and their sum."""

    since: str = msgspec.field(name="from")
    until: str = msgspec.field(name="to")
    days: list[PnlRow]
    total: PnlRow


class ReconciliationList(msgspec.Struct, frozen=True):
    """What comparisons found."""

    reconciliations: list[Reconciliation]


def operator_money_routes(market: Market, rails: Sequence[RailRecords]) -> list[Any]:
    """The routes; `rails` are those that can be compared."""

    @post(
        "/api/cron/reconcile",
        status_code=200,
        opt=route_options(auth="operator", rate="admin"),
        operation_id="cronReconcile",
        security=_OPERATOR,
        tags=_TAGS,
    )
    async def run_reconcile() -> Reconciled:
        """Compare each rail's own records with the ledger now."""
        return await reconcile(market, rails)

    @get(
        "/api/admin/reconciliations",
        opt=route_options(auth="operator", rate="admin"),
        operation_id="listReconciliations",
        security=_OPERATOR,
        tags=_TAGS,
    )
    async def reconciliations(
        rail: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    ) -> ReconciliationList:
        """The latest report on each rail; with `rail`, the latest on that one, newest first."""
        return ReconciliationList(await list_reconciliations(market, rail, limit))

    @post(
        "/api/admin/top-ups",
        status_code=201,
        opt=route_options(auth="operator", rate="admin", replay=True),
        operation_id="topUpRail",
        security=_OPERATOR,
        tags=_TAGS,
        responses=problem_responses("validation_failed"),
    )
    async def top_up(request: ApiRequest, data: JSONBody[TopUpBody]) -> ToppedUp:
        """Book money that was moved from the bank to a rail, once for each reference."""
        rail = _TOPPED_UP[data.rail]
        replay = request.replay(_as_it_is, status=201)
        return await top_up_rail(
            market, rail, data.amount_cents, data.reference, request.operator, replay
        )

    return [_statement(market), _pnl(market), run_reconcile, reconciliations, top_up]


def _as_it_is(done: ToppedUp) -> ToppedUp:
    return done


def _statement(market: Market) -> Any:  # noqa: ANN401 - Litestar's handler
    @get(
        "/api/admin/statements/{account:str}",
        opt=route_options(auth="operator", rate="admin"),
        operation_id="getStatement",
        security=_OPERATOR,
        tags=_TAGS,
        responses=problem_responses("not_found", "validation_failed", "unavailable"),
    )
    async def statement(
        account: FromPath[str],
        since: From = None,
        until: To = None,
        format: FromQuery[Format] = "json",  # noqa: A002 - the query's own name
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> Response[StatementPage]:
        """The statement of a buyer, a worker or a platform account, such as `stripe`.

        As JSON page by page; as CSV all of it, streamed from one snapshot.
        """
        begin = tables.moment("from", since, statements.BEGINNING)
        end = tables.moment("to", until, statements.END)
        if format == "csv":
            batches = statements.stream_statement(market, account, begin, end)
            # What there is to refuse is refused before the answer begins.
            first = await anext(batches)
            return tables.StreamedCsv(_csv(first, batches), f"{account.replace(':', '-')}.csv")
        start = tables.decode_position(cursor)
        found = await statements.get_statement(market, account, begin, end, start, limit)
        return Response(
            StatementPage(
                account=found.account,
                since=rfc3339_or_none(None if since is None else begin),
                until=rfc3339_or_none(None if until is None else end),
                balances=found.balances,
                lines=[statement_entry(line) for line in found.lines],
                next_cursor=tables.encode_position(found.resume_at),
            )
        )

    return statement


async def _csv(
    first: list[StatementLine], rest: AsyncGenerator[list[StatementLine], None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield statement_csv(first, header=True).encode()
        async for batch in rest:
            yield statement_csv(batch).encode()


def statement_csv(lines: Sequence[StatementLine], *, header: bool = False) -> str:
    """Lines of a statement as CSV; accounts on the other side are parted by spaces."""
    rows = [
        (
            rfc3339_or_none(line.at),
            line.transaction,
            line.kind,
            line.key,
            line.account.value,
            " ".join(line.counter_accounts),
            line.amount_cents,
            line.balance_cents,
        )
        for line in lines
    ]
    return tables.csv_lines([_COLUMNS, *rows] if header else rows)


def statement_entry(line: StatementLine) -> StatementEntry:
    """A line of a statement as JSON."""
    return StatementEntry(
        at=rfc3339_or_none(line.at),
        transaction=line.transaction,
        kind=line.kind,
        key=line.key,
        account=line.account,
        counter_accounts=list(line.counter_accounts),
        amount_cents=line.amount_cents,
        balance_cents=line.balance_cents,
    )


def _pnl(market: Market) -> Any:  # noqa: ANN401 - Litestar's handler
    @get(
        "/api/admin/pnl",
        opt=route_options(auth="operator", rate="admin"),
        operation_id="getProfitAndLoss",
        security=_OPERATOR,
        tags=_TAGS,
        responses=problem_responses("validation_failed"),
    )
    async def report(
        since: From = None,
        until: To = None,
        format: FromQuery[Format] = "json",  # noqa: A002 - the query's own name
    ) -> Response[PnlReport | str]:
        """Commission, expenses and net by UTC day; the last 30 days unless a period is given."""
        end = tables.moment("to", until, market.clock.now())
        begin = tables.moment("from", since, pnl_begin(end))
        found = await pnl.profit_and_loss(market, begin, end)
        if format == "csv":
            named = {"Content-Disposition": 'attachment; filename="profit-and-loss.csv"'}
            return Response(pnl_csv(found), media_type=tables.CSV, headers=named)
        return Response(pnl_report(found, begin, end))

    return report


def pnl_begin(end: datetime) -> datetime:
    """Where a report begins that is only told its end."""
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(midnight, statements.BEGINNING + timedelta(days=_PNL_DAYS)) - timedelta(
        days=_PNL_DAYS
    )


def pnl_report(found: pnl.ProfitAndLoss, begin: datetime, end: datetime) -> PnlReport:
    """Profit and loss as JSON."""
    return PnlReport(
        since=rfc3339(begin),
        until=rfc3339(end),
        days=[_row(day.day, day.result) for day in found.days],
        total=_row(None, found.total),
    )


def _row(day: date | None, result: pnl.Result) -> PnlRow:
    return PnlRow(
        day=day,
        commission_cents=result.commission_cents,
        expenses=in_cents(result.expenses),
        net_cents=result.net_cents,
    )


def pnl_csv(found: pnl.ProfitAndLoss) -> str:
    """Profit and loss as CSV: a row a day, and the sum."""
    rows: list[list[str | int]] = [
        ["day", "commission_cents", *in_cents(found.total.expenses), "net_cents"]
    ]
    results = [(day.day.isoformat(), day.result) for day in found.days]
    for name, result in [*results, ("total", found.total)]:
        expenses = in_cents(result.expenses).values()
        rows.append([name, result.commission_cents, *expenses, result.net_cents])
    return tables.csv_lines(rows)


def in_cents(amounts: dict[Account, int]) -> dict[str, int]:
    """Amounts by account as fields: `expense:promo` is `expense_promo_cents`."""
    return {f"{account.replace(':', '_')}_cents": cents for account, cents in amounts.items()}
