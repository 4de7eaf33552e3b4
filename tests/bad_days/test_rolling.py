"""A release rolled out under load: no call of the SDK fails, nothing is lost or done twice.

The clients have the SDK's own patience (`RetryPolicy`: up to five tries of a call that may be
repeated or that nobody can have acted on), and see one address, as behind a proxy.
"""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from openclaw_jobs.client import AsyncBuyer, AsyncWorker, NextTasks
from openclaw_jobs.client.models import Assignment
from tests.bad_days.door import one_door
from tests.bad_days.programs import (
    Back,
    Program,
    background,
    behind,
    program,
    together,
    until,
    web,
)

MORE = 10
"""Tasks that have to be done between two steps of the roll-out."""


class Life:
    """Buyers and workers that go on until they are told to stop; an error of a call is raised."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = asyncio.Event()
        self.done: dict[str, str] = {}
        self.heard: set[str] = set()

    async def buy(self, key: str, name: str) -> None:
        async with AsyncBuyer(self.url, key) as buyer:
            number = 0
            while not self.stop.is_set():
                number += 1
                posted = await buyer.post_task(f"{name} {number}")
                task = await buyer.wait_for(posted.id)
                assert (task.status, task.result) == ("completed", f"did {name} {number}")
                assert task.id not in self.done
                self.done[task.id] = f"{name} {number}"

    async def work(self, token: str) -> None:
        async with AsyncWorker(self.url, token) as worker:
            tasks: list[Assignment] = []
            while tasks or not self.stop.is_set():
                if not tasks:
                    tasks += await worker.next(wait=2, max=2)
                    continue
                task = tasks.pop()
                asked = None if self.stop.is_set() else NextTasks(wait=1, max=2)
                receipt = await worker.submit(task, result=f"did {task.prompt}", next=asked)
                assert receipt.accepted
                tasks += receipt.tasks or ()

    async def listen(self, key: str) -> None:
        async with AsyncBuyer(self.url, key) as buyer:
            async for event in buyer.events(last_event_id="0"):
                if event.type == "task.completed":
                    assert event.task_id is not None
                    assert event.task_id not in self.heard
                    self.heard.add(event.task_id)

    async def goes_on(self) -> None:
        goal = len(self.done) + MORE
        await until(lambda: len(self.done) >= goal, 60)


async def restart(stack: AsyncExitStack, old: Program, dsn: str) -> Program:
    """As `systemctl restart` does: the old one ends, and the new one takes its address."""
    await old.stop()
    if not old.address.startswith("http"):
        return await stack.enter_async_context(background(dsn))
    port = str(urlsplit(old.address).port)
    return await stack.enter_async_context(program("web", "--port", port, DATABASE_URL=dsn))


async def test_a_rolling_restart_fails_no_call(dsn: str) -> None:
    async with behind(dsn) as back, AsyncExitStack() as stack:
        running = await stack.enter_async_context(together(web(dsn), web(dsn), background(dsn)))
        replaced: list[Program] = []
        url = await stack.enter_async_context(one_door([each.address for each in running[:2]]))
        life = Life(url)
        keys = [await back.buyer() for _ in range(2)]
        listening = [asyncio.create_task(life.listen(key)) for key in keys]
        lives = [asyncio.create_task(life.buy(key, f"b{n}")) for n, key in enumerate(keys)]
        lives += [asyncio.create_task(life.work(await back.worker())) for _ in range(3)]
        watching = asyncio.gather(*lives, *listening)
        rolling = asyncio.create_task(roll_out(life, stack, running, replaced, dsn))
        # A call that fails ends the test at once, and with its own error.
        await asyncio.wait((rolling, watching), return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            said = "\n".join(ran.text() for ran in [*running, *replaced])
            raise AssertionError(said) from watching.exception()
        await rolling
        life.stop.set()
        await asyncio.gather(*lives)
        await heard_all(life)
        for each in listening:
            each.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await check(life, back)
        for new in replaced:
            await new.stop()
        assert all("Traceback" not in ran.text() for ran in [*running, *replaced])


async def roll_out(
    life: Life, stack: AsyncExitStack, running: list[Program], replaced: list[Program], dsn: str
) -> None:
    await life.goes_on()
    for old in running:
        replaced.append(await restart(stack, old, dsn))
        await life.goes_on()


async def heard_all(life: Life) -> None:
    await until(lambda: life.heard >= set(life.done), 20)


async def check(life: Life, back: Back) -> None:
    assert life.heard == set(life.done)
    assert back.statuses() == {"completed": len(life.done)}
    results = dict(
        back.rows(
            "SELECT r.task_id, r.result FROM task_results r"
            " JOIN tasks t ON t.id = r.task_id AND t.check_id IS NULL"
        )
    )
    assert results == {task: f"did {name}" for task, name in life.done.items()}
    assert back.rows("SELECT 1 FROM attempts WHERE outcome <> 'completed'") == []
    await back.prove()
