"""A small simulation of two configurations in a process of its own, watched as it runs.

The marketplace's own process would stand still for as long as a simulation takes, so this module is
also a program: it reads what to simulate from its input, and writes lines of JSON.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from importlib.util import find_spec
from typing import Final

import msgspec

from openclaw_jobs.economy import Config
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.simulate.models import POPULATION, Result, Settings

__all__ = ["SETTINGS", "Finished", "Progress", "run_trial"]

SETTINGS: Final = Settings(workers=1_000, tasks=200)
"""Small enough to wait for."""

_TIMEOUT_S: Final = 180.0
_STEPS: Final = 50
_NICE: Final = 10
_LINE_BYTES: Final = 16 * 1024 * 1024
_KEPT: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV")
"""What of the environment is passed on; the secrets in it are not."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far both simulations are; 1 is done."""

    share: float


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """What came of both."""

    present: Result
    proposed: Result


class _Order(msgspec.Struct, frozen=True):
    present: Config
    proposed: Config
    settings: Settings


async def run_trial(
    present: Config, proposed: Config, settings: Settings = SETTINGS
) -> AsyncGenerator[Progress | Finished, None]:
    """Simulate two configurations with the same workers and the same seed.

    The process ends with the generator; close it to end it sooner.

    Raises:
        Problem: `unavailable`: the package for it is not installed, or it failed or took too long.
    """
    if find_spec("numpy") is None:
        raise _unavailable("This server cannot simulate: install openclaw-jobs[server,simulate].")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process with pipes has both")
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            with contextlib.suppress(ConnectionError):
                process.stdin.write(msgspec.json.encode(_Order(present, proposed, settings)))
                await process.stdin.drain()
                process.stdin.close()
            async for line in process.stdout:
                yield msgspec.json.decode(line, type=Progress | Finished)
            if await process.wait() != 0:
                raise _unavailable("The simulation failed; the server's log says why.")
    except TimeoutError:
        raise _unavailable(f"The simulation took more than {_TIMEOUT_S:.0f} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _unavailable(detail: str) -> Problem:
    return Problem("unavailable", detail, headers={"Retry-After": "60"})


def main() -> None:
    """Simulate what the input asks for; lines of JSON tell how far it is, and what came of it."""
    # What needs numpy is imported by the program alone.
    from openclaw_jobs.simulate.run import simulate  # noqa: PLC0415

    os.nice(_NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)

    def one(config: Config, base: float) -> Result:
        told = -1

        def on_tick(tick: int, last: int) -> None:
            nonlocal told
            step = tick * _STEPS // max(last, 1)
            if step > told:
                told = step
                _tell(Progress(base + step / _STEPS / 2))

        return simulate(config, POPULATION, order.settings, on_tick)

    _tell(Finished(one(order.present, 0.0), one(order.proposed, 0.5)))


def _tell(message: Progress | Finished) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
