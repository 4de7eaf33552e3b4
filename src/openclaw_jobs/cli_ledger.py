"""The commands that print the books: `ledger statement` and `ledger pnl`."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

if TYPE_CHECKING:
    from openclaw_jobs.market.context import Market
    from openclaw_jobs.market.profit_and_loss import ProfitAndLoss
    from openclaw_jobs.market.statements import StatementLine

__all__ = ["register"]

WithMarket = Callable[[Path, Callable[["Market"], Awaitable[Any]]], Any]

_DATA_DIR: Final = Path(".openclaw-jobs")

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", help="Home of the embedded PostgreSQL; not used with DATABASE_URL."),
]
From = Annotated[
    str | None, typer.Option("--from", help="Where the period begins: a date, or RFC 3339.")
]
To = Annotated[str | None, typer.Option("--to", help="Where it ends, itself not part of it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head line.")]


def register(app: typer.Typer, with_market: WithMarket) -> None:
    """Add the commands to the group `ledger`; `with_market` runs one on the database."""

    @app.command("statement")
    def statement(
        account: Annotated[
            str, typer.Argument(help="byr_…, wrk_…, or an account such as stripe or commission.")
        ],
        *,
        since: From = None,
        until: To = None,
        json: Json = False,
        csv: Csv = False,
        data_dir: DataDir = _DATA_DIR,
    ) -> None:
        """Print an account's statement: its balance, every posting of a period, and its balance."""
        _one_format(json=json, csv=csv)

        async def read(market: "Market") -> None:
            from openclaw_jobs.api.tables import moment
            from openclaw_jobs.market.statements import BEGINNING, END, stream_statement

            begin, end = moment("from", since, BEGINNING), moment("to", until, END)
            first = True
            async with aclosing(stream_statement(market, account, begin, end)) as batches:
                async for batch in batches:
                    _print_lines(batch, json=json, csv=csv, header=first)
                    first = False

        with_market(data_dir, read)

    @app.command("pnl")
    def pnl(
        *,
        since: From = None,
        until: To = None,
        json: Json = False,
        csv: Csv = False,
        data_dir: DataDir = _DATA_DIR,
    ) -> None:
        """Print commission, expenses and what is left by UTC day; the last 30 days by default."""
        _one_format(json=json, csv=csv)

        async def read(market: "Market") -> None:
            from openclaw_jobs.api.operator_money import pnl_begin, pnl_csv, pnl_report
            from openclaw_jobs.api.tables import moment
            from openclaw_jobs.market.profit_and_loss import profit_and_loss

            end = moment("to", until, market.clock.now())
            begin = moment("from", since, pnl_begin(end))
            found = await profit_and_loss(market, begin, end)
            if json:
                typer.echo(msgspec.json.encode(pnl_report(found, begin, end)).decode())
            elif csv:
                typer.echo(pnl_csv(found), nl=False)
            else:
                _print_pnl(found)

        with_market(data_dir, read)


def _one_format(*, json: bool, csv: bool) -> None:
    if json and csv:
        raise typer.BadParameter("Choose one of --json and --csv")


def _print_lines(lines: "Sequence[StatementLine]", *, json: bool, csv: bool, header: bool) -> None:
    from openclaw_jobs.api.operator_money import statement_csv, statement_entry
    from openclaw_jobs.kit.money import format_cents

    if csv:
        typer.echo(statement_csv(lines, header=header), nl=False)
        return
    for line in lines:
        if json:
            typer.echo(msgspec.json.encode(statement_entry(line)).decode())
            continue
        at = "" if line.at is None else f"{line.at:%Y-%m-%d %H:%M:%S}"
        amount = "" if line.amount_cents is None else format_cents(line.amount_cents)
        typer.echo(
            f"{at:<19}  {line.kind:<16}  {line.account:<20}  {amount:>14}  "
            f"{format_cents(line.balance_cents):>14}  {line.key or ''}".rstrip()
        )


def _print_pnl(found: "ProfitAndLoss") -> None:
    from openclaw_jobs.kit.money import format_cents

    # Expenses that never were would only make the lines too long for a terminal.
    spent = [account for account, cents in found.total.expenses.items() if cents]
    names = ["commission", *(account.removeprefix("expense:") for account in spent), "net"]
    typer.echo(f"{'day':<10}" + "".join(f"{name:>14}" for name in names))
    for day, result in [
        *((str(day.day), day.result) for day in found.days),
        ("total", found.total),
    ]:
        amounts = [
            result.commission_cents,
            *(result.expenses[account] for account in spent),
            result.net_cents,
        ]
        typer.echo(f"{day:<10}" + "".join(f"{format_cents(cents):>14}" for cents in amounts))
