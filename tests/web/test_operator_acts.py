"""What an operator decides by the pages: once, audited, and said on the page that follows."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from openclaw_jobs import flags
from openclaw_jobs.flags import Sighting
from openclaw_jobs.market.review_standing import stop_suspects
from openclaw_jobs.web.word_diff import word_diff
from tests.market.steps import claim, complete, post, refused, sql
from tests.quality.check_steps import RIGHT, WRONG, dispute, do_next, settle
from tests.quality.test_standing import bad_worker
from tests.running import Node, Party, running_node
from tests.web.browser import Visitors, browser_tests
from tests.web.office import OPERATOR, ask_for_payout
from tests.web.people import Browser, ask, browsing, make_operator

PAGES = (
    "",
    "/config",
    "/config/quality",
    "/workers",
    "/buyers",
    "/checks",
    "/appeals",
    "/appeals?status=decided",
    "/credits",
    "/payouts",
    "/deposits",
    "/reconciliation",
    "/flags",
    "/flags?status=dismissed&kind=hostile_prompt",
    "/pairs",
    "/pairs?status=all",
    "/benchmarks",
    "/webhooks",
    "/audit",
)


async def text(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, (path, answer.text)
    return answer.text


async def submit(browser: Browser, path: str, told: str, **fields: str) -> None:
    """Send a form twice, as an impatient hand does; both end at a page that says what was done."""
    for _ in range(2):
        answer = await browser.post(path, {"once": path, **fields})
        assert answer.status_code == 303, (path, answer.text)
        assert told in await text(browser, answer.headers["location"]), path


async def acts(node: Node, action: str) -> list[str]:
    """Upon what an act was done, by whoever is signed in."""
    found = await ask(node, "SELECT subject, actor FROM audit_log WHERE action = %s", action)
    assert all(str(actor).startswith("usr_") for _, actor in found), found
    return [str(subject) for subject, _ in found]


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_difference_loses_nothing(first: str, second: str) -> None:
    left, right = word_diff(first, second)
    assert "".join(piece.text for piece in left) == first
    assert "".join(piece.text for piece in right) == second
    assert [p.text for p in left if p.kind == "same"] == [
        p.text for p in right if p.kind == "same"
    ] or first != second


def test_a_difference_of_long_texts_is_bounded() -> None:
    first, second = "a b " * 50_000, "b a " * 50_000
    left, right = word_diff(first, second)
    assert "".join(piece.text for piece in left) == first
    assert left[-1].kind == right[-1].kind == "rest"


async def test_nobody_else_sees_or_does_anything(node: Node) -> None:
    async with browsing(node, "buyer@example.com", None) as (buyer, nobody):
        for page in PAGES:
            assert (await buyer.get(f"/operator{page}")).status_code == 403, page
            away = await nobody.get(f"/operator{page}")
            assert (away.status_code, away.headers["location"][:8]) == (303, "/sign-in"), page
        refused_post = await buyer.post("/operator/ledger/verify")
        assert refused_post.status_code == 403
        await make_operator(node, "buyer@example.com")
        forged = await buyer.post("/operator/ledger/verify", token="")
        assert forged.status_code == 403
        for path in ("workers/wrk_1", "buyers/x", "checks/chk_1", "config/none"):
            await text(buyer, f"/operator/{path}", 404)
        for query in ("workers?status=x", "checks?kind=x", "audit?cursor=x", "webhooks?cursor=x"):
            await text(buyer, f"/operator/{query}", 422)


async def test_empty_pages_say_so(node: Node) -> None:
    await make_operator(node, OPERATOR)
    async with browsing(node, OPERATOR) as (browser,):
        for page in PAGES:
            await text(browser, f"/operator{page}")
        assert "No workers yet" in await text(browser, "/operator/workers")
        assert "Nothing. All is decided." in await text(browser, "/operator/now")


async def test_a_worker_is_suspended_and_let_back(node: Node) -> None:
    await make_operator(node, OPERATOR)
    buyer, worker = await node.buyer(), await node.worker()
    task = await post(buyer)
    await claim(worker)
    where = f"/operator/workers/{worker.id}"
    async with browsing(node, OPERATOR) as (browser,):
        assert (await browser.post(f"{where}/suspend", {"once": "k"})).status_code == 422
        await submit(browser, f"{where}/suspend", "Suspended until", reason="Loud", hours="24")
        refused(await worker.get("/api/work/next"), 403, "suspended")
        assert (await buyer.ok("GET", f"/api/task/{task['id']}"))["status"] == "queued"
        page = await text(browser, where)
        assert "Loud" in page
        assert OPERATOR in page
        assert "Loud" not in await text(browser, "/operator/workers?status=active")
        await submit(browser, f"{where}/reinstate", "It may work again")
        found = await browser.get(f"/operator/workers?find={worker.id}")
        assert found.headers["location"] == where
    assert (await worker.get("/api/work/next")).status_code == 204
    assert await acts(node, "worker.suspend") == await acts(node, "worker.reinstate") == [worker.id]


async def test_a_buyer_is_suspended_and_let_back(node: Node) -> None:
    await make_operator(node, OPERATOR)
    buyer = await node.buyer()
    await post(buyer)
    where = f"/operator/buyers/{buyer.id}"
    async with browsing(node, OPERATOR) as (browser,):
        assert "Task charge" in await text(browser, where)
        await submit(browser, f"{where}/suspend", "Suspended.", reason="Stolen card")
        assert (await buyer.post("/api/task", {"prompt": "x"})).status_code == 403
        assert "Stolen card" in await text(browser, where)
        await submit(browser, f"{where}/reinstate", "It may post tasks again.")
    await post(buyer)
    assert await acts(node, "buyer.reinstate") == [buyer.id]


async def test_a_verdict_is_overruled(node: Node) -> None:
    await make_operator(node, OPERATOR)
    disputed = await dispute(node, WRONG, RIGHT)
    await do_next(disputed.third, RIGHT)
    await settle(node)
    ((check_id,),) = await ask(node, "SELECT id FROM checks")
    where = f"/operator/checks/{check_id}"
    async with browsing(node, OPERATOR) as (browser,):
        assert str(check_id) in await text(
            browser, f"/operator/checks?worker_id={disputed.first.id}"
        )
        page = await text(browser, where)
        assert re.search(r"<del>[^<]+</del>", page)
        assert re.search(r"<ins>[^<]+</ins>", page)
        assert (await browser.post(f"{where}/verdict", {"once": "k"})).status_code == 422
        note = "Both are right."
        await submit(
            browser, f"{where}/verdict", "the first result is good", first="good", note=note
        )
        page = await text(browser, where)
        assert note in page
        assert f"<dt>By</dt><dd>{OPERATOR}" in page
    assert await acts(node, "quality.verdict") == [check_id]
    await node.prove()


async def test_hostile_results_are_text_alone(node: Node) -> None:
    await make_operator(node, OPERATOR)
    attack = '<script>alert(1)</script><img src=x onerror="alert(1)">'
    disputed = await dispute(node, attack, RIGHT)
    assert disputed.task_id
    ((check_id,),) = await ask(node, "SELECT id FROM checks")
    async with browsing(node, OPERATOR) as (browser,):
        page = await text(browser, f"/operator/checks/{check_id}")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "alert" in page


async def test_payouts_are_approved_rejected_and_marked(node: Node) -> None:
    await make_operator(node, OPERATOR)
    worker = await node.worker()
    first = await ask_for_payout(node, worker, 300)
    second = await ask_for_payout(node, worker, 200)
    async with browsing(node, OPERATOR) as (browser,):
        page = await text(browser, "/operator/payouts")
        assert page.index("Waiting for approval") < page.index("$3.00")
        where = f"/operator/payouts/{first}"
        told = "Approved: $3.00 will be paid by hand."
        await submit(browser, f"{where}/approve", told, provider="manual")
        late = await browser.post(f"{where}/reject", {"once": "late"})
        assert late.status_code == 303
        assert "approved" in await text(browser, "/operator/payouts")
        assert (await browser.post(f"{where}/mark-paid", {"once": "k"})).status_code == 422
        await submit(browser, f"{where}/mark-paid", "Marked as paid: $3.00", note="SEPA 1")
        await submit(browser, f"{where}/mark-returned", "Marked as returned", note="wrong name")
        other = f"/operator/payouts/{second}/reject"
        await submit(browser, other, "Rejected: $2.00 is the worker&#39;s again.", note="no")
        assert (await browser.post(f"{where}/burn", {"once": "k"})).status_code == 404
    assert await acts(node, "payout.approve") == [first]
    assert await acts(node, "payout.reject") == [second]
    await node.prove()


async def test_an_appeal_is_answered(node: Node) -> None:
    await make_operator(node, OPERATOR)
    worker, tasks = await bad_worker(node)
    await stop_suspects(node.market, at_once=True)
    await worker.ok("POST", "/api/worker/appeal", {"text": "I learned to add."}, 202)
    ((suspension,),) = await ask(node, "SELECT id FROM suspensions")
    async with browsing(node, OPERATOR) as (browser,):
        page = await text(browser, "/operator/appeals")
        assert "I learned to add." in page
        assert all(task in page for task in tasks)
        assert "1 appeal to answer" in await text(browser, "/operator/now")
        where = f"/operator/appeals/{suspension}/uphold"
        assert (await browser.post(where, {"once": "k"})).status_code == 422
        await submit(browser, where, "Upheld: it may work again.", answer="Welcome back.")
        assert "Welcome back." in await text(browser, "/operator/appeals?status=decided")
        assert "6" in await text(browser, f"/operator/workers/{worker.id}")
    assert await acts(node, "appeal.uphold") == [worker.id]


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_credit_in_review_is_decided(node: Node, decision: str) -> None:
    await make_operator(node, OPERATOR)
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    done = await claim(worker)
    await complete(worker, done)
    await node.configure("quality", auto_credit_rate=0, auto_credit_min_tasks=0)
    task = done["task_id"]
    await buyer.ok("POST", f"/api/task/{task}/credit", {"reason": "Not good."}, 202)
    async with browsing(node, OPERATOR) as (browser,):
        assert "Not good." in await text(browser, "/operator/credits")
        told = "went back to the buyer" if decision == "approve" else "the worker keeps"
        await submit(browser, f"/operator/credits/{task}/{decision}", told)
    assert await acts(node, f"credit.{decision}") == [task]
    await node.prove()


async def test_benchmarks_are_added_once_and_retired(node: Node) -> None:
    await make_operator(node, OPERATOR)
    where = "/operator/benchmarks"
    async with browsing(node, OPERATOR) as (browser,):
        fields = {"prompt": "What is 2 + 2?", "category": "general", "answers": "4\nfour\n"}
        wrong = await browser.post(where, {"once": "k", **fields, "answers": " "})
        assert wrong.status_code == 422
        assert "What is 2 + 2?" in wrong.text, "it is kept"
        assert "one a line" in wrong.text
        await submit(browser, where, "Added to general.", **fields)
        ((gold, answers),) = await ask(node, "SELECT id, answers FROM golds")
        assert answers == ["4", "four"]
        await submit(browser, f"{where}/{gold}/retire", "Retired")
        assert "What is 2 + 2?" in await text(browser, f"{where}?live=no")
        assert "What is 2 + 2?" not in await text(browser, where)
    assert await acts(node, "gold.add") == await acts(node, "gold.retire") == [gold]


async def test_a_flag_is_looked_at_once(node: Node) -> None:
    await make_operator(node, OPERATOR)
    worker = await node.worker()
    async with node.market.db.transaction() as conn:
        await flags.raise_flags(conn, [Sighting(worker.id, "payout_changes", {"changes": 4})])
    async with browsing(node, OPERATOR) as (browser,):
        page = await text(browser, "/operator/flags")
        assert worker.id in page
        assert "changes: 4" in page
        ((flag,),) = await ask(node, "SELECT id FROM flags")
        await submit(browser, f"/operator/flags/{flag}/dismiss", "Looked at.")
        assert worker.id not in await text(browser, "/operator/flags")
        assert worker.id in await text(browser, "/operator/flags?status=dismissed")
        for wrong in ("status=gone", "kind=gold", "cursor=x"):
            await text(browser, f"/operator/flags?{wrong}", 422)
    assert await acts(node, "flag.dismiss") == [flag]


async def test_the_books_are_proven_and_compared(node: Node) -> None:
    await make_operator(node, OPERATOR)
    await post(await node.buyer())
    async with browsing(node, OPERATOR) as (browser,):
        proof = await browser.post("/operator/ledger/verify")
        assert proof.status_code == 200
        assert "It adds up" in proof.text
        assert "$0.00" in proof.text
        answer = await browser.post("/operator/reconciliation/run")
        assert answer.status_code == 303
        page = await text(browser, "/operator/reconciliation")
        assert "Compared 0 rails" in page
        assert "Our own books" in page
    assert await acts(node, "reconcile.run") == ["rails"]


async def test_a_failed_event_is_worked_again(node: Node) -> None:
    await make_operator(node, OPERATOR)
    await sql(
        node,
        "INSERT INTO webhook_events (source, event_id, type, payload, status, error)"
        " VALUES ('stripe', 'evt_1', 'charge.refunded', '{}', 'failed', 'no such charge')",
    )
    async with browsing(node, OPERATOR) as (browser,):
        assert "no such charge" in await text(browser, "/operator/webhooks?status=failed")
        assert "Nothing fits" in await text(browser, "/operator/webhooks?status=done")
        path = "/operator/webhooks/stripe/evt_1/retry"
        await submit(browser, path, "worked once more")
        missing = await browser.post("/operator/webhooks/stripe/evt_2/retry", {"once": "k"})
        assert missing.status_code == 404
        assert "webhook.replay" in await text(browser, "/operator/audit?action=webhook")
        assert "Nothing fits" in await text(browser, "/operator/audit?action=payout")
    assert await acts(node, "webhook.replay") == ["stripe/evt_1"]


@pytest_asyncio.fixture(loop_scope="session")
async def quiet(dsn: str) -> AsyncIterator[Node]:
    """A marketplace whose periodic jobs the test runs itself, so that checks go as it wants."""
    async with running_node(dsn, background=False) as node:
        yield node


class TestInABrowser:
    """The journeys, and what the pages look like."""

    pytestmark = browser_tests

    async def test_an_operator_runs_the_place(self, quiet: Node, browser: Chromium) -> None:
        visitors = Visitors(browser, quiet.address)
        try:
            await self.run_the_place(quiet, visitors)
        finally:
            await visitors.close()

    async def run_the_place(self, site: Node, visitors: Visitors) -> None:
        await make_operator(site, OPERATOR)
        worker: Party = await site.worker()
        await ask_for_payout(site, worker, 300)
        disputed = await dispute(site, WRONG, RIGHT)
        await do_next(disputed.third, RIGHT)
        await settle(site)
        ((check_id,),) = await ask(site, "SELECT id FROM checks")
        visitor = await visitors()
        page = visitor.page
        await visitor.sign_in(OPERATOR, "/operator")

        await post(disputed.buyer, category="coding")
        live = page.locator("[data-fragment]").get_by_role("rowheader", name="coding")
        await expect(live).to_be_visible()
        await page.get_by_role("link", name="1 payout to approve").click()
        await visitor.inspect()
        await page.locator("summary", has_text="Approve").click()
        await page.get_by_label("Paid by").select_option("manual")
        await visitor.inspect()
        await page.get_by_role("button", name="Pay $3.00").click()
        await expect(page.get_by_text("Approved: $3.00 will be paid by hand.")).to_be_visible()

        await visitor.goto(f"/operator/workers/{worker.id}")
        await page.locator("summary", has_text="Suspend").click()
        await page.get_by_label("Why?").fill("It was asked for.")
        await visitor.inspect()
        await page.get_by_role("button", name="Suspend it").click()
        await expect(page.get_by_text("Suspended for good.")).to_be_visible()

        await visitor.goto(f"/operator/checks/{check_id}")
        await visitor.inspect()
        await page.get_by_label("The first result").select_option("good")
        await page.get_by_label("Why?").fill("It is right as well.")
        await page.get_by_role("button", name="Judge it so").click()
        await page.get_by_role("dialog").get_by_role("button", name="Judge it so").click()
        await expect(page.get_by_text("the first result is good")).to_be_visible()
