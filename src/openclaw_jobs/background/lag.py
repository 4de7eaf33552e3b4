"""How late the event loop is: what every request waits for besides its own work."""

import asyncio
import time
from typing import Final

from openclaw_jobs.kit.metrics import Metrics

_EVERY_S: Final = 0.25


async def watch_lag(metrics: Metrics, stop: asyncio.Event) -> None:
    """Set a timer again and again until `stop`, and note by how much it fires too late."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    due = 0.0

    def fired() -> None:
        nonlocal timer, due
        late = time.monotonic() - due
        metrics.loop_lag.observe(max(0.0, late))
        due = time.monotonic() + _EVERY_S
        timer = loop.call_later(_EVERY_S, fired)

    due = time.monotonic() + _EVERY_S
    timer = loop.call_later(_EVERY_S, fired)
    try:
        await stop.wait()
    finally:
        timer.cancel()
