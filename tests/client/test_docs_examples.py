"""The examples of the SDK's page run as they stand there."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.marketplace import Marketplace

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "sdk.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(source: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, str(PAGE), "exec"), names)  # noqa: S102 - our own page


async def finish_every_task(market: Marketplace) -> None:
    done: set[str] = set()
    while True:
        await market.until(lambda: market.tasks.keys() - done, within_s=60)
        for task_id in market.tasks.keys() - done:
            done.add(task_id)
            market.tasks[task_id].update(status="completed", result="42")
            market.event("task.completed", task_id=task_id, status="completed")
            await market.changed()


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_an_example_runs(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    async with Marketplace() as market:
        source = EXAMPLES[number].replace("https://market.example.org", market.url)
        source = source.replace("ocb_your_key", "ocb_key")
        if "Worker" in source:
            for prompt in ("one two three", "four"):
                await market.offer(prompt)
            await asyncio.to_thread(run, source)
            assert [sent["result"] for sent in market.submissions] == ["3 words", "1 words"]
            return
        finishing = asyncio.create_task(finish_every_task(market))
        await asyncio.to_thread(run, source)
        finishing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await finishing
        assert "completed" in capsys.readouterr().out


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3
