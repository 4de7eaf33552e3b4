"""What people come for, from the first page to the money, in a browser."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import expect

from openclaw_jobs.market.open_accounts import create_funded_buyer
from tests.client.program import start
from tests.market.steps import balance, claim, complete, post, sql
from tests.payments.shop import Shop, open_shop
from tests.running import UNLIMITED, Node
from tests.web.browser import PHONE, Visitor, Visitors, browser_tests
from tests.web.chat_steps import answer, answered, last_turn
from tests.web.office import OPERATOR
from tests.web.people import make_operator

pytestmark = browser_tests

EMAIL = "ada@example.org"

# Says how far it is, and goes on when it is let: so that nothing has to be in time to be seen.
AGENT = """\
import os, pathlib, sys, time
print("progress: reading the rivers", file=sys.stderr, flush=True)
go = pathlib.Path("go")
while not go.exists():
    time.sleep(0.01)
print("The **Rhine**, I am told.")
"""


@pytest_asyncio.fixture(loop_scope="session")
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """A marketplace that takes deposits, at the address that its visitors use."""
    async with open_shop(dsn, background=True, public_url=None) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def site(shop: Shop) -> Node:
    """The same, for `visitors`."""
    return shop.node


async def spendable(site: Node) -> int:
    """What the buyer with `EMAIL` has, by the ledger."""
    rows = await sql(
        site,
        "SELECT sum(b.balance_cents)::bigint FROM balances b JOIN buyers ON buyers.id = b.owner"
        " JOIN users ON users.id = buyers.user_id"
        " WHERE users.email = %s AND b.account IN ('buyer:paid', 'buyer:promo')",
        EMAIL,
    )
    cents = rows[0][0]
    assert isinstance(cents, int)
    return abs(cents)


async def thaw(site: Node) -> None:
    """Let what was earned be its worker's."""
    await sql(site, "UPDATE earnings SET release_at = now() - interval '1 second'")
    await site.operator().ok("POST", "/api/cron/unfreeze-earnings")


async def pay(visitor: Visitor, shop: Shop, pack: str) -> str:
    """From the page of packs to Stripe's, and back; the session's id. Nobody is told of it yet."""
    page = visitor.page
    await page.get_by_role("radio", name=pack).check()
    await page.get_by_role("button", name="Pay by card").click()
    await page.wait_for_url(f"{shop.stripe.url}/c/pay/*")
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url("**/deposit/success?session_id=*")
    session_id: str = shop.stripe.all_of("checkout.session")[-1]["id"]
    return session_id


def paid_event(shop: Shop, session_id: str) -> dict[str, object]:
    """What Stripe tells of a session that was paid."""
    return next(
        event
        for event in reversed(shop.stripe.events)
        if event["type"] == "checkout.session.completed"
        and event["data"]["object"]["id"] == session_id
    )


