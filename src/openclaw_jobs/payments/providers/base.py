"""What a rail can do for a payout, and what may come of it.

No method touches the database. The caller commits an attempt with its key, and what `prepare`
signed, before it calls `send`; so a process that dies at any line finds out by `check` what has
become of it, and never pays twice.
"""

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from openclaw_jobs.ledger import Rail

ProviderName = Literal["paypal", "solana", "manual"]


class PayoutOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to pay one worker, as it is stored.

    Attributes:
        payout_id: The payout.
        attempt: Which attempt it is, from 1.
        key: Unique to the attempt; the provider's idempotency key where it has one.
        amount_cents: How much the worker gets, in US cents.
        address: Where to: a PayPal e-mail address or a Solana address.
        reference: What the provider calls it, once that is known.
        signed: The bytes that `prepare` signed; sent again as they are.
        valid_until: After this it can't or must not be sent again (a block height, a Unix time).
    """

    payout_id: str
    attempt: int
    key: str
    amount_cents: int
    address: str
    reference: str | None = None
    signed: bytes | None = None
    valid_until: int | None = None


class Prepared(msgspec.Struct, frozen=True):
    """What must be stored before the money moves."""

    reference: str | None = None
    signed: bytes | None = None
    valid_until: int | None = None


class Sent(msgspec.Struct, frozen=True):
    """The provider has it and will pay; ask again later."""

    reference: str | None


class Paid(msgspec.Struct, frozen=True):
    """The money has reached the worker; `fee_cents` is what the rail took on top."""

    reference: str | None
    fee_cents: int


class Failed(msgspec.Struct, frozen=True):
    """It was not paid and never will be; the worker's money may go back."""

    reason: str


class Returned(msgspec.Struct, frozen=True):
    """It was paid, or held for the worker, and has come back to the rail."""

    reason: str


class Unknown(msgspec.Struct, frozen=True):
    """Nobody knows: no answer, or one that doesn't say. Never taken for a failure."""

    reason: str


Outcome = Sent | Paid | Failed | Returned | Unknown


class RailRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A movement as the rail itself recorded it; an amount that left is negative."""

    reference: str
    key: str | None
    amount_cents: int
    fee_cents: int
    at: datetime


class PayoutProvider(Protocol):
    """A rail. Implementations are safe to call again with the same order."""

    name: ProviderName
    rail: Rail

    async def prepare(self, order: PayoutOrder) -> Prepared:
        """Make what has to be stored first. Moves nothing.

        Raises:
            ProviderUnavailable: The rail can't be reached; try later, nothing has happened.
        """
        ...

    async def send(self, order: PayoutOrder) -> Outcome:
        """Have the order paid; the same order again has no further effect."""
        ...

    async def check(self, order: PayoutOrder) -> Outcome:
        """What has become of an order that was, or may have been, sent."""
        ...

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        """The rail's own record of that time, for reconciliation.

        Raises:
            ProviderUnavailable: The rail can't be reached.
        """
        ...


class ProviderUnavailable(Exception):  # noqa: N818 - a state, not a mistake
    """The rail can't be reached now, and nothing has been asked of it."""
