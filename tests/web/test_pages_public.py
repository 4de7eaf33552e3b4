"""The pages that everybody finds first, in a browser."""

import json

import httpx
import pytest
from playwright.async_api import expect

from tests.running import Node
from tests.web.browser import PHONE, WIDE, Visitors, browser_tests

pytestmark = browser_tests

SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])


@SIZES
async def test_front_page_of_a_new_marketplace(
    site: Node, visitors: Visitors, size: tuple[int, int]
) -> None:
    visitor = await visitors(size)
    answer = await visitor.goto("/")
    assert answer.status == 200
    page = visitor.page
    await expect(page.get_by_role("heading", level=1)).to_contain_text("good result")
    await expect(page.locator("#figure-tasks_done")).to_have_text("0")
    await expect(page.get_by_text("Yours can be the first")).to_be_visible()
    assert site.market.config.packs.starter.cents == 500
    await expect(page.locator("#prices")).to_contain_text("$5.00")
    await visitor.inspect()


async def test_front_page_shows_a_task_as_it_is_done(site: Node, visitors: Visitors) -> None:
    visitor = await visitors()
    await visitor.goto("/")
    buyer, worker = await site.buyer(), await site.worker()
    task = {"prompt": "a private sentence", "category": "coding"}
    made = await buyer.ok("POST", "/api/task", task, 201)
    work = await worker.ok("GET", "/api/work/next?wait=5")
    await worker.ok(
        "POST",
        "/api/work/submit",
        {
            "task_id": made["id"],
            "lease_token": work["lease_token"],
            "status": "completed",
            "result": "a private result",
        },
    )
    feed = visitor.page.locator("#feed")
    await expect(feed).to_contain_text("A coding task was done in")
    await expect(visitor.page.get_by_text("Yours can be the first")).to_be_hidden()
    # The page that comes next has it from the server, and the stream doesn't tell it twice.
    await visitor.goto("/")
    await expect(feed.get_by_role("listitem")).to_have_count(1)
    await expect(visitor.page.locator("#figure-tasks_done")).to_have_text("1")
    assert "private" not in await visitor.page.content()
    await visitor.inspect()


async def test_activity_tells_nothing_private(site: Node) -> None:
    buyer, worker = await site.buyer(), await site.worker()
    task = {"prompt": "a private sentence", "category": "my-secret-project"}
    made = await buyer.ok("POST", "/api/task", task, 201)
    work = await worker.ok("GET", "/api/work/next?wait=5")
    done = {"task_id": made["id"], "lease_token": work["lease_token"], "status": "completed"}
    await worker.ok("POST", "/api/work/submit", done | {"result": "a private result"})
    seen = ""
    async with (
        httpx.AsyncClient(base_url=site.address, timeout=20) as http,
        http.stream("GET", "/activity", headers={"Last-Event-ID": "0"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for chunk in answer.aiter_text():
            seen += chunk
            if "event: done" in seen and "event: figures" in seen:
                break
    data = [json.loads(line[6:]) for line in seen.splitlines() if line.startswith("data: ")]
    told = next(item for item in data if "text" in item)
    assert set(told) == {"text", "at"}
    assert told["text"].startswith("A task was done in")
    for private in ("secret", "private", made["id"], worker.id, buyer.id):
        assert private not in seen


@SIZES
async def test_sign_in_by_development(
    site: Node, visitors: Visitors, size: tuple[int, int]
) -> None:
    visitor = await visitors(size)
    await visitor.goto("/sign-in?return_to=/account")
    await visitor.inspect()
    await visitor.sign_in("ada@example.org")
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Account")
    await expect(visitor.page.get_by_text("$1.00 to try it")).to_be_visible()
    await visitor.inspect()
    assert site.address in visitor.page.url


async def test_sign_out(site: Node, visitors: Visitors) -> None:
    visitor = await visitors()
    await visitor.sign_in("ada@example.org")
    await visitor.page.get_by_label("Your account").click()
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.wait_for_url(site.address + "/")
    await expect(visitor.page.get_by_role("link", name="Sign in")).to_be_visible()
    await visitor.goto("/account")
    assert visitor.page.url.startswith(site.address + "/sign-in")


@SIZES
async def test_missing_page(visitors: Visitors, size: tuple[int, int]) -> None:
    visitor = await visitors(size)
    visitor.allow(404)
    answer = await visitor.goto("/no-such-page")
    assert answer.status == 404
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Nothing here")
    await visitor.inspect()


@SIZES
async def test_style_sample(visitors: Visitors, size: tuple[int, int]) -> None:
    visitor = await visitors(size)
    await visitor.goto("/styleguide")
    await visitor.inspect()
