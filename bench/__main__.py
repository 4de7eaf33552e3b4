"""`python -m bench`."""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console

from bench import (
    blind,
    checks,
    depth,
    document,
    http,
    kernel,
    limits,
    pages,
    parked,
    settlement,
    town,
)
from bench.report import Figure, show
from bench.stage import Stage, open_stage
from openclaw_jobs.logs import configure_logging

PARTS: dict[str, Callable[[Stage], Awaitable[list[Figure]]]] = {
    "limits": limits.run,
    "kernel": kernel.run,
    "http": http.run,
    "parked": parked.run,
    "depth": depth.run,
    "money": settlement.run,
    "checks": checks.run,
    "pages": pages.run,
    "town": town.run,
    "quality-blind": blind.run,
}


def main(
    *,
    only: Annotated[str, typer.Option(help=f"Some of {','.join(PARTS)}.")] = ",".join(PARTS),
    json: Annotated[Path | None, typer.Option(help="Write the figures here as well.")] = None,
    write_docs: Annotated[
        Path | None, typer.Option(help="A page whose places for these parts get their figures.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="A smoke run; its figures mean nothing.")] = False,
) -> None:
    """Measure the marketplace on this machine, and print one table."""
    chosen = only.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"no such part: {', '.join(unknown)}", param_hint="--only")
    places = [] if write_docs is None else document.parts_in(write_docs, chosen)
    console = Console(width=None if sys.stdout.isatty() else 160)
    configure_logging(level="WARNING", json=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_run(chosen, console, quick=quick))
    figures = [figure for part in found.values() for figure in part]
    show(figures, console)
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}."
        " Server, clients and PostgreSQL (fsync on) share them; the ledger was proved after"
        " each run."
    )
    if write_docs is not None:
        for part in places:
            document.write(write_docs, part, found[part])
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


async def _run(chosen: list[str], console: Console, *, quick: bool) -> dict[str, list[Figure]]:
    figures: dict[str, list[Figure]] = {}
    async with open_stage(quick=quick) as stage:
        for name, part in PARTS.items():
            if name not in chosen:
                continue
            started = time.monotonic()
            console.print(f"measuring {name} …")
            figures[name] = await part(stage)
            console.print(f"  {time.monotonic() - started:.0f} s")
    return figures


typer.run(main)
