"""A failpoint does nothing until it is armed, and then exactly there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from openclaw_jobs.kit import failpoints
from openclaw_jobs.kit.failpoints import POINTS, failpoint

SOURCE = Path(__file__).resolve().parents[2] / "src" / "openclaw_jobs"


def test_each_point_stands_in_one_place() -> None:
    found = [
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r'^\s+failpoint\("([^"]+)"\)', path.read_text(), re.MULTILINE)
    ]
    assert sorted(found) == sorted(POINTS)


def test_it_acts_where_it_is_armed_and_nowhere_else() -> None:
    met: list[str] = []
    try:
        failpoints.arm("payout.sent", lambda: met.append("payout.sent"))
        for name in POINTS:
            failpoint(name)
        assert met == ["payout.sent"]
        failpoints.arm(None)
        failpoint("payout.sent")
        assert met == ["payout.sent"]
    finally:
        failpoints.arm(None)


def test_a_point_that_is_not_there_cannot_be_armed() -> None:
    with pytest.raises(ValueError, match="no failpoint"):
        failpoints.arm("payout.nowhere")


async def test_the_process_is_gone_at_once() -> None:
    program = (
        "import atexit\n"
        "from openclaw_jobs.kit import failpoints\n"
        "atexit.register(print, 'flushed')\n"
        "failpoints.arm('payout.sent')\n"
        "try:\n"
        "    failpoints.failpoint('payout.sent')\n"
        "finally:\n"
        "    print('unwound')\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert (process.returncode, said) == (-9, b"")
