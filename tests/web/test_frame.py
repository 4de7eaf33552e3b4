"""What all pages share: the theme, the keyboard, what script adds, and getting along without."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from openclaw_jobs.web.filters import distance
from openclaw_jobs.web.site import STATE_KEY
from tests.running import Node
from tests.web.browser import PHONE, WIDE, Visitors, browser_tests, eventually

pytestmark = browser_tests

_FOCUSED = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  return {
    name: at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent.trim(),
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.height > 0,
  };
}"""


AWAY = [
    sign * seconds
    for seconds in (0, 1, 2, 59, 60, 119, 120, 3599, 3600, 7200, 86399, 86400, 172_799, 172_800,
                    2_591_999, 2_592_000, 5_184_000, 31_535_999, 31_536_000, 63_072_000, 10**9)
    for sign in (-1, 1)
]  # fmt: skip
"""How far away times are, in seconds, on both sides of where the words change."""


async def test_theme_is_changed_and_kept(visitors: Visitors) -> None:
    visitor = await visitors(theme="dark")
    page = visitor.page
    await visitor.goto("/")
    assert await _background(page) == "rgb(15, 19, 18)"
    await page.get_by_role("button", name="Change to the dark or light theme").click()
    assert await _background(page) == "rgb(250, 249, 246)"
    answer = await visitor.goto("/sign-in")
    # By the server, so that no other theme shows first.
    assert 'data-theme="light"' in await answer.text()
    assert await _background(page) == "rgb(250, 249, 246)"


