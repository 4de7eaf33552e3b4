"""The commands of the command line that need no server code: `worker` and `task`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import IntEnum
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.status import Status

from openclaw_jobs.client.buyer import MAX_WAIT_S, Buyer
from openclaw_jobs.client.errors import ApiError, ClientError
from openclaw_jobs.client.models import Task
from openclaw_jobs.client.program import main as program
from openclaw_jobs.client.program.link import GiveUpError
from openclaw_jobs.client.program.state import DEFAULT_FILE, StateError

_LOOK_S = 2
"""How often a waiting terminal asks for progress, in seconds."""

UrlOption = Annotated[str, typer.Option(help="Address of the server.", envvar="OPENCLAW_URL")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
TokenOption = Annotated[
    str | None,
    typer.Option(help="The worker's token, instead of --state.", envvar="OPENCLAW_TOKEN"),
]
StateOption = Annotated[Path, typer.Option(help="File that keeps the worker's token between runs.")]


class Exit(IntEnum):
    """What the exit codes of `openclaw-jobs task` and `worker` mean (2 is a wrong command line)."""

    OK = 0
    UNSUCCESSFUL = 1
    REFUSED = 3
    NO_ANSWER = 4


def register(app: typer.Typer) -> None:
    """Add the commands `worker` and `task` to a command line."""
    app.command("worker")(worker)
    app.command("task")(task)


def _fail(message: str, code: Exit) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def worker(
    *,
    url: UrlOption,
    token: TokenOption = None,
    state: StateOption = Path(DEFAULT_FILE),
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec",
            help="Shell command that does a task: reads it on standard input (JSON in"
            " $OPENCLAW_TASK_FILE) and writes the result.",
        ),
    ] = None,
    openai: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible server that does the tasks; key: OPENAI_API_KEY."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model that does the tasks.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Tasks at once.")] = 1,
    categories: Annotated[
        str | None, typer.Option(help="Only these categories, comma-separated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The worker's name.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which a task has failed.")
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds running tasks get when the worker is stopped.")
    ] = 30.0,
    show_stderr: Annotated[
        bool, typer.Option("--show-stderr", help="Pass the command's error output through.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Work: claim tasks, have a command or a model do them, hand in the results.

    Stops on SIGTERM and Ctrl-C: running tasks get --grace seconds to finish, then they are put
    back; a second signal does that at once. Exit code 0 after a stop, 3 when the server refuses
    this worker, 2 for a wrong command line or an unusable state file.
    """
    if (exec_ is None) == (openai is None):
        raise typer.BadParameter("give either --exec or --openai")
    if openai is not None and model is None:
        raise typer.BadParameter("--openai needs --model")
    _check_url(url)
    options = program.ProgramOptions(
        url=url,
        token=token,
        state_file=state,
        command=exec_,
        openai_url=openai,
        model=model,
        concurrency=concurrency,
        categories=_split(categories),
        name=name,
        as_json=json,
        timeout_s=timeout,
        grace_s=grace,
        show_stderr=show_stderr,
    )
    try:
        program.run(options)
    except GiveUpError as error:
        _fail(str(error), Exit.REFUSED)
    except StateError as error:
        raise typer.BadParameter(str(error)) from error


def task(
    *,
    prompt: Annotated[str, typer.Argument(help="What to do; - reads it from standard input.")],
    url: UrlOption,
    key: Annotated[str, typer.Option(help="API key (ocb_…).", envvar="OPENCLAW_KEY")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and print it.")] = False,
    category: Annotated[str | None, typer.Option(help="The task's category.")] = None,
    max_price_cents: Annotated[
        int | None, typer.Option(min=0, help="Don't post it when it costs more.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Post a task, and with --wait print its result.

    Exit codes: 0 posted, or with --wait completed; 1 the task failed, expired or was cancelled;
    2 wrong command line; 3 the marketplace refused; 4 no answer from the server.
    """
    _check_url(url)
    text = sys.stdin.read() if prompt == "-" else prompt
    try:
        with Buyer(url, key) as buyer:
            posted = buyer.post_task(text, category=category, max_price_cents=max_price_cents)
            if not wait:
                typer.echo(msgspec.json.encode(posted) if json else posted.id)
                return
            finished = _wait(buyer, posted.id)
    except ApiError as error:
        _fail(_readable(error), Exit.REFUSED)
    except ClientError as error:
        _fail(f"no answer from {url}: {error}", Exit.NO_ANSWER)
    if json:
        typer.echo(msgspec.json.encode(finished))
    elif finished.result is not None:
        typer.echo(finished.result)
    if finished.status not in {"completed", "credit_review", "credited"}:
        _fail(f"{finished.id} {finished.status}", Exit.UNSUCCESSFUL)


def _wait(buyer: Buyer, task_id: str) -> Task:
    """Wait for a task; on a terminal with a line about how it stands."""
    console = Console(stderr=True, highlight=False)
    status = console.status(f"{task_id} posted") if console.is_terminal else nullcontext()
    with status as shown:
        while True:
            found = buyer.get_task(task_id, wait=MAX_WAIT_S if shown is None else _LOOK_S)
            if found.finished:
                return found
            if isinstance(shown, Status):
                shown.update(_standing(found))


def _standing(found: Task) -> str:
    parts = [found.status]
    if found.queue is not None and found.queue.position is not None:
        parts.append(f"place {found.queue.position}")
    if found.queue is not None and found.queue.estimated_wait_s is not None:
        parts.append(f"about {found.queue.estimated_wait_s:.0f} s")
    if found.progress:
        parts.append(found.progress)
    return " · ".join(parts)


def _readable(error: ApiError) -> str:
    lines = [str(error), *(f"  {part.field}: {part.message}" for part in error.errors)]
    if error.request_id:
        lines.append(f"  request {error.request_id}")
    return "\n".join(lines)


def _split(listed: str | None) -> tuple[str, ...] | None:
    if listed is None:
        return None
    return tuple(part.strip() for part in listed.split(",") if part.strip())


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("--url must begin with http:// or https://")
