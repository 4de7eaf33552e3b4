"""The rail that an operator is: it pays by hand from the bank, and says so."""

from datetime import datetime

from openclaw_jobs.ledger import Account, Rail
from openclaw_jobs.payments.providers.base import (
    Outcome,
    PayoutOrder,
    Prepared,
    ProviderName,
    RailRecord,
    Sent,
)


class ManualProvider:
    """Takes every order and waits: only the operator's word ends it.

    The orders are exported as a file, and marked paid or failed one by one.
    """

    name: ProviderName = "manual"
    rail: Rail = Account.BANK

    async def prepare(self, order: PayoutOrder) -> Prepared:  # noqa: ARG002 - the port's
        """Nothing has to be signed."""
        return Prepared()

    async def send(self, order: PayoutOrder) -> Outcome:
        """It is on the operator's list."""
        return Sent(order.reference)

    async def check(self, order: PayoutOrder) -> Outcome:
        """It still is."""
        return Sent(order.reference)

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:  # noqa: ARG002 - the port's
        """A bank's statement is the operator's to compare: no bank tells us."""
        return []
