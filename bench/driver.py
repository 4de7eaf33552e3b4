"""A client process: it drives the server with the SDK as its task says (`python -m bench.driver`).

The task comes as one line of JSON; it answers `ready`, waits for a line, works, and prints its
result as one line of JSON.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import uvloop

from bench.seed import PROMPT, RESULT
from openclaw_jobs.client import AsyncBuyer, AsyncWorker, NextTasks, Submission
from openclaw_jobs.client.call import Call, decoder, encode
from openclaw_jobs.client.session import AsyncSession

_BATCH: Final = 20


class _Done(msgspec.Struct):
    task_id: str


_NOOP_BODY: Final = encode(
    {
        "task_id": "task_" + "0" * 26,
        "lease_token": "lease_" + "x" * 32,
        "status": "completed",
        "result": RESULT,
    }
)


async def noop(url: str, token: str, path: str, deadline: float) -> int:
    """POST to a route that does nothing, again and again; returns how often."""
    session = AsyncSession(url, token)
    call = Call(method="POST", path=path, body=_NOOP_BODY, decode=decoder(_Done))
    done = 0
    while time.monotonic() < deadline:
        await session.run(call)
        done += 1
    await session.close()
    return done


async def single(url: str, token: str, deadline: float) -> int:
    """Next, submit, next, submit; returns how many tasks were accepted."""
    done = 0
    async with AsyncWorker(url, token) as worker:
        while time.monotonic() < deadline:
            for task in await worker.next(wait=1):
                receipt = await worker.submit(task, result=RESULT)
                done += receipt.accepted
    return done


async def chained(url: str, token: str, deadline: float) -> int:
    """Each submission brings the next task; returns how many tasks were accepted."""
    done = 0
    async with AsyncWorker(url, token) as worker:
        tasks = (await worker.next(wait=1)).tasks
        while tasks:
            more = NextTasks(wait=1, max=1) if time.monotonic() < deadline else None
            receipt = await worker.submit(tasks[0], result=RESULT, next=more)
            done += receipt.accepted
            tasks = receipt.tasks or ()
    return done


async def batches(url: str, token: str, deadline: float) -> int:
    """As `chained`, twenty at a time."""
    done = 0
    async with AsyncWorker(url, token) as worker:
        tasks = (await worker.next(wait=1, max=_BATCH)).tasks
        while tasks:
            more = NextTasks(wait=1, max=_BATCH) if time.monotonic() < deadline else None
            outcomes = [Submission.completed(task, RESULT) for task in tasks]
            answer = await worker.submit_many(outcomes, next=more)
            done += sum(receipt.accepted for receipt in answer.receipts)
            tasks = answer.tasks or ()
    return done


async def rate(task: dict[str, Any]) -> dict[str, Any]:
    """So many clients at once, for so many seconds."""
    url, seconds = task["url"], task["seconds"]
    await _word()
    started = time.monotonic()
    deadline = started + seconds

    def start(token: str) -> Awaitable[int]:
        if task["mode"] == "noop":
            return noop(url, token, task["path"], deadline)
        mode: dict[str, Callable[[str, str, float], Awaitable[int]]] = {
            "single": single,
            "next": chained,
            "batch": batches,
        }
        return mode[task["mode"]](url, token, deadline)

    done = sum(await asyncio.gather(*map(start, task["tokens"])))
    return {"done": done, "seconds": time.monotonic() - started}


async def park(task: dict[str, Any]) -> dict[str, Any]:
    """Workers that wait for tasks, note when each comes, hand it in, and wait again."""
    arrivals: dict[str, float] = {}
    stopping = asyncio.Event()

    async def wait_and_work(token: str) -> None:
        async with AsyncWorker(task["url"], token) as worker:
            while not stopping.is_set():
                for found in await worker.next(wait=60):
                    arrivals[found.task_id] = time.monotonic()
                    await worker.submit(found, result=RESULT)

    workers = [asyncio.create_task(wait_and_work(token)) for token in task["tokens"]]
    await _word()
    stopping.set()
    for worker in workers:
        worker.cancel()
    for outcome in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return arrivals


async def post(task: dict[str, Any]) -> dict[str, Any]:
    """Post tasks at a fixed rate; when each was answered, and how long that took."""
    answered: dict[str, float] = {}
    late: list[float] = []
    took: list[float] = []
    buyers = [AsyncBuyer(task["url"], key) for key in task["keys"]]

    async def post_one(buyer: AsyncBuyer) -> None:
        asked = time.monotonic()
        posted = await buyer.post_task(PROMPT)
        answered[posted.id] = time.monotonic()
        took.append(answered[posted.id] - asked)

    # The connections are open and the statements prepared before anything counts.
    await asyncio.gather(*map(post_one, buyers))
    await _word()
    answered.clear()
    took.clear()
    started = time.monotonic()
    running: list[asyncio.Task[None]] = []
    for number in range(int(task["rate"] * task["seconds"])):
        due = started + number / task["rate"]
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        late.append(max(0.0, time.monotonic() - due))
        running.append(asyncio.create_task(post_one(buyers[number % len(buyers)])))
    await asyncio.gather(*running)
    for buyer in buyers:
        await buyer.close()
    return {"answered": answered, "took": took, "latest_s": max(late)}


async def _word() -> None:
    """Say that all is ready, and wait for a line."""
    _tell("ready")
    await asyncio.to_thread(sys.stdin.readline)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Do one task."""
    task = msgspec.json.decode(sys.stdin.readline())
    what = {"rate": rate, "park": park, "post": post}[task["do"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _tell(msgspec.json.encode(runner.run(what(task))).decode())


if __name__ == "__main__":
    main()
