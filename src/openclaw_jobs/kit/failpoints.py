"""Places where a process can be told to die, so that tests prove what a restart makes of it.

A failpoint stands between two steps of something that must survive a death there. In development
`OPENCLAW_FAILPOINT` names one: the process kills itself when it comes by, as a power cut would.
Elsewhere a failpoint is one comparison.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

POINTS: Final = frozenset(
    {
        # Every transaction of a use case, whatever it is about.
        "transaction.written",
        "transaction.committed",
        # A deposit, in order.
        "deposit.begun",
        "deposit.session_made",
        "deposit.session_kept",
        "webhook.kept",
        "webhook.applied",
        "webhook.worked",
        "deposit.fee_known",
        "deposit.fee_posted",
        # A credit.
        "credit.lots_taken",
        "credit.posted",
        "credit.committed",
        # A check, in order.
        "check.queued",
        "check.compared",
        "check.judged",
        "check.blamed",
        "check.recorded",
        # A payout.
        "withdrawal.held",
        "withdrawal.committed",
        "payout.decided",
        "payout.approved",
        "payout.taken",
        "payout.started",
        "payout.prepared",
        "payout.sent",
        "payout.written",
        "payout.recorded",
    }
)
"""Every failpoint there is."""


def die() -> None:
    """End this process at once: nothing is caught, flushed or rolled back."""
    os.kill(os.getpid(), signal.SIGKILL)


class _Armed:
    """Where this process is to die, and how; nowhere by default."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.act: Callable[[], None] = die


_armed: Final = _Armed()


def arm(name: str | None, act: Callable[[], None] = die) -> None:
    """Have this process die at a failpoint, or at none.

    Args:
        name: One of `POINTS`; None disarms.
        act: What happens there, each time; a test that stays alive raises instead.

    Raises:
        ValueError: There is no such failpoint.
    """
    if name is not None and name not in POINTS:
        raise ValueError(f"there is no failpoint {name!r}")
    _armed.name, _armed.act = name, act


def failpoint(name: str) -> None:
    """Die here if this process was told to."""
    if _armed.name is None:
        return
    if _armed.name == name:
        _armed.act()
