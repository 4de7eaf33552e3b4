"""What the use cases of one process share."""

import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field

from openclaw_jobs.db import Database
from openclaw_jobs.economy import Config, ConfigCache
from openclaw_jobs.events import Bus
from openclaw_jobs.flags.sightings import Sightings
from openclaw_jobs.kit.clock import Clock
from openclaw_jobs.kit.metrics import Metrics
from openclaw_jobs.kit.tracing import OFF, Tracing
from openclaw_jobs.quality.budget import CheckBudget

_WEIGHT = 0.05


class Durations:
    """How long tasks of each category take, as this process has seen it: a moving average."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._seconds: defaultdict[str, float | None] = defaultdict(lambda: None)

    def observe(self, category: str, seconds: float) -> None:
        """Count a task that took so long from its claim to its submission."""
        known = self._seconds[category]
        self._seconds[category] = seconds if known is None else known + _WEIGHT * (seconds - known)

    def seconds(self, category: str) -> float | None:
        """The average, None before the first task."""
        return self._seconds[category]


@dataclass(frozen=True)
class Market:
    """The parts that a use case works with.

    Attributes:
        db: The pool.
        configuration: The runtime configuration, kept fresh.
        bus: Whom to tell after a commit.
        clock: The present time, where the database's does not decide.
        rng: Chance, injected so that a test can hold it still.
        durations: What this process has seen of how long tasks take.
        checks: What this process may still spend on checks.
        checks_due: Set when a check may soon have a hidden task to queue.
        checks_ready: Set when a check may have results to compare.
        metrics: What this process counts of itself.
        tracing: Makes spans, where it is on.
        sightings: What looked like abuse, to be written down soon.
    """

    db: Database
    configuration: ConfigCache
    bus: Bus
    clock: Clock
    rng: random.Random
    durations: Durations = field(default_factory=Durations)
    checks: CheckBudget = field(default_factory=CheckBudget)
    checks_due: asyncio.Event = field(default_factory=asyncio.Event)
    checks_ready: asyncio.Event = field(default_factory=asyncio.Event)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = OFF
    sightings: Sightings = field(default_factory=Sightings)

    @property
    def config(self) -> Config:
        """The runtime configuration in force now."""
        return self.configuration.current

    @staticmethod
    def monotonic() -> float:
        """Seconds that only ever grow, for measuring waits."""
        return time.monotonic()
