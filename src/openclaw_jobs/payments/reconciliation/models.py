"""What is compared, and what a comparison finds. Amounts are US cents."""

from datetime import datetime
from typing import Final, Literal, Protocol

import msgspec

from openclaw_jobs.ledger import Account
from openclaw_jobs.payments.providers import RailRecord

FindingKind = Literal[
    "missing_in_ledger",
    "missing_on_rail",
    "amount_differs",
    "fee_differs",
    "payout_aged",
    "payout_stuck",
    "escrow_stuck",
    "deposit_unpaid",
    "webhook_failed",
    "webhook_aged",
]

OWN_BOOKS: Final = "marketplace"
"""What the report about money that is stuck in our own books is filed under, beside the rails."""


class RailRecords(Protocol):
    """Whatever can tell what a rail itself recorded; every `PayoutProvider` can."""

    @property
    def rail(self) -> Account:
        """The account of the ledger that stands for this rail."""
        ...

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        """Every movement in [since, until).

        Raises:
            ProviderUnavailable: The rail can't be reached.
        """
        ...


class PostedOnRail(msgspec.Struct, frozen=True):
    """A posting on a rail's account; `disputed_cents` is the amount of the dispute it is about."""

    at: datetime
    kind: str
    key: str
    amount_cents: int
    disputed_cents: int | None


class LedgerMovement(msgspec.Struct, frozen=True):
    """One transfer's effect on a rail's account.

    Attributes:
        names: What the rail may call the object that it is about; one at least.
        inflow: Whether the object brings money in; a fee goes with what it was taken for.
        amount_cents: What came in, less what went out.
        fee_cents: What the rail took of it, beyond that.
        at: The transfer's time.
        key: The transfer's key.
    """

    names: tuple[str, ...]
    inflow: bool
    amount_cents: int
    fee_cents: int
    at: datetime
    key: str


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that an operator has to look at.

    Attributes:
        kind: What is wrong.
        reference: What the rail calls it, or the id of what is stuck.
        key: The transfer's key in the ledger, if there is one.
        rail_cents: What the rail recorded.
        ledger_cents: What the ledger has.
        at: When it happened.
        detail: A few words more.
    """

    kind: FindingKind
    reference: str
    at: datetime
    key: str | None = None
    rail_cents: int | None = None
    ledger_cents: int | None = None
    detail: str | None = None


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What one comparison found.

    Attributes:
        rail: An account of a rail, or `OWN_BOOKS`.
        since: From when on it was compared.
        until: Up to when.
        matched: How many movements agree.
        found: How many findings there are.
        findings: The first of them.
        error: Why nothing could be compared.
        created_at: When it was done.
    """

    rail: str
    since: datetime
    until: datetime
    matched: int
    found: int
    findings: list[Finding]
    error: str | None
    created_at: datetime
