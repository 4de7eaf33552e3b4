"""When the matcher ticks."""

import pytest

from openclaw_jobs.dispatch import matcher


@pytest.fixture
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only wake-ups and arrivals start a round."""
    monkeypatch.setattr(matcher, "_TICK_SECONDS", 3600.0)


@pytest.fixture
def fast_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "_TICK_SECONDS", 0.01)
