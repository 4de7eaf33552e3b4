"""What happens in the demo, in its order, between the start of the server and the last figure."""

import asyncio
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import msgspec

from openclaw_jobs.client import AsyncBuyer, AsyncWorker, Balance, Earning, Task, WorkerProfile
from openclaw_jobs.demo.board import Board, WorkerNews
from openclaw_jobs.demo.judge import Proof, judge_money, judge_task
from openclaw_jobs.demo.operator import Operator
from openclaw_jobs.demo.outcome import Outcome, WorkerAccount
from openclaw_jobs.demo.processes import DemoError, Household, program
from openclaw_jobs.demo.together import unless_disturbed
from openclaw_jobs.demo.views import View
from openclaw_jobs.demo.work import BASE_CENTS, GRANTED_CENTS, PYTHON, TEXT

__all__ = ["Findings", "tell"]

T = TypeVar("T")

_START_S: Final = 60.0
_TASKS_S: Final = 60.0
_READY: Final = "OpenClaw.jobs is ready at "
_AGENTS: Final = {TEXT: "text_stats", PYTHON: "python_eval"}
_FROM_THE_BEGINNING: Final = "0"


class _Buyer(msgspec.Struct, frozen=True):
    """What `openclaw-jobs buyer create` prints."""

    buyer_id: str
    api_key: str


class _WorkerState(msgspec.Struct, frozen=True):
    """Of a worker's state file: its token."""

    token: str


class _WorkerBooks(msgspec.Struct, frozen=True):
    """What a worker is told about itself."""

    profile: WorkerProfile
    earnings: tuple[Earning, ...]


class Findings(msgspec.Struct, frozen=True):
    """What was read at the end."""

    tasks: tuple[Task, ...]
    balance: Balance
    books: Mapping[str, _WorkerBooks]
    proof: Proof

    def outcome(self, board: Board, faults: list[str], seconds: float) -> Outcome:
        """Judge it; `faults` are those of the processes."""
        ids = {task.id for task in self.tasks}
        money = judge_money(
            GRANTED_CENTS,
            self.tasks,
            self.balance,
            {category: books.earnings for category, books in self.books.items()},
            self.proof,
        )
        workers = [
            WorkerAccount.of(
                category, books.profile, [e for e in books.earnings if e.task_id in ids]
            )
            for category, books in self.books.items()
        ]
        return Outcome.of(
            board, GRANTED_CENTS, self.balance, workers, self.proof, [*money, *faults], seconds
        )


async def tell(
    house: Household, board: Board, view: View, data_dir: Path, folder: Path
) -> Findings:
    """Run the marketplace's main job, and read what came of it.

    Raises:
        DemoError: Something did not start.
        ClientError, httpx.HTTPError: The server refused, or gave no answer.
    """
    token = secrets.token_urlsafe(24)
    view.say("starting the server on a fresh data directory")
    url = await _start_server(house, data_dir, token)
    view.say(f"the server answers at {url}; a buyer and two workers come")
    async with Operator(url, token) as operator:
        await operator.set_prices(BASE_CENTS)
        states = {category: folder / f"worker-{category}.json" for category in _AGENTS}
        key, _, _ = await asyncio.gather(
            _make_buyer(house, data_dir),
            _start_worker(house, board, url, states[TEXT], TEXT),
            _start_worker(house, board, url, states[PYTHON], PYTHON),
        )
        async with AsyncBuyer(url, key) as buyer:
            view.say("both workers wait for tasks; the buyer posts ten")
            await _trade(buyer, board, view)
            view.say("reading the results, the money and the ledger")
            return await _read_back(buyer, operator, board, url, states)


