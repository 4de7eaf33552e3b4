"""A worker's hours: in its own time zone, over midnight, and when the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.workers import Schedule
from openclaw_jobs.workers.rules import hours_until_open, within_schedule


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        ([(9, 17)], "2026-01-15T08:59:59", False),
        ([(9, 17)], "2026-01-15T09:00:00", True),
        ([(9, 17)], "2026-01-15T16:59:59", True),
        ([(9, 17)], "2026-01-15T17:00:00", False),
        ([(22, 6)], "2026-01-15T21:59:59", False),
        ([(22, 6)], "2026-01-15T22:00:00", True),
        ([(22, 6)], "2026-01-16T00:00:00", True),
        ([(22, 6)], "2026-01-16T05:59:59", True),
        ([(22, 6)], "2026-01-16T06:00:00", False),
        ([(0, 24)], "2026-01-15T23:59:59", True),
        ([(22, 24), (0, 2)], "2026-01-15T01:59:59", True),
        ([(22, 24), (0, 2)], "2026-01-15T02:00:00", False),
        ([(24, 6)], "2026-01-15T05:00:00", True),
        ([(24, 6)], "2026-01-15T23:00:00", False),
        ([(9, 9)], "2026-01-15T09:30:00", False),
        ([], "2026-01-15T12:00:00", False),
    ],
)
def test_hours_in_utc(hours: list[tuple[int, int]], moment: str, *, inside: bool) -> None:
    assert within_schedule(Schedule("UTC", hours), utc(moment)) is inside


def test_no_schedule_is_always() -> None:
    assert within_schedule(None, utc("2026-01-15T03:00:00"))


@pytest.mark.parametrize(
    ("zone", "moment", "inside"),
    [
        # Berlin goes from 2:00 to 3:00 at 1:00 UTC: nine o'clock comes an hour earlier in UTC.
        ("Europe/Berlin", "2026-03-28T07:30:00", False),
        ("Europe/Berlin", "2026-03-28T08:00:00", True),
        ("Europe/Berlin", "2026-03-29T06:30:00", False),
        ("Europe/Berlin", "2026-03-29T07:00:00", True),
        # And back from 3:00 to 2:00 on 25 October.
        ("Europe/Berlin", "2026-10-24T07:00:00", True),
        ("Europe/Berlin", "2026-10-25T07:00:00", False),
        ("Europe/Berlin", "2026-10-25T08:00:00", True),
        ("Asia/Kolkata", "2026-01-15T03:29:59", False),
        ("Asia/Kolkata", "2026-01-15T03:30:00", True),
    ],
)
def test_nine_to_five_follows_the_clock_on_the_wall(
    zone: str, moment: str, *, inside: bool
) -> None:
    assert within_schedule(Schedule(zone, [(9, 17)]), utc(moment)) is inside


def test_an_hour_that_is_skipped_or_comes_twice() -> None:
    night = Schedule("Europe/Berlin", [(2, 3)])
    day = utc("2026-03-28T23:00:00")
    quarters = [day + timedelta(minutes=15 * n) for n in range(96)]
    assert not any(within_schedule(night, moment) for moment in quarters)
    day = utc("2026-10-24T22:00:00")
    quarters = [day + timedelta(minutes=15 * n) for n in range(100)]
    assert sum(within_schedule(night, moment) for moment in quarters) == 8


moments = st.integers(0, 2 * 366 * 86_400).map(
    lambda seconds: utc("2025-01-01T00:00:00") + timedelta(seconds=seconds)
)
spans = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=3)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])


@given(zones, spans, moments)
def test_within_agrees_with_hours_listed_one_by_one(
    zone: str, hours: list[tuple[int, int]], now: datetime
) -> None:
    open_hours = {
        hour % 24
        for start, end in hours
        if start != end
        for hour in range(start, end if start < end else end + 24)
    }
    local = now.astimezone(ZoneInfo(zone))
    assert within_schedule(Schedule(zone, hours), now) is (local.hour in open_hours)


@given(spans, moments)
def test_it_opens_when_it_says(hours: list[tuple[int, int]], now: datetime) -> None:
    schedule = Schedule("UTC", hours)
    wait = hours_until_open(schedule, now)
    # From 24 to 0 is from one midnight to the same.
    opens = any(start % 24 != end % 24 for start, end in hours)
    assert (wait == 0) is within_schedule(schedule, now)
    assert 0 <= wait <= 24
    if not opens:
        assert wait in {0, 24}
    elif wait > 0:
        then = now + timedelta(hours=wait) + timedelta(seconds=1)
        assert within_schedule(schedule, then)
        assert not within_schedule(schedule, now + timedelta(hours=wait) - timedelta(seconds=2))
