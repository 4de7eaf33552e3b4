"""The commands that say who runs the place: `operator add`, `operator remove`, `operator list`.

Beside them `operator sign-out`, which ends the sessions of anybody.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

if TYPE_CHECKING:
    from openclaw_jobs.identity.models import User
    from openclaw_jobs.market.context import Market

__all__ = ["register"]

WithMarket = Callable[[Path, Callable[["Market"], Awaitable[Any]]], Any]

_DATA_DIR: Final = Path(".openclaw-jobs")
_ACTOR: Final = "cli"

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", help="Home of the embedded PostgreSQL; not used with DATABASE_URL."),
]
Email = Annotated[str, typer.Argument(help="The address that they sign in with.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer, with_market: WithMarket) -> None:
    """Add the group `operator`; `with_market` runs one of its commands on the database."""
    group = typer.Typer(help="Who runs the place in a browser.", no_args_is_help=True)
    app.add_typer(group, name="operator")

    @group.command("add")
    def add(email: Email, *, data_dir: DataDir = _DATA_DIR, json: Json = False) -> None:
        """Let somebody see and use the operator's pages; whoever signs in with this address."""
        user = with_market(data_dir, _change(email, operator=True))
        _print(user, f"{user.email} is an operator.", as_json=json)

    @group.command("remove")
    def remove(email: Email, *, data_dir: DataDir = _DATA_DIR, json: Json = False) -> None:
        """Take the role from somebody; in force with their next request."""
        user = with_market(data_dir, _change(email, operator=False))
        _print(user, f"{user.email} is no operator any more.", as_json=json)

    @group.command("sign-out")
    def sign_out(email: Email, *, data_dir: DataDir = _DATA_DIR, json: Json = False) -> None:
        """End all sessions of somebody, operator or not; in force with their next request."""

        async def end(market: "Market") -> int:
            from openclaw_jobs.market.people import sign_out_person

            return await sign_out_person(market, email, actor=_ACTOR)

        ended = with_market(data_dir, end)
        _print({"ended": ended}, f"Ended {ended} session(s) of {email}.", as_json=json)

    @group.command("list")
    def list_(*, data_dir: DataDir = _DATA_DIR, json: Json = False) -> None:
        """Print who has the role."""

        async def read(market: "Market") -> "list[User]":
            from openclaw_jobs.market.people import list_operators

            return await list_operators(market)

        found = with_market(data_dir, read)
        _print(found, "\n".join(user.email for user in found) or "Nobody.", as_json=json)


def _change(email: str, *, operator: bool) -> Callable[["Market"], Awaitable["User"]]:
    async def change(market: "Market") -> "User":
        from openclaw_jobs.market.people import set_operator

        return await set_operator(market, email, operator=operator, actor=_ACTOR)

    return change


def _print(value: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401 - whatever JSON has
    typer.echo(msgspec.json.encode(value).decode() if as_json else text)
