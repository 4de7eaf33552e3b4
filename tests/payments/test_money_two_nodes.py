"""What must happen once happens once, whichever of two nodes is asked and works."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.work_webhooks import work_webhooks
from tests.fakes.stripe import SECRET_KEY, WEBHOOK_SECRET, StripeFake, WebhookSender, fee_of
from tests.market.steps import sql
from tests.payments.payout_steps import available, rich_worker
from tests.payments.test_credits import done
from tests.running import UNLIMITED, Node, Party, running_node

PRO = 5_000


@pytest.fixture
async def stripe() -> AsyncIterator[StripeFake]:
    async with StripeFake() as running:
        yield running


@pytest.fixture
async def nodes(dsn: str, stripe: StripeFake) -> AsyncIterator[tuple[Node, Node]]:
    settings = {
        "stripe_secret_key": SECRET_KEY,
        "stripe_webhook_secret": WEBHOOK_SECRET,
        "stripe_api_base": stripe.url,
        "public_url": "https://jobs.example",
    }
    async with (
        running_node(dsn, background=False, **settings) as here,
        running_node(dsn, background=False, **settings) as there,
    ):
        await here.configure("rate_limits", deposit=UNLIMITED, webhook=UNLIMITED)
        yield here, there


def on_both(party: Party, nodes: tuple[Node, Node]) -> list[Party]:
    """The same party, a hundred times, at one node and the other in turn."""
    both = [node.party(party.id, party.token) for node in nodes]
    return both * 50


async def test_a_hundred_withdrawals_of_everything_are_one(nodes: tuple[Node, Node]) -> None:
    worker = await rich_worker(nodes[0], 4)
    # The other node has the limits of before until it looks again.
    await nodes[1].market.configuration.refresh()
    body = {"amount_cents": 4_000}
    answers = await asyncio.gather(
        *(asked.post("/api/worker/withdraw", body) for asked in on_both(worker, nodes))
    )
    assert sorted(a.status_code for a in answers) == [201] + [422] * 99
    assert {a.json()["code"] for a in answers if a.status_code == 422} == {"limit_exceeded"}
    assert await available(worker) == 0
    assert await sql(nodes[0], "SELECT amount_cents FROM payouts") == [(4_000,)]
    await nodes[0].prove()


async def test_a_hundred_credits_of_one_task_are_one(nodes: tuple[Node, Node]) -> None:
    buyer, worker = await nodes[0].buyer(1_000), await nodes[1].worker()
    task = await done(buyer, worker)
    answers = await asyncio.gather(
        *(asked.post(f"/api/task/{task['id']}/credit", {}) for asked in on_both(buyer, nodes))
    )
    assert sorted(a.status_code for a in answers) == [200] + [409] * 99
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"already_credited"}
    assert (await buyer.ok("GET", "/api/balance"))["balance_cents"] == 1_000
    await nodes[0].prove()


async def test_fifty_deliveries_of_one_event_are_one_deposit(
    nodes: tuple[Node, Node], stripe: StripeFake
) -> None:
    buyer = await nodes[0].buyer(0)
    opened = await buyer.ok("POST", "/api/deposit", {"pack": "pro"})
    event = stripe.pay(opened["session_id"])
    senders = [WebhookSender(node.address, node.anyone().http) for node in nodes]
    works = [(node.market, node.runtime.desk) for node in nodes]
    await asyncio.gather(
        *(sender.deliver([event], times=25) for sender in senders),
        *(work_webhooks(*work) for work in works * 4),
    )
    await asyncio.gather(*(work_webhooks(*work) for work in works))
    await asyncio.gather(*(post_fees(*work) for work in works * 4))
    assert (await buyer.ok("GET", "/api/balance"))["paid_cents"] == PRO
    assert await sql(nodes[0], "SELECT event_id, status FROM webhook_events") == [
        (event["id"], "done")
    ]
    assert await sql(nodes[0], "SELECT status, fee_cents FROM deposits") == [("paid", fee_of(PRO))]
    await nodes[0].prove()
