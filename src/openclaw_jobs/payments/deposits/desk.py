"""Where deposits are taken: the account at Stripe, and what this site is to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from openclaw_jobs.payments.deposits.gateway import StripeGateway


@dataclass(frozen=True)
class DepositDesk:
    """What taking deposits needs.

    Attributes:
        gateway: The account at Stripe; None without a key.
        webhook_secret: What Stripe signs its events with; None if it was never set.
        prices: Stripe's price id for each pack that has one.
        public_url: Where the site is reached, without a trailing slash; None if nobody said.
        arrived: Set when an event was stored, for the loop of this process that works them.
    """

    gateway: StripeGateway | None
    webhook_secret: str | None
    prices: Mapping[str, str]
    public_url: str | None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def missing(self) -> list[str]:
        """The names of the settings without which no deposit can be taken."""
        found = {
            "STRIPE_SECRET_KEY": self.gateway is None,
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret is None,
        }
        return [name for name, absent in found.items() if absent]


@asynccontextmanager
async def open_desk(
    *,
    secret_key: str | None,
    webhook_secret: str | None,
    api_base: str | None,
    prices: Mapping[str, str],
    public_url: str | None,
) -> AsyncIterator[DepositDesk]:
    """A desk for the length of the block; the arguments are the settings of these names."""
    gateway = None if secret_key is None else StripeGateway.open(secret_key, api_base)
    try:
        yield DepositDesk(gateway, webhook_secret, prices, public_url)
    finally:
        if gateway is not None:
            await gateway.close()