async def _background(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("path", ["/", "/sign-in", "/account"])
async def test_keyboard_reaches_everything(visitors: Visitors, path: str) -> None:
    visitor = await visitors()
    page = visitor.page
    if path == "/account":
        await visitor.sign_in("ada@example.org")
    await visitor.goto(path)
    wanted = await page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
          .filter((one) => one.checkVisibility() && !one.disabled && one.type !== "hidden"
            && !one.closest("details:not([open]) > :not(summary)")).length"""
    )
    names: list[str] = []
    for _ in range(wanted):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUSED)
        assert focused["seen"], focused
        assert focused["ring"], focused
        assert focused["name"], focused
        names.append(focused["name"])
    assert names[0] == "Skip to the content"
    assert await page.evaluate("document.activeElement !== document.body")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement === document.body"), names


async def test_skip_link(visitors: Visitors) -> None:
    visitor = await visitors()
    await visitor.goto("/")
    await visitor.page.keyboard.press("Tab")
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.locator("#main")).to_be_focused()


async def test_menu_on_a_phone_needs_no_script(visitors: Visitors) -> None:
    visitor = await visitors(PHONE, script=False)
    page = visitor.page
    await visitor.goto("/")
    await page.get_by_label("Menu", exact=True).click()
    await page.get_by_role("navigation", name="Main menu").get_by_text("Sign in").click()
    await page.get_by_label("E-mail address").fill("ada@example.org")
    await page.get_by_role("button", name="Sign in").click()
    await visitor.goto("/account")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Account")
    assert not await page.get_by_role("button", name=re.compile("theme")).is_visible()


async def test_tabs_by_keyboard(visitors: Visitors) -> None:
    visitor = await visitors()
    page = visitor.page
    await visitor.goto("/styleguide")
    await page.get_by_role("tab", name="curl").focus()
    await page.keyboard.press("ArrowRight")
    python = page.get_by_role("tab", name="Python")
    await expect(python).to_be_focused()
    await expect(python).to_have_attribute("aria-selected", "true")
    await expect(page.get_by_role("tabpanel", name="Python")).to_be_visible()
    await expect(page.get_by_role("tabpanel", name="curl")).to_be_hidden()
    await page.keyboard.press("End")
    await expect(page.get_by_role("tab", name="Command line")).to_be_focused()


async def test_tabs_without_script_are_sections(visitors: Visitors) -> None:
    visitor = await visitors(script=False)
    await visitor.goto("/styleguide")
    for name in ("curl", "Python", "Command line"):
        await expect(visitor.page.get_by_role("heading", name=name, exact=True)).to_be_visible()


async def test_dialog_keeps_the_focus_and_gives_it_back(visitors: Visitors) -> None:
    visitor = await visitors()
    page = visitor.page
    await visitor.goto("/styleguide")
    opener = page.get_by_role("link", name="A dialog")
    await opener.click()
    dialog = page.get_by_role("dialog", name="Add credit")
    await expect(dialog).to_be_visible()
    await visitor.inspect()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(opener).to_be_focused()


async def test_copying(visitors: Visitors) -> None:
    visitor = await visitors(permissions=["clipboard-read", "clipboard-write"])
    page = visitor.page
    await visitor.goto("/styleguide")
    button = page.locator(".secret").get_by_role("button")
    await button.click()
    await expect(button).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await page.locator("#token").text_content()


async def test_who_is_asked_can_say_no(visitors: Visitors) -> None:
    visitor = await visitors()
    page = visitor.page
    await visitor.goto("/styleguide")
    before = page.url
    await page.get_by_role("button", name="Delete everything").click()
    question = page.get_by_role("dialog", name=re.compile("cannot be taken back"))
    await question.get_by_role("button", name="Cancel").click()
    await expect(question).to_have_count(0)
    assert page.url == before


async def test_stream_goes_on_after_the_connection_was_lost(site: Node, visitors: Visitors) -> None:
    visitor = await visitors()
    page = visitor.page
    await visitor.goto("/")
    await page.context.set_offline(True)
    await expect(page.locator("#connection")).to_contain_text("You are offline")
    buyer, worker = await site.buyer(), await site.worker()
    made = await buyer.ok("POST", "/api/task", {"prompt": "x", "category": "data"}, 201)
    work = await worker.ok("GET", "/api/work/next?wait=5")
    done = {"task_id": made["id"], "lease_token": work["lease_token"], "status": "completed"}
    await worker.ok("POST", "/api/work/submit", done | {"result": "y"})
    visitor.faults.clear()
    await page.context.set_offline(False)
    await expect(page.locator("#connection")).to_be_hidden()
    await expect(page.locator("#feed")).to_contain_text("A data task was done in")


async def test_times_are_in_the_zone_of_the_reader(visitors: Visitors) -> None:
    visitor = await visitors(timezone_id="Asia/Tokyo")
    await visitor.goto("/styleguide")
    shown = visitor.page.locator('.facts time[data-time="full"]').first
    # The sample says 11:02 in UTC.
    await expect(shown).to_contain_text("8:02")


async def test_distances_are_the_same_from_the_server_and_by_script(visitors: Visitors) -> None:
    """Or lines would break otherwise once script has run, and what is below them move."""
    visitor = await visitors()
    await visitor.goto("/")
    told = await visitor.page.evaluate(
        """async ([seconds]) => {
            const script = document.querySelector('script[type=module][src*="app"]').src;
            const { distance } = await import(script);
            return seconds.map((s) => ["ago", "since"].map((mode) => distance(s * 1000, mode, 0)));
        }""",
        [AWAY],
    )
    start = datetime.fromtimestamp(0, UTC)
    at = [start + timedelta(seconds=seconds) for seconds in AWAY]
    assert told == [[distance(t, mode, now=start) for mode in ("ago", "since")] for t in at]


async def test_a_form_that_is_not_ours(visitors: Visitors) -> None:
    visitor = await visitors()
    visitor.allow(403)
    await visitor.goto("/sign-in")
    await visitor.page.locator("main input[name=csrf_token]").evaluate("(it) => it.value = 'x'")
    await visitor.page.get_by_label("E-mail address").fill("ada@example.org")
    await visitor.page.get_by_role("button", name="Sign in").click()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Not for you")
    await visitor.inspect()


async def test_too_fast(site: Node, visitors: Visitors) -> None:
    visitor = await visitors(WIDE)
    await site.configure("rate_limits", sign_in={"limit": 1, "per_seconds": 60})
    visitor.allow(404, 429)
    await eventually(
        lambda: site.market.config.rate_limits.sign_in.limit == 1, "the limit is in force"
    )
    await visitor.goto("/auth/nobody")
    answer = await visitor.goto("/auth/nobody")
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("A little too fast")
    await visitor.inspect()


async def test_our_own_fault(
    site: Node, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise ArithmeticError("a secret of the server")

    monkeypatch.setattr(site.app.state[STATE_KEY].activity, "figures", fail)
    visitor = await visitors()
    visitor.allow(500)
    answer = await visitor.goto("/")
    assert answer.status == 500
    page = visitor.page
    await expect(page.get_by_role("heading", level=1)).to_have_text("Something went wrong")
    await expect(page.locator("#request-id")).to_have_text(answer.headers["x-request-id"])
    assert "secret of the server" not in await page.content()
    await visitor.inspect()
