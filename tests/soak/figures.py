"""What is measured while it goes on: latencies around each fault, and memory."""

import asyncio
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.crowd import Lived

WINDOW_S = 0.5
_PAGE = os.sysconf("SC_PAGE_SIZE")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass
class Fault:
    """Something that was broken on purpose, when, and how long tasks took longer for it.

    `recovered_s` is from the fault until the tasks that are posted are done as fast as before; a
    task that was under way in the fault is late, but those after it need not be.
    """

    kind: str
    at: float
    recovered_s: float = 0.0
    worst_s: float = 0.0


def judge(faults: Sequence[Fault], lived: Sequence[Lived], normal_s: float, end: float) -> None:
    """Find how long each fault was felt: until the last half second whose p99 was not normal.

    A task that was not late yet as the next fault came is late by that one.
    """
    by_window: dict[int, list[Lived]] = {}
    for life in lived:
        by_window.setdefault(int(life.due / WINDOW_S), []).append(life)
    for at, fault in enumerate(faults):
        following = faults[at + 1].at if at + 1 < len(faults) else math.inf
        for window in range(int(fault.at / WINDOW_S), int(min(following, end) / WINDOW_S)):
            took = [
                life.done_s
                for life in by_window.get(window, [])
                if life.due + min(life.done_s, normal_s) <= following
            ]
            if quantile(took, 0.99) > normal_s:
                fault.recovered_s = max(0.0, (window + 1) * WINDOW_S - fault.at)
            fault.worst_s = max([fault.worst_s, *took])


@dataclass
class Memory:
    """The resident memory of processes, a sample a second."""

    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    async def watch(self, pids: Callable[[], dict[str, int]], stop: asyncio.Event) -> None:
        """Sample until `stop` is set."""
        while not stop.is_set():
            now = time.monotonic()
            for name, pid in pids().items():
                if (size := _resident_mib(pid)) is not None:
                    self.samples.setdefault(name, []).append((now, size))
            try:
                async with asyncio.timeout(1):
                    await stop.wait()
            except TimeoutError:
                continue

    def slope(self, name: str) -> tuple[float, float, float]:
        """MiB after the first fifth of the time, at its end, and MiB a minute between them."""
        points = self.samples[name][len(self.samples[name]) // 5 :]
        count = len(points)
        mean_x = sum(x for x, _ in points) / count
        mean_y = sum(y for _, y in points) / count
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        together = sum((x - mean_x) * (y - mean_y) for x, y in points)
        return points[0][1], points[-1][1], 60 * together / spread if spread else 0.0


def _resident_mib(pid: int) -> float | None:
    """None when the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[1]) * _PAGE / 1024**2
