"""A short soak: one fault of each kind. `make soak` is the long one."""

import pytest

from tests.soak.run import FAULTS, Plan, soak

FEW = (
    "kill a web process",
    "cut HTTP: answers lost",
    "crash PostgreSQL",
    "cut HTTP and PostgreSQL",
)


async def test_nothing_is_lost_or_doubled_whatever_breaks() -> None:
    assert set(FEW) < set(FAULTS)
    report = await soak(Plan(full_speed_s=1, calm_s=1, faults_s=9, spacing_s=2, faults=FEW))
    assert report.wrong == []
    assert [fault.kind for fault in report.faults] == list(FEW)
    assert report.tasks >= 20
    assert report.cut > 0
    assert min(report.repeated.values()) > 0
    if not report.skewed:
        pytest.skip("all held, but no clock was wrong: faketime is not on this machine")
