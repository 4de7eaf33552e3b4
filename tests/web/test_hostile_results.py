"""A result can run nothing, fetch nothing, and stays in its box."""

from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Dialog, Request, expect

from openclaw_jobs.market.share_result import share_result
from tests.chat.steps import say, work
from tests.running import Node
from tests.web.browser import PHONE, WIDE, Visitors, browser_tests
from tests.web.chat_steps import enter
from tests.web.hostile import HOSTILE

pytestmark = browser_tests

TAGS = {
    "A", "BLOCKQUOTE", "BR", "BUTTON", "CODE", "DIV", "EM", "H3", "H4", "H5", "H6", "HR", "LI",
    "OL", "P", "PRE", "S", "SPAN", "STRONG", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "UL",
}  # fmt: skip
ATTRIBUTES = {"aria-label", "class", "href", "rel", "role", "start", "tabindex", "target", "title"}
# What script of ours adds to the bars of code.
OURS = {"type", "data-label"}

FACTS = """() => [...document.querySelectorAll('.result')].map((box) => {
  const all = [...box.querySelectorAll('*')];
  const own = getComputedStyle(box), frame = box.getBoundingClientRect();
  const column = box.parentElement.getBoundingClientRect();
  return {
    tags: [...new Set(all.map((one) => one.tagName))],
    attributes: [...new Set(all.flatMap((one) => one.getAttributeNames()))],
    links: all.filter((one) => one.tagName === 'A').map((one) => [one.href, one.rel]),
    placed: all.filter((one) => getComputedStyle(one).position === 'fixed').length,
    clips: own.overflow === 'clip' && /paint|content/.test(own.contain),
    fits: frame.left >= column.left - 1 && frame.right <= column.right + 1,
    wider: box.scrollWidth - box.clientWidth,
    isolated: own.unicodeBidi,
  };
})"""


async def test_none_of_fifty_results_does_harm(site: Node, visitors: Visitors) -> None:
    visitor = await visitors(WIDE)
    page = visitor.page
    asked: list[str] = []
    dialogs: list[str] = []

    def on_request(request: Request) -> None:
        asked.append(request.url)

    async def on_dialog(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    page.context.on("request", on_request)
    page.on("dialog", on_dialog)
    buyer, worker = await enter(site, visitor, credit_cents=1_000_000), await site.worker()
    assert len(HOSTILE) == 50
    where = None
    for name, result in HOSTILE.items():
        sent = await say(site, buyer, name, where)
        where = sent.conversation_id
        await work(worker, result)
    for size in (WIDE, PHONE):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await visitor.goto(f"/chat/{where}")
        await expect(page.locator(".result")).to_have_count(50)
        names = await page.locator(".bubble").all_inner_texts()
        for name, facts in zip(names, await page.evaluate(FACTS), strict=True):
            check(name, facts)
        assert await page.evaluate("window.pwned") is None
        assert page.url == f"{site.address}/chat/{where}"
        assert await page.locator("h1").count() == 1
        wider = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wider) <= 0
    # The one picture that may be looked at is a link that says where it leads.
    pixel = page.locator(".turn", has_text="tracking picture").locator("a.remote")
    await expect(pixel).to_contain_text("evil.example")
    assert dialogs == []
    foreign = {url for url in asked if urlsplit(url).netloc != urlsplit(site.address).netloc}
    assert foreign == set()
    # What is shared is shown by the same rules.
    for name in ("end of its box", "tracking picture", "onerror"):
        turn = page.locator(".turn").filter(has=page.get_by_text(name, exact=True))
        task = await turn.locator(".answer").get_attribute("data-task")
        assert task is not None
        link = await share_result(site.market, buyer.id, task)
        stranger = await visitors(PHONE)
        await stranger.goto(f"/s/{link.token}")
        (facts,) = await stranger.page.evaluate(FACTS)
        check(name, facts)
        assert await stranger.page.evaluate("window.pwned") is None
    visitor.check()


def check(name: str, facts: dict[str, Any]) -> None:
    assert set(facts["tags"]) <= TAGS, name
    assert set(facts["attributes"]) <= ATTRIBUTES | OURS, name
    for href, rel in facts["links"]:
        assert urlsplit(href).scheme in {"http", "https", "mailto"}, (name, href)
        assert urlsplit(href).hostname != "127.0.0.1", (name, href)
        assert {"noopener", "nofollow"} <= set(rel.split()), (name, href)
    assert facts["placed"] == 0, name
    assert facts["clips"], name
    assert facts["fits"], name
    assert facts["wider"] <= 0, name
    assert facts["isolated"] == "isolate", name