async def _start_server(house: Household, data_dir: Path, token: str) -> str:
    """Start it, and wait until it answers; its address."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def listen(line: str) -> None:
        if line.startswith(_READY) and not address.done():
            address.set_result(line.removeprefix(_READY))

    command = program("serve", "--port", "0", "--data-dir", str(data_dir))
    await house.start("the server", command, listen, ADMIN_TOKEN=token)
    return await _in_time(address, "the server")


async def _start_worker(
    house: Household, board: Board, url: str, state: Path, category: str
) -> None:
    """Start the worker of a category, and wait until it waits for tasks."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def listen(line: str) -> None:
        try:
            news = msgspec.json.decode(line, type=WorkerNews)
        except msgspec.DecodeError:
            return  # not of its log; the file has it, should it matter
        if news.event == "task":
            board.heard(news)
        elif news.event == "ready" and not ready.done():
            ready.set_result(None)

    agent = f"{shlex.quote(sys.executable)} -m openclaw_jobs.demo.agents.{_AGENTS[category]}"
    command = program(
        *("worker", "--json", "--url", url, "--state", str(state), "--exec", agent),
        *("--name", f"{category} worker", "--categories", category, "--timeout", "30"),
        *("--grace", "2"),
    )
    name = f"the {category} worker"
    await house.start(name, command, listen)
    await _in_time(ready, name)


async def _make_buyer(house: Household, data_dir: Path) -> str:
    """Make a buyer by the command line, as an operator does; its key."""
    email = f"demo-{secrets.token_hex(4)}@example.org"
    said = await house.run(
        "buyer create",
        program(
            *("buyer", "create", "--email", email, "--credit-cents", str(GRANTED_CENTS)),
            *("--data-dir", str(data_dir)),
        ),
    )
    return msgspec.json.decode(said, type=_Buyer).api_key


async def _in_time(ready: asyncio.Future[T], name: str) -> T:
    try:
        return await asyncio.wait_for(ready, _START_S)
    except TimeoutError:
        raise DemoError(f"{name} was not ready after {_START_S:g} s") from None


async def _trade(buyer: AsyncBuyer, board: Board, view: View) -> None:
    """Post every task, and follow them until each one's life is over, or the time is."""
    await unless_disturbed(_post(buyer, board, view), _follow(buyer, board, view))


async def _post(buyer: AsyncBuyer, board: Board, view: View) -> None:
    for row in board.rows:
        task = row.task
        answer = await buyer.post_task(task.prompt, messages=task.messages, category=task.category)
        early = board.posted(row, answer)
        view.changed(row, "posted")
        for event in early:
            view.changed(row, event.type)
    try:
        await asyncio.wait_for(board.over.wait(), _TASKS_S)
    except TimeoutError:
        view.say(f"not everything was done in {_TASKS_S:g} s")


async def _follow(buyer: AsyncBuyer, board: Board, view: View) -> NoReturn:
    """Let the board know what the buyer is told, from the first event on."""
    async for event in buyer.events(last_event_id=_FROM_THE_BEGINNING):
        row = board.apply(event)
        if row is not None:
            view.changed(row, event.type)
    raise DemoError("the stream of events ended")


async def _read_back(
    buyer: AsyncBuyer, operator: Operator, board: Board, url: str, states: Mapping[str, Path]
) -> Findings:
    """Read everything anew: what counts is what the API answers, not what was told before."""
    tasks = []
    for row in board.rows:
        if row.task_id is None:
            raise DemoError(f"task {row.number} was never posted")
        found = await buyer.get_task(row.task_id)
        row.settle(found, judge_task(row.task, found))
        tasks.append(found)
    books = {category: await _books(url, state) for category, state in states.items()}
    net = {e.task_id: e.net_cents for book in books.values() for e in book.earnings}
    for row in board.rows:
        row.earned_cents = net.get(row.task_id or "")
    return Findings(tuple(tasks), await buyer.balance(), books, await operator.prove_ledger())


async def _books(url: str, state: Path) -> _WorkerBooks:
    token = msgspec.json.decode(await asyncio.to_thread(state.read_bytes), type=_WorkerState).token
    async with AsyncWorker(url, token) as worker:
        earnings = tuple([earning async for earning in worker.earnings()])
        return _WorkerBooks(await worker.me(), earnings)
