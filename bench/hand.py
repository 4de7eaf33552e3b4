"""One worker as a process of its own, at an address of its own (`python -m bench.hand`).

It gets its task as a line of JSON, connects, prints its id, waits for a line, and works with the
SDK until it is stopped: by the marketplace, or by a second line. Then it prints what it did.
"""

import asyncio
import random
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp.connector import AddrInfoType

from bench import questions
from openclaw_jobs.client import ApiError, Assignment, AsyncWorker, Preferences
from openclaw_jobs.client.transport.aiohttp_transport import AiohttpTransport

Answer = Callable[[str, int], str]
"""What a worker makes of a prompt, the how manieth of its life."""

TURNS_AFTER: Final = 25
"""The turncoat's first bad result comes after so many good ones."""

_CONSTANT: Final = "I have completed this task as you asked. Everything is done and in good order."
_WAIT_S: Final = 5


class FromAddress(AiohttpTransport):
    """Calls from one of this machine's addresses, as workers of different machines do."""

    def __init__(self, address: str) -> None:
        """Call from `address`."""
        super().__init__()
        self._address = address

    def _socket(self, address: AddrInfoType) -> socket.socket:
        made = super()._socket(address)
        made.bind((self._address, 0))
        return made


def answers(kind: str, rng: random.Random) -> Answer:
    """How a worker of this kind answers."""

    def turncoat(prompt: str, number: int) -> str:
        return (questions.right if number < TURNS_AFTER else questions.wrong)(prompt, rng)

    kinds: dict[str, Answer] = {
        "honest": lambda prompt, _: questions.right(prompt, rng),
        "empty": lambda _, __: "",
        "constant": lambda _, __: _CONSTANT,
        "copied prompt": lambda prompt, _: prompt,
        "wrong numbers": lambda prompt, _: questions.wrong(prompt, rng),
        "turncoat": turncoat,
    }
    return kinds[kind]


async def work(task: dict[str, Any]) -> dict[str, Any]:
    """Work until stopped; what was done."""
    rng = random.Random(task["seed"])  # noqa: S311 - no secret
    answer = answers(task["kind"], rng)
    transport = FromAddress(task["address"])
    worker = await AsyncWorker.connect(
        task["url"],
        name=task["name"],
        preferences=Preferences(max_concurrent=1),
        transport=transport,
    )
    assert worker.connected is not None
    _tell(worker.connected.worker_id)
    await asyncio.to_thread(sys.stdin.readline)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stopping.set)
    done, suspended = 0, False
    try:
        while not stopping.is_set():
            for assignment in await worker.next(wait=_WAIT_S):
                # As long as an agent thinks, scaled down.
                await asyncio.sleep(rng.uniform(0.5, 1.5) * task["seconds"])
                result = answer(assignment.prompt or "", done)
                done += await _submitted(worker, assignment, result)
    except ApiError as error:
        if error.code != "suspended":
            raise
        suspended = True
    await worker.close()
    await transport.close()
    return {"done": done, "suspended": suspended}


async def _submitted(worker: AsyncWorker, assignment: Assignment, result: str) -> bool:
    """Hand a result in; False if the task was another's by then, as that of a stopped worker is."""
    try:
        return (await worker.submit(assignment, result=result)).accepted
    except ApiError as error:
        if error.code != "lease_lost":
            raise
        return False


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Be one worker."""
    task = msgspec.json.decode(sys.stdin.readline())
    _tell(msgspec.json.encode(asyncio.run(work(task))).decode())


if __name__ == "__main__":
    main()
