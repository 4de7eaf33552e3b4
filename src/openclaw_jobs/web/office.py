"""What the operator's pages work with beyond what other pages have."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from openclaw_jobs.market.read_stats import StatsReader
from openclaw_jobs.payments.reconciliation import RailRecords

__all__ = ["Office"]


@dataclass(frozen=True)
class Office:
    """An operator's desk in one process.

    Attributes:
        stats: The live figures.
        rails: Whose own records can be compared with the ledger.
        dismiss: Lets a worker's parked polls go, once it is suspended.
        proving: Held while the ledger is proven.
        reconciling: Held while rails are compared.
        trying: Held while a configuration is simulated.
    """

    stats: StatsReader
    rails: Sequence[RailRecords]
    dismiss: Callable[[str], None]
    proving: asyncio.Lock = field(default_factory=asyncio.Lock)
    reconciling: asyncio.Lock = field(default_factory=asyncio.Lock)
    trying: asyncio.Lock = field(default_factory=asyncio.Lock)
