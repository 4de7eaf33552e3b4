"""The only source of the present time in application code."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the present time; tests and simulations inject one that they hold still."""

    def now(self) -> datetime:
        """The present moment, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment by the machine's clock, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        """Start at `start`, which must be aware."""
        if start.tzinfo is None:
            message = "a clock needs an aware datetime"
            raise ValueError(message)
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The moment this clock stands at."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move forward by `step`; a clock never runs backwards."""
        if step < timedelta(0):
            message = "a clock never runs backwards"
            raise ValueError(message)
        self._now += step
