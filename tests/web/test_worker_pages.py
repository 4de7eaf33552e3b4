"""A worker's pages: gate, dashboard, money, profile, standing, and the guide run as written."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from openclaw_jobs.market.review_standing import stop_suspects
from openclaw_jobs.web.worker_guide import AGENT, ways
from tests.fakes.openai import ModelServer
from tests.market.steps import claim, complete, post
from tests.quality.test_standing import bad_worker
from tests.running import UNLIMITED, Node, Party
from tests.web.browser import PHONE, Visitors, browser_tests
from tests.web.people import Browser, ask, browsing

PROGRAM = Path(sys.executable).with_name("openclaw-jobs")


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    """Says what it is told, in capitals."""
    async with ModelServer() as running:
        yield running


async def text(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def hold(browser: Browser, worker: Party) -> None:
    answer = await browser.post("/worker/hold", {"token": worker.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/worker")


async def test_a_worker_is_connected_held_and_let_go(node: Node) -> None:
    async with browsing(node, None, None) as (browser, other):
        assert "Let your agent earn" in await text(browser, "/worker")
        made = await browser.post("/worker/connect", {"name": "night shift", "model": "m"})
        token = re.search(r"ocw_[A-Za-z0-9_-]+", made.text)
        assert made.status_code == 200
        assert token is not None
        assert made.headers["cache-control"] == "private, no-store"
        worker = node.party("x", token[0])
        me = await worker.ok("GET", "/api/worker/me")
        assert me["name"] == "night shift"
        assert "night shift" in await text(browser, "/worker")
        for wrong in ("", "ocw_wrong", worker.token + "x"):
            refused = await other.post("/worker/hold", {"token": wrong})
            assert (refused.status_code, "No worker has this token" in refused.text) == (422, True)
        await hold(other, worker)
        assert "night shift" in await text(other, "/worker")

        rotated = await browser.post("/worker/rotate")
        fresh = re.search(r"ocw_[A-Za-z0-9_-]+", rotated.text)
        assert fresh is not None
        assert fresh[0] != worker.token
        assert "night shift" in await text(browser, "/worker"), "who made it holds it on"
        assert "Let your agent earn" in await text(other, "/worker"), "the others hold it no more"
        gone = await browser.post("/worker/disconnect")
        assert gone.status_code == 303
        assert "Let your agent earn" in await text(browser, "/worker")
        for path in ("/worker/earnings", "/worker/payouts", "/worker/profile", "/worker/standing"):
            assert (await browser.get(path)).status_code in {303, 401, 403}, path


async def test_earnings_are_explained_and_withdrawn_once(node: Node) -> None:
    await node.configure(
        "commissions", freeze_window_hours=0, require_verified_email=False, min_withdrawal_cents=1
    )
    await node.configure("rate_limits", withdraw=UNLIMITED)
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(3):
        await post(buyer)
        await complete(worker, await claim(worker), "done")
    await node.operator().ok("POST", "/api/cron/unfreeze-earnings")
    available = (await worker.ok("GET", "/api/worker/me"))["balance"]["available_cents"]
    async with browsing(node, None) as (browser,):
        await hold(browser, worker)
        page = await text(browser, "/worker")
        assert f"${available / 100:.2f}" in page
        assert (await text(browser, "/worker/earnings")).count("task_") == 3
        await text(browser, "/worker/earnings?cursor=x", 422)
        amount = {"amount": f"{available / 100:.2f}"}
        refused = await browser.post("/worker/withdraw", {**amount, "key": "k1"})
        assert refused.status_code == 422, "no method yet"
        for bad in ({"method": "paypal", "address": "nobody"}, {"method": "gold", "address": "x"}):
            assert (await browser.post("/worker/payout-method", bad)).status_code == 422
        method = {"method": "paypal", "address": "me@example.com"}
        assert (await browser.post("/worker/payout-method", method)).status_code == 303
        for wrong in ("", "ten", "-1", "1.234", "1e3", "9999999999", "0"):
            answer = await browser.post("/worker/withdraw", {"amount": wrong, "key": "k"})
            assert answer.status_code == 422, wrong
        twice = await asyncio.gather(
            *(browser.post("/worker/withdraw", {**amount, "key": "k2"}) for _ in range(2))
        )
        assert {answer.status_code for answer in twice} <= {303, 409, 422}
        payouts = (await worker.ok("GET", "/api/worker/payouts"))["payouts"]
        assert [p["amount_cents"] for p in payouts] == [available]
        assert payouts[0]["payout_id"] in await text(browser, "/worker/payouts")
    await node.prove()


async def test_the_profile_binds_dispatch_and_keeps_what_was_typed(node: Node) -> None:
    worker = await node.worker()
    async with browsing(node, None) as (browser,):
        await hold(browser, worker)
        good = {
            "name": "Ada",
            "model": "m-1",
            "capabilities": "python, sql",
            "categories": "coding, data",
            "min_earning": "0.25",
            "max_concurrent": "3",
            "daily_limit": "40",
            "timezone": "Europe/Berlin",
            "hours": "9-17, 22-6",
        }
        assert (await browser.post("/worker/profile", good)).status_code == 303
        me = await worker.ok("GET", "/api/worker/me")
        assert me["preferences"] == {
            "categories": ["coding", "data"],
            "min_earning_cents": 25,
            "max_concurrent": 3,
            "daily_limit": 40,
        }
        assert me["schedule"] == {"timezone": "Europe/Berlin", "hours": [[9, 17], [22, 6]]}
        shown = await text(browser, "/worker/profile")
        assert all(f'value="{value}"' in shown for value in good.values())
        for field, wrong in (
            ("timezone", "Berlin"),
            ("hours", "9 to 5"),
            ("hours", "9-99"),
            ("max_concurrent", "0"),
            ("max_concurrent", "many"),
            ("min_earning", "-1"),
            ("categories", "<b>"),
            ("name", "x" * 101),
        ):
            answer = await browser.post("/worker/profile", good | {field: wrong})
            assert answer.status_code == 422, (field, wrong)
            assert 'aria-invalid="true"' in answer.text, (field, wrong)
        assert (await browser.post("/worker/profile", dict.fromkeys(good, ""))).status_code == 303
        assert (await worker.ok("GET", "/api/worker/me"))["schedule"] is None


async def test_a_stopped_worker_sees_its_results_and_appeals(node: Node) -> None:
    worker, _ = await bad_worker(node)
    await stop_suspects(node.market, at_once=True)
    async with browsing(node, None) as (browser,):
        await hold(browser, worker)
        assert "Stopped." in await text(browser, "/worker")
        page = await text(browser, "/worker/standing")
        assert page.count("<article") == 6
        assert (await browser.post("/worker/appeal", {"text": "I can add."})).status_code == 303
        assert "I can add." in await text(browser, "/worker/standing")


@pytest.mark.parametrize("key", ["curl", "python", "exec", "openai"])
async def test_each_way_of_the_guide_works_as_it_is_written(
    node: Node, model: ModelServer, tmp_path: Path, key: str
) -> None:
    buyer = await node.buyer()
    task = await post(buyer, prompt="shout")
    async with browsing(node, None) as (browser,):
        page = await text(browser, "/worker/guide")
    (way,) = [w for w in ways(node.address) if w.key == key]
    assert way.text.splitlines()[0] in page.replace("&#34;", '"').replace("&#39;", "'")
    # The program of this very tree, and a model server that is there.
    script = way.text.replace("openclaw-jobs worker", f"{PROGRAM} worker")
    assert ("http://127.0.0.1:11434" in script) == (key == "openai")
    script = script.replace("http://127.0.0.1:11434", model.url)
    path = tmp_path / ("run.py" if key == "python" else "run.sh")
    path.write_text(script)
    program = sys.executable if key == "python" else "bash"
    process = await asyncio.create_subprocess_exec(
        program,
        str(path),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        done = await buyer.ok("GET", f"/api/task/{task['id']}?wait=30")
        assert done["result"] is not None, done
        assert done["result"].strip() == "SHOUT"
        if key in {"curl", "python"}:
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def test_the_file_for_agents_names_the_routes_that_there_are(node: Node) -> None:
    document = await node.anyone().ok("GET", "/api/openapi.json")
    named = set(re.findall(r"\{url\}(/api/[a-z/]+)", AGENT))
    assert named
    assert named <= set(document["paths"])


class TestInABrowser:
    """What it looks like."""

    pytestmark = browser_tests

    async def test_every_page_of_a_worker_is_in_order(self, site: Node, visitors: Visitors) -> None:
        buyer, worker = await site.buyer(), await site.worker()
        for _ in range(3):
            await post(buyer)
            await complete(worker, await claim(worker), "done")
        for number, size in enumerate((None, PHONE)):
            visitor = await visitors() if size is None else await visitors(size)
            await visitor.goto("/worker")
            await visitor.inspect()
            if number == 0:
                await visitor.page.get_by_label("Token").fill(worker.token)
                await visitor.page.get_by_role("button", name="Open its dashboard").click()
            else:
                await visitor.page.get_by_label("Name").fill("phone")
                await visitor.page.get_by_role("button", name="Connect").click()
                await expect(visitor.page.get_by_role("heading", level=1)).to_have_text(
                    "Your worker is connected"
                )
                await visitor.inspect()
                await visitor.goto("/worker")
            await expect(visitor.page.get_by_text("Available").first).to_be_visible()
            every = ("", "/earnings", "/payouts", "/profile", "/standing", "/guide")
            for path in every if number == 0 else ("", "/payouts"):
                await visitor.goto(f"/worker{path}")
                await visitor.inspect()
        assert await ask(site, "SELECT count(*) FROM workers") == [(2,)]
