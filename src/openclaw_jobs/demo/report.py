"""What the demo prints at its end: the tasks, the money of both sides, the proof, how to go on."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.terminal_theme import MONOKAI

from openclaw_jobs.demo.board import Board
from openclaw_jobs.demo.outcome import Outcome
from openclaw_jobs.demo.views import money, task_table

__all__ = ["draw", "print_outcome"]

_NEXT: Final = """\
Go on with a marketplace of your own:
  make serve                                    # http://127.0.0.1:8000; leave it running
  . .venv/bin/activate                          # in a second terminal
  openclaw-jobs buyer create --email you@example.org --credit-cents 500   # prints your key
  export OPENCLAW_URL=http://127.0.0.1:8000 OPENCLAW_KEY=ocb_…
  openclaw-jobs worker --state worker.json --exec 'wc -w' &
  openclaw-jobs task "one two three four" --wait
"""

_WIDTH: Final = 130
# Rich's own form loads a font from a web server; this one takes what the reader has.
_SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "Fira Code", Menlo, Consolas, "DejaVu Sans Mono", monospace; \
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def print_outcome(console: Console, board: Board, outcome: Outcome) -> None:
    """Print all of it."""
    _print_accounts(console, board, outcome)
    console.print()
    if outcome.ok:
        right = f"All {len(outcome.tasks)} tasks were done and their results are true"
        console.print(f"{right}, in {outcome.seconds:.1f} s.", style="bold green")
        console.print()
        console.print(_NEXT, markup=False, end="", soft_wrap=True)
        return
    console.print("Something went wrong:", style="bold red")
    wrong = [f"task {task.number} {task.wrong}" for task in outcome.tasks if task.wrong]
    for fault in [*wrong, *outcome.faults]:
        console.print(f"  {fault}", style="red", markup=False, soft_wrap=True)


def draw(board: Board, outcome: Outcome, file: Path) -> None:
    """Draw the tables as an SVG picture, for the documentation."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=_WIDTH,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        _environ={},
    )
    _print_accounts(console, board, outcome)
    picture = console.export_svg(title="make demo", theme=MONOKAI, code_format=_SVG)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (line.rstrip() for line in picture.splitlines())
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _print_accounts(console: Console, board: Board, outcome: Outcome) -> None:
    console.print(task_table(board, datetime.now(UTC), console.width))
    buyer = outcome.buyer
    console.print(
        f" The buyer was granted {money(buyer.granted_cents)}, spent {money(buyer.spent_cents)}"
        f" and has {money(buyer.balance_cents)} left.",
        highlight=False,
    )
    console.print(_worker_table(outcome))
    proof = outcome.ledger
    verdict = "The ledger adds up" if proof.ok else "THE LEDGER DOES NOT ADD UP"
    console.print(
        f" {verdict}: {proof.transactions} transactions, {proof.entries} entries in"
        f" {proof.accounts} accounts, sum {proof.sum_cents} cents.",
        style="green" if proof.ok else "bold red",
        highlight=False,
    )


def _worker_table(outcome: Outcome) -> Table:
    table = Table(
        title="\n What the workers earned",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in ("worker", "tier"):
        table.add_column(name, no_wrap=True)
    for name in ("tasks", "paid", "platform", "earned", "frozen"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("until (UTC)", no_wrap=True)
    for worker in outcome.workers:
        until = worker.frozen_until
        table.add_row(
            worker.name,
            worker.tier,
            str(worker.tasks),
            money(worker.gross_cents),
            money(worker.commission_cents),
            money(worker.net_cents),
            money(worker.frozen_cents),
            until.strftime("%d %b %H:%M") if until else "",
        )
    return table