async def test_a_buyer_comes_pays_asks_and_gets_a_bad_answers_price_back(
    site: Node, shop: Shop, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    await visitor.goto("/")
    await page.get_by_role("link", name="Start a task").first.click()
    await page.get_by_label("E-mail address").fill(EMAIL)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/chat")
    before = await spendable(site)

    await visitor.goto("/deposit?return_to=/chat")
    session_id = await pay(visitor, shop, "Pro")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payment under way")
    await visitor.inspect()
    await shop.bring(paid_event(shop, session_id))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payment received")
    funded = await spendable(site)
    pack = site.market.config.packs.pro
    assert funded == before + pack.cents + pack.bonus_cents
    await expect(page.locator("#balance")).to_have_text(f"${funded / 100:.2f}")
    await visitor.inspect()
    await page.get_by_role("link", name="Go on").click()
    await page.wait_for_url("**/chat")

    (tmp_path / "agent.py").write_text(AGENT, encoding="utf-8")
    command = f"{sys.executable} agent.py"
    arguments = ("worker", "--json", "--url", site.address, "--exec", command)
    async with start(*arguments, folder=tmp_path) as child:
        box = page.get_by_role("textbox", name="Your message")
        await box.fill("Which is the longest river of Germany?")
        await box.press("Enter")
        turn = last_turn(visitor)
        await expect(turn.locator("[data-progress]")).to_have_text("reading the rivers")
        (tmp_path / "go").touch()
        await answered(visitor, "Rhine")
        child.signal()
        assert await child.ended() == 0
    price = funded - await spendable(site)
    assert price > 0
    await turn.get_by_label("Bad answer").click()
    await turn.get_by_label("What is wrong with it?").fill("It is the longest within Germany only")
    await turn.get_by_role("button", name=f"Get ${price / 100:.2f} back").click()
    await expect(turn).to_contain_text(
        f"${price / 100:.2f} went back to your balance, and the worker is not paid for it."
    )
    assert await spendable(site) == funded
    await visitor.goto("/dashboard")
    await expect(page.locator("#balance")).to_have_text(f"${funded / 100:.2f}")
    await site.prove()


async def test_a_worker_is_connected_earns_and_is_paid(
    site: Node, visitors: Visitors, tmp_path: Path
) -> None:
    await site.configure(
        "commissions", require_verified_email=False, min_withdrawal_cents=1,
        payout_change_delay_hours=0,
    )  # fmt: skip
    await site.configure("rate_limits", withdraw=UNLIMITED)
    await make_operator(site, OPERATOR)
    buyer = await site.buyer()
    owner, operator = await visitors(PHONE), await visitors()
    page = owner.page
    await owner.goto("/worker")
    await page.get_by_label("Name").fill("night shift")
    await page.get_by_role("button", name="Connect").click()
    token = await page.locator("#token").inner_text()
    await page.get_by_role("link", name="Set it to work").click()
    await page.get_by_role("tab", name=re.compile("command|exec", re.IGNORECASE)).click()
    await expect(page.get_by_role("tabpanel")).to_contain_text("openclaw-jobs worker --url")

    task = await post(buyer, prompt="shout")
    arguments = ("worker", "--json", "--url", site.address, "--exec", "tr a-z A-Z")
    async with start(*arguments, folder=tmp_path, OPENCLAW_TOKEN=token) as child:
        done = await buyer.ok("GET", f"/api/task/{task['id']}?wait=20")
        child.signal()
        assert await child.ended() == 0
    assert done["result"].strip() == "SHOUT"
    await thaw(site)
    await owner.goto("/worker")
    me = await site.party("night shift", token).ok("GET", "/api/worker/me")
    amount = f"${me['balance']['available_cents'] / 100:.2f}"
    await expect(page.locator(".tile", has_text="Available")).to_contain_text(amount)

    await page.get_by_role("link", name="Withdraw").click()
    await expect(page.get_by_role("button", name="Withdraw")).to_be_disabled()
    await page.get_by_label("Address", exact=False).first.fill("night@example.org")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_label("Amount").fill(amount.removeprefix("$"))
    await page.get_by_role("button", name="Withdraw").click()
    await page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    await expect(page.locator(".flashes")).to_contain_text(f"{amount} is on its way")
    await expect(page.get_by_role("table")).to_contain_text("Pending")
    await owner.inspect()

    await operator.sign_in(OPERATOR, "/operator/payouts")
    desk = operator.page.get_by_role("article")
    await expect(desk).to_contain_text("night@example.org")
    await desk.get_by_text("Approve").click()
    await operator.inspect()
    await desk.get_by_role("button", name=f"Pay {amount}").click()
    await desk.get_by_text("Mark paid").click()
    await desk.get_by_label("Reference").fill("bank 1")
    await desk.get_by_role("button", name="It was paid").click()
    await expect(desk).to_contain_text("Paid")
    await page.reload()
    await expect(page.get_by_role("table")).to_contain_text("Paid")
    await site.prove()


async def test_without_enough_credit_to_the_deposit_and_back_with_the_text(
    site: Node, shop: Shop, visitor: Visitor
) -> None:
    buyer_id, key = await create_funded_buyer(site.market, EMAIL, 1, "test")
    buyer, worker = site.party(buyer_id, key.key), await site.worker()
    page = visitor.page
    await visitor.sign_in(EMAIL, "/chat")
    box = page.get_by_role("textbox", name="Your message")
    await box.fill("More than I have")
    await expect(page.locator("#trouble")).to_contain_text("Not enough credit")
    await page.get_by_role("link", name="Add credit").click()
    session_id = await pay(visitor, shop, "Starter")
    await shop.bring(paid_event(shop, session_id))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payment received")
    await page.get_by_role("link", name="Go on").click()
    await page.wait_for_url("**/chat")
    await expect(box).to_have_value("More than I have")
    await expect(page.locator("#trouble")).to_be_empty()
    await box.press("Enter")
    await expect(page.locator(".bubble")).to_have_text("More than I have")
    await answer(worker, "Now you have it")
    await answered(visitor, "Now you have it")
    # And of a payment that was not made, nothing is left but the way back.
    await visitor.goto("/deposit?return_to=/tasks")
    await page.get_by_role("button", name="Pay by card").click()
    await page.get_by_role("link", name="Back to the shop").click()
    await expect(page.locator("#paid")).to_contain_text("Nothing was charged")
    await page.get_by_role("link", name="Back", exact=True).click()
    await page.wait_for_url("**/tasks")
    assert await balance(buyer) > 1
    await site.prove()


async def test_a_task_and_the_dashboard_are_followed_as_they_change(
    site: Node, visitors: Visitors
) -> None:
    visitor, other = await visitors(), await visitors(PHONE)
    buyer_id, key = await create_funded_buyer(site.market, EMAIL, 1_000, "test")
    buyer, worker = site.party(buyer_id, key.key), await site.worker()
    task = await post(buyer, prompt="Follow me")
    await visitor.sign_in(EMAIL, f"/tasks/{task['id']}")
    await other.sign_in(EMAIL, "/dashboard")
    await expect(other.page.locator("#figures")).to_contain_text("1 task in the queue")
    head = visitor.page.locator("#task-head")
    await expect(head).to_contain_text("Queued")
    await visitor.inspect()
    given = await claim(worker)
    await expect(head).to_contain_text("Claimed")
    lease = {"task_id": given["task_id"], "lease_token": given["lease_token"]}
    await worker.ok("POST", "/api/work/heartbeat", {**lease, "progress": "half of it"})
    await expect(visitor.page.locator("#task-body")).to_contain_text("half of it")
    await complete(worker, given, "It is *done*")
    await expect(visitor.page.locator(".result em")).to_have_text("done")
    await expect(head).to_contain_text("Completed")
    await visitor.inspect()
    await expect(other.page.locator("#latest")).to_contain_text("Completed")
    await expect(other.page.locator("#figures")).to_contain_text("0 tasks in the queue")
    await other.inspect()


async def test_without_script_money_comes_and_goes(
    site: Node, shop: Shop, visitors: Visitors
) -> None:
    await site.configure(
        "commissions", require_verified_email=False, min_withdrawal_cents=1,
        payout_change_delay_hours=0,
    )  # fmt: skip
    visitor = await visitors(script=False)
    page = visitor.page
    await visitor.sign_in(EMAIL, "/deposit")
    session_id = await pay(visitor, shop, "Starter")
    await shop.bring(paid_event(shop, session_id))
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payment received")
    funded = await spendable(site)
    await visitor.goto("/chat")
    await page.get_by_role("textbox", name="Your message").fill("Never mind")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".bubble")).to_have_text("Never mind")
    await visitor.goto("/tasks")
    await page.get_by_role("link", name="Never mind").click()
    await page.get_by_role("button", name="Cancel it").click()
    await expect(page.locator(".flashes")).to_contain_text("came back to your balance")
    assert await spendable(site) == funded

    await visitor.goto("/worker")
    await page.get_by_label("Name").fill("by hand")
    await page.get_by_role("button", name="Connect").click()
    worker = site.party("by hand", await page.locator("#token").inner_text())
    await post(await site.buyer())
    await complete(worker, await claim(worker))
    await thaw(site)
    await visitor.goto("/worker/payouts")
    await page.get_by_label("Address", exact=False).first.fill("hand@example.org")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_label("Amount").fill("0.01")
    await page.get_by_role("button", name="Withdraw").click()
    await expect(page.locator(".flashes")).to_contain_text("$0.01 is on its way")
    await page.get_by_role("link", name="Overview").click()
    await page.get_by_role("button", name="Disconnect").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Let your agent earn")
    await site.prove()
