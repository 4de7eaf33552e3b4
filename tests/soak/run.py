"""A soak: half of what the machine can do, with something broken every ten seconds."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle

from tests.soak.audit import audit
from tests.soak.crowd import Crowd
from tests.soak.figures import Fault, Memory, judge, quantile
from tests.soak.stage import LEASE_SECONDS, Stage, open_stage

NOTHING = "nothing, for comparison"
"""What is slow then is slow by itself."""

FAULTS = (
    "kill a web process",
    "cut HTTP: answers lost",
    "cut PostgreSQL: statements lost",
    "kill a web process",
    "crash PostgreSQL",
    "cut HTTP: requests lost",
    "kill a web process",
    "cut PostgreSQL: answers lost",
    "cut HTTP and PostgreSQL",
    "kill a web process",
    NOTHING,
    NOTHING,
)
"""One after the other; with one in ten seconds, a process is killed every thirty."""

_PATIENCE_S = 120.0
_TOO_MANY = 429
_OUR_FAULT = 500

AGAIN_S = 5.0
"""How soon after a fault the p99 is to be as before."""


@dataclass(frozen=True)
class Plan:
    """How long each part takes, in seconds.

    Attributes:
        full_speed_s: The capacity is measured, with nothing broken, after half as long of the same.
        calm_s: The load of half of it alone: what is normal.
        faults_s: Everything is broken in turn.
        spacing_s: Between two faults.
        faults: What is broken, again and again.
    """

    full_speed_s: float
    calm_s: float
    faults_s: float
    spacing_s: float
    faults: Sequence[str] = FAULTS


@dataclass
class Report:
    """What was seen; `wrong` is empty when all held that must hold whatever the machine."""

    capacity: float = 0.0
    rate: float = 0.0
    tasks: int = 0
    calm_p99_s: float = 0.0
    normal_s: float = 0.0
    all_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    faults: list[Fault] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    statuses: dict[int, int] = field(default_factory=dict)
    refused: dict[tuple[int, str], int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    cut: int = 0
    lease_lost: int = 0
    skipped: int = 0
    backlog: tuple[int, float] = (0, 0.0)
    false_starts: int = 0
    skewed: bool = False
    wrong: list[str] = field(default_factory=list)


async def soak(plan: Plan) -> Report:
    """Run it and look at everything afterwards."""
    report = Report()
    async with open_stage() as stage, AsyncExitStack() as stack:
        crowd = await Crowd.gather(stage.back, stage.url)
        watching = asyncio.create_task(report.memory.watch(stage.pids, crowd.stop))
        lives = await crowd.enter(stack)
        stack.push_async_callback(_end, lives, 0)
        await crowd.at_full_speed(plan.full_speed_s / 2)
        report.capacity = await crowd.at_full_speed(plan.full_speed_s)
        report.rate = max(1.0, report.capacity / 2)
        calm = time.monotonic()
        end = calm + plan.calm_s + plan.faults_s
        posting = asyncio.create_task(crowd.at_rate(report.rate, end))
        await asyncio.sleep(plan.calm_s)
        report.faults = await _break(stage, plan, end)
        await posting
        await _finish(report, stage, crowd)
        report.wrong += _errors(lives)
        crowd.stop.set()
        await watching
        await _end(lives, len(crowd.tokens))
        _measure(report, crowd, calm, plan.calm_s, end)
        report.wrong += await audit(crowd, stage.running["web-1"].address, stage.back)
        _look_at(stage, report)
        for each in stage.running.values():
            await each.stop()
    return report


async def _finish(report: Report, stage: Stage, crowd: Crowd) -> None:
    """Wait until every task has ended and been told of; that some were not is wrong."""
    began, behind = time.monotonic(), crowd.waiting
    try:
        await crowd.all_done(_PATIENCE_S + 2 * LEASE_SECONDS)
        report.backlog = (behind, time.monotonic() - began)
        await crowd.all_heard(_PATIENCE_S)
    except TimeoutError:
        report.wrong.append(
            f"{crowd.waiting} of {behind} tasks still waited after"
            f" {time.monotonic() - began:.0f} s; {stage.back.statuses()}"
        )


async def _break(stage: Stage, plan: Plan, end: float) -> list[Fault]:
    """Break one thing after the other, and see to it that what was killed comes back."""
    faults: list[Fault] = []
    mending: list[asyncio.Task[None]] = []
    for kind in cycle(plan.faults):
        if time.monotonic() + plan.spacing_s > end:
            break
        faults.append(Fault(kind, time.monotonic()))
        mending += _do(stage, kind)
        await asyncio.sleep(plan.spacing_s)
    await asyncio.gather(*mending)
    return faults


def _do(stage: Stage, kind: str) -> list[asyncio.Task[None]]:
    if kind == "kill a web process":
        return [asyncio.create_task(stage.kill())]
    if kind == "crash PostgreSQL":
        return [asyncio.create_task(stage.crash_postgres())]
    if kind.startswith("cut HTTP"):
        stage.front.cut("forth" if "requests" in kind else "back")
    if "PostgreSQL" in kind:
        stage.base.cut("forth" if "statements" in kind else "back")
    return []


def _errors(lives: list[asyncio.Task[None]]) -> list[str]:
    """Whoever gave up: workers and listeners are to go on whatever happens."""
    return [repr(life.exception()) for life in lives if life.done() and not life.cancelled()]


async def _end(lives: list[asyncio.Task[None]], workers: int) -> None:
    """Let the workers end what they have begun, and nobody go on."""
    if workers:
        await asyncio.wait(lives[:workers], timeout=30)
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)


def _measure(report: Report, crowd: Crowd, calm: float, calm_s: float, end: float) -> None:
    alone = [life.done_s for life in crowd.lived if calm <= life.due < calm + calm_s]
    under_load = [life.done_s for life in crowd.lived if life.due >= calm]
    report.tasks = len(crowd.lived)
    report.calm_p99_s = quantile(alone, 0.99)
    # A half second holds too few tasks for their slowest to be the same each time.
    report.normal_s = 2 * report.calm_p99_s + 0.1
    report.all_s = (
        quantile(under_load, 0.5), quantile(under_load, 0.99), max(under_load, default=0.0)
    )  # fmt: skip
    judge(report.faults, crowd.lived, report.normal_s, end)
    report.refused = dict(crowd.refused)
    report.repeated = dict(crowd.repeated)
    report.lease_lost = len(crowd.unsure)
    report.skipped = crowd.skipped


def _look_at(stage: Stage, report: Report) -> None:
    """What the processes said and answered."""
    report.statuses = dict(sorted(stage.front.statuses.items()))
    report.cut = stage.front.lost + stage.base.lost
    report.skewed = stage.skewed
    report.false_starts = stage.false_starts
    report.wrong += [
        f"{count} answers with {status}"
        for status, count in report.statuses.items()
        if status == _TOO_MANY or (status >= _OUR_FAULT and status not in {502, 503})
    ]
    for each in [*stage.running.values(), *stage.ended]:
        report.wrong += [line for line in each.said if "Traceback" in line][:5]
