"""What a person sees when something is in the way: refusals, no network, no mouse, no HTTPS."""

import re
from datetime import timedelta
from typing import Final

import httpx
import pytest
from playwright.async_api import expect

from openclaw_jobs.market.people import sign_in
from openclaw_jobs.web import buyer
from tests.payments.shop import open_shop
from tests.running import UNLIMITED, Node
from tests.web.browser import PHONE, Visitor, Visitors, browser_tests
from tests.web.people import Browser

pytestmark = browser_tests

EMAIL: Final = "ada@example.org"


async def test_a_refusal_is_a_page_that_says_what_to_do(
    site: Node, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = await visitors(PHONE)
    page = visitor.page
    await visitor.sign_in(EMAIL, "/tasks")
    visitor.allow(403, 404, 429, 500)

    async def refused(path: str, status: int, told: str) -> None:
        answer = await visitor.goto(path)
        assert answer.status == status
        await expect(page.get_by_role("heading", level=1)).to_have_text(told)
        await visitor.inspect()

    await refused("/operator", 403, "Not for you")
    await expect(page.locator("main")).to_contain_text(f"You are signed in as {EMAIL}")
    await refused("/tasks/task_01h455vb4pex5vsknk084sn02q", 404, "Nothing here")

    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(buyer, "read_spending", broken)
    await refused("/dashboard", 500, "Something went wrong")
    assert "a fault of ours" not in await page.content()
    await expect(page.locator("#request-id")).to_have_text(re.compile("^req_"))
    monkeypatch.undo()
    await page.get_by_role("link", name="Try again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")

    await site.configure("rate_limits", api_read={"limit": 1, "per_seconds": 3_600})
    await visitor.goto("/tasks")
    await refused("/tasks", 429, "A little too fast")
    await site.configure("rate_limits", api_read=UNLIMITED)
    await page.get_by_role("link", name="Try again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Tasks")


async def test_the_way_leads_through_the_sign_in_and_on(visitor: Visitor, site: Node) -> None:
    page = visitor.page
    await visitor.goto("/tasks?status=completed")
    await page.get_by_label("E-mail address").fill(EMAIL)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{site.address}/tasks?status=completed")
    await expect(page.get_by_label("Status")).to_have_value("completed")


async def test_without_a_network_the_page_says_so_and_goes_on(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.sign_in(EMAIL, "/chat")
    box = page.get_by_role("textbox", name="Your message")
    price = page.locator("#price")
    await expect(price).to_contain_text("from $")
    await page.context.set_offline(True)
    bar = page.locator("#connection")
    await expect(bar).to_have_text("You are offline. This page goes on when you are back.")
    await visitor.check_access()
    await box.fill("Are you there?")
    await box.press("Enter")
    await expect(page.locator("#trouble")).to_contain_text("cannot be reached")
    await expect(box).to_have_value("Are you there?")
    await page.context.set_offline(False)
    await expect(bar).to_be_hidden()
    await box.press("Enter")
    await expect(page.locator(".bubble")).to_have_text("Are you there?")
    # What it tried meanwhile was in vain, and nothing else went wrong.
    assert [
        fault for fault in visitor.faults if "net::ERR_INTERNET_DISCONNECTED" not in fault
    ] == []
    visitor.faults.clear()


async def test_menus_dialogs_and_tabs_need_no_mouse_and_no_motion(visitors: Visitors) -> None:
    visitor = await visitors(reduced_motion="reduce")
    page, keys = visitor.page, visitor.page.keyboard
    await visitor.sign_in(EMAIL, "/account")
    await page.evaluate("document.activeElement.blur()")
    await keys.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await keys.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"

    menu = page.get_by_label("Your account")
    await menu.focus()
    await keys.press("Enter")
    await expect(page.get_by_role("link", name="Account and keys")).to_be_visible()
    await keys.press("Tab")
    await expect(page.get_by_role("link", name="Account and keys")).to_be_focused()
    await keys.press("Escape")
    await expect(page.get_by_role("link", name="Account and keys")).to_be_hidden()
    await expect(menu).to_be_focused()

    sure = page.get_by_label("Type your e-mail address to confirm")
    await sure.focus()
    await keys.type(EMAIL)
    await keys.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    assert await page.evaluate(
        "document.querySelector('dialog[open]').contains(document.activeElement)"
    )
    await keys.press("Escape")
    await expect(dialog).to_be_hidden()

    await visitor.goto("/worker/guide")
    tabs = page.get_by_role("tab")
    await tabs.first.focus()
    for key, at in (("ArrowRight", 1), ("End", await tabs.count() - 1), ("Home", 0)):
        await keys.press(key)
        await expect(tabs.nth(at)).to_be_focused()
        await expect(tabs.nth(at)).to_have_attribute("aria-selected", "true")
    longest = await page.evaluate(
        "Math.max(0, ...[...document.querySelectorAll('*')].flatMap((node) =>"
        " getComputedStyle(node).transitionDuration.split(',').map(parseFloat)))"
    )
    assert longest <= 0.01
    await visitor.goto("/styleguide")
    assert await page.evaluate(
        "document.getAnimations().every((one) => one.effect.getComputedTiming().duration <= 10)"
    )


async def test_production_lets_no_cookie_out_of_https(dsn: str) -> None:
    async with open_shop(
        dsn, environment="production", session_secret="s" * 32, public_url="https://jobs.example"
    ) as shop:
        browser = Browser(shop.node.address)
        done = await sign_in(
            shop.node.market, provider="google", subject="1", email=EMAIL, name="Ada",
            instead_of=None, user_agent=None,
        )  # fmt: skip
        secret = done.session.secret
        ours = {"cookie": f"__Host-openclaw_session={secret}"}
        token = shop.node.runtime.signer.csrf_token(secret)
        fields = {"pack": "pro", "key": "once", "return_to": "/chat"}
        origin = {"origin": "https://jobs.example"}
        told = [
            await browser.get("/sign-in"),
            await browser.get("/deposit", **ours),
            await browser.post("/deposit", fields, token, ours | origin),
            await browser.post("/account/name", {"name": "A"}, token, ours | origin),
            await browser.post("/sign-out", {}, token, ours | origin),
        ]
        names = [name for answer in told for name in _guarded(answer)]
        assert len(names) >= 4
        await browser.http.aclose()


def _guarded(answer: httpx.Response) -> list[str]:
    """The names of the cookies that an answer sets, each held to what production demands."""
    assert answer.status_code in {200, 303}, answer.text
    hsts = answer.headers.get("strict-transport-security", "")
    age = re.match(r"max-age=(\d+)", hsts)
    if answer.status_code == 200:
        assert age is not None
        assert int(age[1]) >= timedelta(days=365).total_seconds()
    lines = answer.headers.get_list("set-cookie")
    for line in lines:
        assert line.startswith("__Host-"), line
        low = {part.strip().lower() for part in line.split(";")}
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= low, line
        assert not any(part.startswith("domain") for part in low), line
    return [line.partition("=")[0] for line in lines]
