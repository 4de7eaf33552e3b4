"""Data for the page of all components."""

from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["sample"]

_DAYS: Final = 30
_TIME: Final = datetime(2026, 11, 24, 11, 2, tzinfo=UTC)


def sample() -> dict[str, Any]:
    """A time, and a month of figures that go up and down."""
    points = [(f"{day} Nov", (day * 37 % 19) * 130) for day in range(1, _DAYS + 1)]
    return {"sample_time": _TIME, "sample_points": points}
