"""A buyer's dashboard, history, deposits and receipts: over HTTP, and in a browser."""

import csv
import io
import re

from playwright.async_api import expect

from openclaw_jobs.market.open_accounts import create_funded_buyer
from tests.market.steps import claim, complete, post
from tests.payments.shop import open_shop
from tests.running import Node, Party
from tests.web.browser import PHONE, Visitors, browser_tests
from tests.web.people import Browser, browsing

EMAIL = "buyer-of-pages@example.com"


async def funded(node: Node, cents: int = 10_000) -> Party:
    """A buyer that can also sign in."""
    buyer_id, key = await create_funded_buyer(node.market, EMAIL, cents, "test")
    return node.party(buyer_id, key.key)


async def text(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_a_new_buyer_is_told_what_to_do(node: Node) -> None:
    async with browsing(node, "newcomer@example.com") as (browser,):
        page = await text(browser, "/dashboard")
        assert "Welcome." in page
        assert "No tasks yet" in page
        assert "No tasks yet" in await text(browser, "/tasks")
        assert "takes no deposits yet" in await text(browser, "/deposit")


async def test_the_dashboard_adds_up(node: Node) -> None:
    buyer, worker = await funded(node), await node.worker()
    await post(buyer, prompt="Paint the bike shed green")
    done = await claim(worker)
    await complete(worker, done, "It is **green** now.")
    await post(buyer, prompt="Wait for a worker")
    balance = (await buyer.ok("GET", "/api/balance"))["balance_cents"]
    price = (10_000 - balance) // 2
    async with browsing(node, EMAIL) as (browser,):
        page = await text(browser, "/dashboard")
        assert f"${balance / 100:.2f}" in page
        assert "1 task in the queue or at work" in page
        assert re.search(
            rf'Spent in 30 days</dt><dd><span class="value">\${2 * price / 100:.2f}', page
        )
        assert "Paint the bike shed green" in page
        shown = await text(browser, f"/tasks/{done['task_id']}")
        assert "<strong>green</strong>" in shown
        assert "90 %" in shown, "confidence"


async def test_history_is_narrowed_and_exported(node: Node) -> None:
    buyer, worker = await funded(node), await node.worker()
    for number in range(27):
        await post(
            buyer,
            prompt=f"=HYPERLINK task number {number}",
            category="odd" if number % 2 else "even",
        )
    await complete(worker, await claim(worker), "done")
    async with browsing(node, EMAIL) as (browser,):
        first = await text(browser, "/tasks")
        assert first.count("task number") == 25
        older = re.search(r'href="(/tasks\?cursor=[^"]+)" rel="next"', first)
        assert older is not None
        assert (await text(browser, older[1])).count("task number") == 2
        assert (await text(browser, "/tasks?status=completed")).count("task number") == 1
        assert (await text(browser, "/tasks?category=odd")).count("task number") == 13
        assert "Nothing fits" in await text(browser, "/tasks?category=none")
        assert "Nothing fits" in await text(browser, "/tasks?from=2999-01-01")
        for wrong in ("status=gone", "from=yesterday", "cursor=task_1"):
            await text(browser, f"/tasks?{wrong}", 422)
        table = await browser.get("/tasks.csv?category=even")
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert len(rows) == 14
        assert rows[0]["asked"].startswith("'=HYPERLINK"), "no spreadsheet runs it"
        assert {row["status"] for row in rows} == {"queued", "completed"}


async def test_a_task_is_cancelled_or_credited_once(node: Node) -> None:
    buyer, worker = await funded(node), await node.worker()
    first = (await post(buyer))["id"]
    async with browsing(node, EMAIL, "stranger@example.com") as (browser, stranger):
        for path in (f"/tasks/{first}", "/tasks/task_01h455vb4pex5vsknk084sn02q", "/tasks/x"):
            assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(f"/tasks/{first}/cancel")).status_code == 404
        for told in ("Cancelled.", "cancelled"):
            answer = await browser.post(f"/tasks/{first}/cancel")
            assert (answer.status_code, answer.headers["location"]) == (303, f"/tasks/{first}")
            assert told in await text(browser, f"/tasks/{first}")
        await post(buyer)
        done = await claim(worker)
        await complete(worker, done, "nonsense")
        where = f"/tasks/{done['task_id']}"
        assert (await stranger.post(f"{where}/credit")).status_code == 404
        for told in ("came back to your balance", "credited already"):
            answer = await browser.post(f"{where}/credit", {"reason": "It is nonsense."})
            assert answer.status_code == 303
            assert told in await text(browser, where)
    assert (await buyer.ok("GET", "/api/balance"))["balance_cents"] == 10_000
    await node.prove()


async def test_a_deposit_leads_to_checkout_and_back_once(dsn: str) -> None:
    async with open_shop(dsn, public_url=None) as shop:
        buyer = await funded(shop.node, 0)
        async with browsing(shop.node, EMAIL) as (browser,):
            page = await text(browser, "/deposit?return_to=/chat")
            key = re.search(r'name="key" value="([^"]+)"', page)
            assert key is not None
            fields = {"pack": "pro", "key": key[1], "return_to": "/chat"}
            answers = [await browser.post("/deposit", fields) for _ in range(2)]
            assert [a.status_code for a in answers] == [303, 303]
            assert answers[0].headers["location"] == answers[1].headers["location"]
            (session,) = shop.stripe.all_of("checkout.session")
            assert session["success_url"].startswith(f"{shop.node.address}/deposit/success")
            await shop.bring(shop.stripe.pay(session["id"]))
            back = await text(browser, "/deposit/success?session_id=x")
            assert 'href="/chat"' in back
            paid = (await buyer.ok("GET", "/api/balance"))["balance_cents"]
            assert f"${paid / 100:.2f}" in back
            (found,) = await shop.deposits(buyer)
            receipt = await text(browser, f"/receipts/{found['id']}")
            assert "Receipt" in receipt
            assert f"${found['cents'] / 100:.2f}" in receipt
            other = await browser.post("/deposit", fields | {"pack": "starter"})
            assert other.status_code == 409
            for wrong in ({"pack": "gold"}, {"pack": "pro", "key": ""}, {"key": "é"}):
                assert (await browser.post("/deposit", fields | wrong)).status_code == 422
        async with browsing(shop.node, "stranger@example.com", None) as (stranger, nobody):
            assert (await stranger.get(f"/receipts/{found['id']}")).status_code == 404
            assert (await nobody.get("/dashboard")).status_code in {303, 401}
        await shop.node.prove()


class TestInABrowser:
    """What it looks like."""

    pytestmark = browser_tests

    async def test_every_page_of_a_buyer_is_in_order(self, site: Node, visitors: Visitors) -> None:
        buyer, worker = await funded(site), await site.worker()
        for prompt in ("Translate the menu into French", "Summarise the minutes", "x" * 300):
            await post(buyer, prompt=prompt)
        await complete(worker, await claim(worker), "# Menu\n\n- Soupe\n- Fromage\n")
        done = (await buyer.ok("GET", "/api/tasks?status=completed"))["tasks"][0]["id"]
        for size in (None, PHONE):
            visitor = await visitors() if size is None else await visitors(size)
            await visitor.sign_in(EMAIL, "/dashboard")
            for path in ("/dashboard", "/tasks", f"/tasks/{done}", "/deposit", "/deposit/cancel"):
                await visitor.goto(path)
                await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
                await visitor.inspect()
