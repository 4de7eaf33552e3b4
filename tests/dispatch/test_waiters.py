"""How long a parked poll is held."""

import random

from openclaw_jobs.dispatch.waiters import held_for


def test_a_short_wait_is_kept_and_long_ones_end_apart() -> None:
    rng = random.Random(1)  # noqa: S311 - for a test
    assert {held_for(wait, rng) for wait in (0, 1.5, 19)} == {0, 1.5, 19}
    times = sorted(held_for(60, rng) for _ in range(1000))
    assert times[0] >= 54
    assert times[-1] <= 60
    seconds = [sum(int(time) == second for time in times) for second in range(54, 60)]
    assert max(seconds) < 250, "a thousand polls that came together end together"
