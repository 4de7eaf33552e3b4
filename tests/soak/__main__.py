"""`make soak`: SOAK_SECONDS in all, 600 by default; exits with 1 when something was wrong.

It exits with 2 when nothing was, but a fault was felt for too long or memory grew.
"""

import asyncio
import os
import sys

import uvloop

from tests.soak.run import AGAIN_S, NOTHING, Plan, Report, soak

_MOST_GROWTH = 2.0
"""MiB a minute, over what is left of the time when a process has warmed up."""


def missed(report: Report) -> list[str]:
    """What is also to hold, but depends on how much of the machine the soak has for itself."""
    found = [
        f"normal again {fault.recovered_s:.1f} s after: {fault.kind}"
        for fault in report.faults
        if fault.kind != NOTHING and fault.recovered_s > AGAIN_S
    ]
    for name in report.memory.samples:
        first, last, slope = report.memory.slope(name)
        if slope > _MOST_GROWTH:
            found.append(f"memory of {name} grows: {first:.0f} to {last:.0f} MiB")
    if not report.skewed:
        found.append("no clock was wrong: faketime is not on this machine")
    return found


def write(report: Report) -> None:
    """Print what was seen."""
    say = sys.stdout.write
    say(f"capacity {report.capacity:.0f} tasks/s, so {report.rate:.0f} are posted a second\n")
    say(f"{report.tasks} tasks; skipped {report.skipped}; web-2's clock wrong: {report.skewed}\n")
    say(f"calm p99 {report.calm_p99_s * 1000:.0f} ms, normal is up to {report.normal_s:.2f} s\n")
    middle, high, most = report.all_s
    say(f"all: median {middle * 1000:.0f} ms, p99 {high:.2f} s, slowest {most:.1f} s\n")
    say(f"answers {report.statuses}; refused {report.refused}\n")
    say(f"repeated {report.repeated}; cut {report.cut}; leases lost {report.lease_lost}\n")
    left, seconds = report.backlog
    say(f"{left} tasks were under way at the end, and took {seconds:.1f} s\n")
    say(f"false starts {report.false_starts}; load of the machine {os.getloadavg()}\n")
    for kind in dict.fromkeys(fault.kind for fault in report.faults):
        felt = [fault for fault in report.faults if fault.kind == kind]
        times = sorted(fault.recovered_s for fault in felt)
        late = sum(time > AGAIN_S for time in times)
        say(
            f"{kind}: {len(felt)} times, normal again after {times[len(times) // 2]:.1f} s"
            f" (median), {times[-1]:.1f} s (most); later than {AGAIN_S:.0f} s: {late};"
            f" slowest task {max(fault.worst_s for fault in felt):.1f} s\n"
        )
    for name in report.memory.samples:
        first, last, slope = report.memory.slope(name)
        say(f"memory of {name}: {first:.0f} → {last:.0f} MiB, {slope:+.2f} MiB a minute\n")
    for line in missed(report):
        say(f"MISSED: {line}\n")
    for line in report.wrong:
        say(f"WRONG: {line}\n")
    say("nothing lost, nothing doubled, the ledger proved\n" if not report.wrong else "")


def main() -> int:
    """Soak for as long as the environment says."""
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    plan = Plan(
        full_speed_s=min(10.0, seconds / 10),
        calm_s=min(20.0, seconds / 6),
        faults_s=seconds - min(10.0, seconds / 10) - min(20.0, seconds / 6),
        spacing_s=10.0 if seconds >= 120 else 4.0,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(soak(plan))
    write(report)
    return 1 if report.wrong else 2 if missed(report) else 0


if __name__ == "__main__":
    sys.exit(main())
