"""A marketplace with an account at a Stripe of our own, and the steps of its tests."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.work_webhooks import WorkedEvents, work_webhooks
from tests.fakes.stripe import SECRET_KEY, WEBHOOK_SECRET, Object, WebhookSender
from tests.fakes.stripe_checkout import StripeCheckout
from tests.market.steps import sql
from tests.running import UNLIMITED, Json, Node, Party, running_node

SITE = "https://jobs.example"


@dataclass
class Shop:
    """A running marketplace, its Stripe, and who brings it Stripe's events."""

    node: Node
    stripe: StripeCheckout
    sender: WebhookSender

    async def work(self) -> WorkedEvents:
        """Do what the background jobs would do now."""
        worked = await work_webhooks(self.node.market, self.node.runtime.desk)
        await post_fees(self.node.market, self.node.runtime.desk)
        return worked

    async def hurry(self) -> WorkedEvents:
        """The same, when the time of everything that waits has come."""
        await sql(self.node, "UPDATE webhook_events SET next_try_at = now()")
        await sql(self.node, "UPDATE deposits SET fee_due_at = now() WHERE fee_due_at IS NOT NULL")
        return await self.work()

    async def bring(self, *events: Object, times: int = 1) -> WorkedEvents:
        """Deliver events one after the other and work them."""
        for event in events:
            await self.sender.deliver([event], times=times)
        return await self.work()

    async def buy(self, buyer: Party, pack: str = "pro") -> str:
        """Ask for a pack; the session's id."""
        answer = await buyer.ok("POST", "/api/deposit", {"pack": pack})
        session_id: str = answer["session_id"]
        return session_id

    async def deposit(self, buyer: Party, pack: str = "pro") -> str:
        """Pay a pack, start to end; the session's id."""
        session_id = await self.buy(buyer, pack)
        await self.bring(self.stripe.pay(session_id))
        return session_id

    async def money(self, buyer: Party) -> tuple[int, int, int]:
        """Paid and promotional credit of a buyer, and what it owes."""
        found = await buyer.ok("GET", "/api/balance")
        rows = await sql(
            self.node,
            "SELECT balance_cents FROM balances WHERE owner = %s AND account = 'receivable:buyer'",
            buyer.id,
        )
        owed = rows[0][0]
        assert isinstance(owed, int)
        return found["paid_cents"], found["promo_cents"], owed

    async def account(self, name: str) -> int:
        """What an account of the platform holds; debits are positive."""
        rows = await sql(
            self.node,
            "SELECT coalesce(sum(amount_cents), 0)::bigint FROM postings WHERE account = %s",
            name,
        )
        held = rows[0][0]
        assert isinstance(held, int)
        return held

    async def deposits(self, buyer: Party) -> Json:
        """The buyer's deposits, newest first."""
        return (await buyer.ok("GET", "/api/deposits"))["deposits"]

    async def event_states(self) -> dict[str, str]:
        """The status of each event by its id."""
        rows = await sql(self.node, "SELECT event_id, status FROM webhook_events")
        return {str(event_id): str(status) for event_id, status in rows}


@contextlib.asynccontextmanager
async def open_shop(dsn: str, *, background: bool = False, **settings: Json) -> AsyncIterator[Shop]:
    """A marketplace that takes deposits, until the block ends; `settings` as of `Settings`."""
    async with StripeCheckout() as stripe:
        chosen = {
            "stripe_secret_key": SECRET_KEY,
            "stripe_webhook_secret": WEBHOOK_SECRET,
            "stripe_api_base": stripe.url,
            "public_url": SITE,
        } | settings
        async with running_node(dsn, background=background, **chosen) as node:
            await node.configure("rate_limits", deposit=UNLIMITED, webhook=UNLIMITED)
            yield Shop(node, stripe, WebhookSender(node.address, node.anyone().http))
