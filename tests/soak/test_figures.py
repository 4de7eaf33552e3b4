"""How long a fault was felt is not longer for the one after it."""

import pytest

from tests.soak.crowd import Lived
from tests.soak.figures import Fault, judge

NORMAL_S = 0.5


def felt(*lived: tuple[float, float]) -> list[float]:
    """How long two faults were felt, at 0 s and at 10 s, by when tasks were due and took."""
    faults = [Fault("first", 0.0), Fault("second", 10.0)]
    calm = [Lived(at / 10, 0.0, 0.01) for at in range(200)]
    judge(faults, [*calm, *(Lived(due, 0.0, took) for due, took in lived)], NORMAL_S, 20.0)
    return [fault.recovered_s for fault in faults]


@pytest.mark.parametrize(
    ("life", "first", "second"),
    [
        ((1.2, 0.3), 0.0, 0.0),
        ((1.2, 0.6), 1.5, 0.0),
        ((9.7, 5.0), 0.0, 0.0),
        ((9.3, 5.0), 9.5, 0.0),
        ((10.1, 5.0), 0.0, 0.5),
        ((19.6, 5.0), 0.0, 10.0),
    ],
)
def test_a_late_task_counts_for_the_fault_that_made_it_late(
    life: tuple[float, float], first: float, second: float
) -> None:
    assert felt(life) == [first, second]
