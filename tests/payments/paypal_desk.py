"""A PayPal rail at work against the fake server, shared by its tests."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from openclaw_jobs.kit.clock import ManualClock
from openclaw_jobs.payments.providers import Outcome, PayoutOrder, Sent
from openclaw_jobs.payments.providers.paypal import PayPal
from tests.fakes.paypal import Json, PayPalServer

EMAIL = "worker@example.com"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Desk:
    """A PayPal account with 1,000 dollars, and a worker that has one as well."""

    server: PayPalServer
    clock: ManualClock
    http: httpx.AsyncClient
    rail: PayPal

    def restarted(self, secret: str | None = None, *, timeout_s: float = 5.0) -> PayPal:
        """The same rail in a new process."""
        self.http.timeout = httpx.Timeout(timeout_s)
        secret = secret or self.server.client_secret
        return PayPal("app", secret, api_base=self.server.url, clock=self.clock, http=self.http)

    async def prepared(
        self, cents: int = 12_34, *, attempt: int = 1, address: str = EMAIL
    ) -> PayoutOrder:
        order = PayoutOrder(
            payout_id="pay_1",
            attempt=attempt,
            key=f"pay_1-{attempt}",
            amount_cents=cents,
            address=address,
        )
        return with_(order, valid_until=(await self.rail.prepare(order)).valid_until)

    @property
    def received(self) -> int:
        return self.server.received[EMAIL]


def with_(order: PayoutOrder, **changes: Json) -> PayoutOrder:
    """The order as it is stored after a step."""
    fields = {name: getattr(order, name) for name in PayoutOrder.__struct_fields__}
    return PayoutOrder(**(fields | changes))


def acknowledged(order: PayoutOrder, outcome: Outcome) -> PayoutOrder:
    assert isinstance(outcome, Sent)
    assert outcome.reference
    return with_(order, reference=outcome.reference)


@contextlib.asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """The desk at `START`."""
    clock = ManualClock(START)
    async with (
        PayPalServer(clock=clock, registered={EMAIL}) as server,
        httpx.AsyncClient(trust_env=False, verify=False) as http,  # noqa: S501 - plain http
    ):
        rail = PayPal("app", "app-secret", api_base=server.url, clock=clock, http=http)
        yield Desk(server, clock, http, rail)
