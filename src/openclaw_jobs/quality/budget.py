"""What one process may still spend on checks, in memory; the database grants it (`store_budget`).

A reserve is taken before its transaction begins to write and counts as under way until that has
ended. What is granted anew is less by all that was under way when the grant was asked for, or was
taken since: so nothing is spent twice, and a reserve may only ever be counted twice.
"""

import asyncio
import secrets
from typing import Final

import msgspec

from openclaw_jobs.quality import rules
from openclaw_jobs.quality.record import Allotment

ASK_AGAIN_S: Final = 1.0
"""A process that is short asks at most this often."""

STALE_S: Final = 30.0
"""An allotment this old is not spent any more; others take it back after twice that."""


class Volume(msgspec.Struct, frozen=True):
    """What a process has seen and not yet written down."""

    paid_cents: int = 0
    paid_claims: int = 0
    refused: int = 0


class Grant(msgspec.Struct, frozen=True):
    """What the database granted, with the figures that it went by, in cents of 24 hours."""

    cents: int
    paid_cents: int
    spent_cents: int
    budget_cents: int


class CheckBudget:
    """The allotment of this process, and what it has seen of the volume.

    Attributes:
        node_id: What this process is called among those that have an allotment.
        grant: What was granted last.
        version: The version of the configuration that it was granted under.
        asking: Held while it is granted anew.
    """

    def __init__(self) -> None:
        """Nothing is granted yet."""
        self.asking = asyncio.Lock()
        self.node_id = f"chk-{secrets.token_hex(8)}"
        self.grant = Grant(0, 0, 0, 0)
        self.version: int | None = None
        self._left = Allotment(0)
        self._under_way = 0
        self._taken_since = 0
        self._under_way_then = 0
        self._short = False
        self._asked_at = float("-inf")
        self._volume = Volume()
        self._claims = 0

    @property
    def hidden_share(self) -> float:
        """The share of the trailing day's work that is hidden, as of the last grant."""
        return rules.hidden_share(self.grant.paid_cents, self.grant.spent_cents)

    @property
    def left_cents(self) -> int:
        """What may still be reserved."""
        return self._left.cents

    def must_ask(self, version: int, now: float) -> bool:
        """Whether to have it granted anew before anything is drawn.

        Args:
            version: Of the quality configuration in force.
            now: The process's monotonic time, in seconds.
        """
        if version != self.version:
            return True
        since = now - self._asked_at
        return since >= STALE_S or (self._short and since >= ASK_AGAIN_S)

    def take(self, cents: int) -> bool:
        """Reserve so much for a transaction; False, and a refused check, if it is not there."""
        left = rules.take(self._left, cents)
        if left is None:
            self._short = True
            self._volume = msgspec.structs.replace(self._volume, refused=self._volume.refused + 1)
            return False
        self._left = left
        self._under_way += cents
        self._taken_since += cents
        return True

    def ended(self, cents: int, *, committed: bool) -> None:
        """A transaction that reserved so much is over; undone, it gives it back."""
        self._under_way -= cents
        if not committed:
            self._left = rules.give_back(self._left, cents)

    def count(self, *, paid_cents: int = 0, paid_claims: int = 0) -> None:
        """Count what buyers' tasks came to, once it is committed."""
        self._claims += paid_claims
        volume = self._volume
        self._volume = Volume(
            volume.paid_cents + paid_cents, volume.paid_claims + paid_claims, volume.refused
        )

    def take_claims(self) -> int:
        """How many of buyers' tasks were handed out here since this was asked last."""
        claims, self._claims = self._claims, 0
        return claims

    def begin_asking(self, now: float) -> Volume:
        """What to write down with the question; it counts as written until `failed_asking`."""
        self._under_way_then = self._under_way
        self._taken_since = 0
        self._asked_at = now
        volume, self._volume = self._volume, Volume()
        return volume

    def granted(self, grant: Grant, version: int) -> None:
        """Spend from what was granted now on."""
        self.grant = grant
        self.version = version
        self._short = False
        self._left = Allotment(max(0, grant.cents - self._under_way_then - self._taken_since))

    def failed_asking(self, volume: Volume) -> None:
        """Nothing was written down."""
        self._volume = Volume(
            self._volume.paid_cents + volume.paid_cents,
            self._volume.paid_claims + volume.paid_claims,
            self._volume.refused + volume.refused,
        )
