"""The buyer's chat in a browser, with workers that really answer."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect

from openclaw_jobs.market.read_conversations import list_conversations
from tests.client.program import Child, start
from tests.market.steps import balance, claim, complete, fail
from tests.running import Node, Party
from tests.web.browser import PHONE, WIDE, Visitor, Visitors, browser_tests
from tests.web.chat_steps import answer, answered, enter, last_turn, say

pytestmark = browser_tests

# Repeats the last message as a list, and says so on the way.
PROGRAM = (
    "import json, os, sys\n"
    "print('progress: thinking it over', file=sys.stderr, flush=True)\n"
    "task = json.load(open(os.environ['OPENCLAW_TASK_FILE']))\n"
    "texts = [m['content'] for m in task['messages']]\n"
    "print(f'**{len(texts)} messages**\\n\\n- ' + '\\n- '.join(texts))\n"
)


@asynccontextmanager
async def worker_process(site: Node, folder: Path) -> AsyncIterator[Child]:
    """`openclaw-jobs worker` as people run it."""
    script = folder / "agent.py"
    script.write_text(PROGRAM, encoding="utf-8")
    command = f"{sys.executable} {script}"
    arguments = ("worker", "--json", "--url", site.address, "--exec", command)
    async with start(*arguments, folder=folder) as child:
        yield child
        child.signal()
        assert await child.ended() == 0


async def beat(worker: Party, claimed: dict[str, str], progress: str) -> None:
    lease = {"task_id": claimed["task_id"], "lease_token": claimed["lease_token"]}
    await worker.ok("POST", "/api/work/heartbeat", {**lease, "progress": progress})


async def test_a_talk_with_a_worker_and_a_credit(
    site: Node, visitor: Visitor, tmp_path: Path
) -> None:
    buyer = await enter(site, visitor)
    page = visitor.page
    await page.get_by_role("textbox", name="Your message").fill("Name a river")
    await expect(page.locator("#price")).to_have_text(re.compile(r"^\$\d\.\d\d of \$100\.00$"))
    async with worker_process(site, tmp_path):
        await page.get_by_role("textbox", name="Your message").press("Enter")
        turn = await answered(visitor, "1 messages")
        await expect(page.locator("#chat-title")).to_have_text("Name a river")
        await say(visitor, "How long\nis it?")
        turn = await answered(visitor, "3 messages")
        await expect(turn.locator(".result li").first).to_have_text("Name a river")
        await expect(turn.locator(".result li").last).to_contain_text("How long")
    spent = 10_000 - await balance(buyer)
    await turn.get_by_label("Good answer").click()
    await expect(turn.get_by_label("Good answer")).to_have_attribute("aria-pressed", "true")
    await turn.get_by_label("Bad answer").click()
    await turn.get_by_label("What is wrong with it?").fill("It is no number")
    await visitor.inspect()
    await turn.get_by_role("button", name=re.compile(r"Get \$.* back")).click()
    await expect(turn).to_contain_text("went back to your balance, and the worker is not paid")
    assert await balance(buyer) == 10_000 - spent // 2
    await expect(page.locator("#price")).to_contain_text("from $")
    await page.reload()
    await expect(last_turn(visitor)).to_contain_text("Credited.")
    await site.prove()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_a_life_as_it_happens(site: Node, visitors: Visitors, size: tuple[int, int]) -> None:
    visitor = await visitors(size)
    buyer, worker = await enter(site, visitor), await site.worker()
    page = visitor.page
    await say(visitor, "Take your time")
    life = last_turn(visitor).locator("[data-life]")
    await expect(life).to_contain_text("Waiting for a worker")
    await expect(life).to_contain_text(re.compile("in line|No worker is online"))
    await expect(page.locator("#send")).to_be_disabled()
    before = await life.bounding_box()
    given = await claim(worker)
    await expect(life).to_contain_text("A worker is on it")
    for progress in ("reading", "writing"):
        await beat(worker, given, progress)
        await expect(life.locator("[data-progress]")).to_have_text(progress)
    after = await life.bounding_box()
    # Nothing around it moves.
    assert before is not None
    assert after is not None
    assert (before["y"], before["height"]) == (after["y"], after["height"])
    await page.reload()
    await expect(life.locator("[data-progress]")).to_have_text("writing")
    await fail(worker, given)
    await expect(life).to_contain_text("Waiting for a worker")
    await page.get_by_role("button", name="Cancel").click()
    await expect(last_turn(visitor)).to_contain_text("You cancelled this. $")
    assert await balance(buyer) == 10_000
    await last_turn(visitor).get_by_role("link", name="Try again").click()
    await page.get_by_role("button", name="Send again for").click()
    await expect(life).to_be_visible()
    await answer(await site.worker(), "At last")
    await answered(visitor, "At last")
    await expect(page.locator("#chat-status")).to_have_text("The answer is there.")
    await visitor.inspect()


async def test_two_answers_are_compared_and_one_is_chosen(site: Node, visitor: Visitor) -> None:
    await enter(site, visitor)
    first, second = await site.worker(), await site.worker()
    page = visitor.page
    await say(visitor, "A poem")
    await answer(first, "Roses are red")
    turn = await answered(visitor, "Roses")
    await turn.get_by_label("More").click()
    await turn.get_by_role("link", name="Ask another worker").click()
    await visitor.inspect()
    await page.get_by_role("button", name="Ask another worker for").click()
    await expect(turn.locator("[data-life]")).to_be_visible()
    assert (await first.get("/api/work/next")).status_code == 204
    await answer(second, "Violets are blue")
    await expect(turn.locator(".answer")).to_have_count(2)
    await expect(turn.locator(".answer.chosen")).to_contain_text("Roses")
    # At once, as the page may just be putting a fresh turn in the place of this one.
    tops = await turn.locator(".answer").evaluate_all(
        "answers => answers.map((each) => each.getBoundingClientRect().y)"
    )
    assert len(tops) == 2
    assert tops[0] == tops[1]
    await turn.get_by_role("button", name="Choose this one").click()
    await expect(turn.locator(".answer.chosen")).to_contain_text("Violets")
    await say(visitor, "One more line")
    given = await claim(first)
    assert [m["content"] for m in given["messages"]] == [
        "A poem",
        "Violets are blue",
        "One more line",
    ]


async def test_two_browsers_of_one_buyer_stay_in_step(site: Node, visitors: Visitors) -> None:
    one, other = await visitors(), await visitors(PHONE)
    await enter(site, one, other)
    worker = await site.worker()
    await say(one, "Begin here")
    await answer(worker, "Begun")
    await answered(one, "Begun")
    await other.page.locator("[data-drawer]").click()
    await other.page.get_by_role("link", name="Begin here").click()
    await answered(other, "Begun")
    await say(other, "From the phone")
    await expect(last_turn(one).locator(".bubble")).to_have_text("From the phone")
    given = await claim(worker)
    await beat(worker, given, "on both")
    for visitor in (one, other):
        line = last_turn(visitor).locator("[data-progress]")
        await expect(line).to_have_text("on both")
    await complete(worker, given, "To both")
    for visitor in (one, other):
        await answered(visitor, "To both")
    await last_turn(one).get_by_label("Good answer").click()
    await expect(last_turn(other).get_by_label("Good answer")).to_have_attribute(
        "aria-pressed", "true"
    )
    await one.page.get_by_label("This conversation").click()
    await one.page.get_by_label("Title").fill("A new name")
    await one.page.get_by_role("button", name="Rename").click()
    await expect(other.page.locator("#chat-title")).to_have_text("A new name")
    await other.inspect()


async def test_a_double_click_and_a_reload_send_once(site: Node, visitor: Visitor) -> None:
    buyer = await enter(site, visitor)
    page = visitor.page
    await page.get_by_role("textbox", name="Your message").fill("Only once")
    await page.locator("#send").dblclick()
    await expect(page.locator(".bubble")).to_have_count(1)
    await page.reload()
    await expect(page.locator(".bubble")).to_have_count(1)
    await expect(page.get_by_role("textbox", name="Your message")).to_have_value("")
    assert len((await buyer.ok("GET", "/api/tasks"))["tasks"]) == 1


async def test_without_enough_credit_the_text_waits(site: Node, visitors: Visitors) -> None:
    visitor = await visitors()
    buyer = await enter(site, visitor, credit_cents=1)
    page = visitor.page
    await page.get_by_role("textbox", name="Your message").fill("More than I have")
    await expect(page.locator("#trouble")).to_contain_text("Not enough credit")
    link = page.get_by_role("link", name="Add credit")
    await expect(link).to_have_attribute("href", "/deposit?return_to=%2Fchat")
    visitor.allow(402)
    await page.get_by_role("textbox", name="Your message").press("Enter")
    await expect(page.locator("#trouble")).to_contain_text("Not enough credit")
    await visitor.inspect()
    # Another device has it.
    elsewhere = await visitors(PHONE)
    await elsewhere.page.context.add_cookies(
        [
            {"name": c["name"], "value": c["value"], "url": site.address}
            for c in await page.context.cookies()
        ]
    )
    await elsewhere.goto("/chat")
    await expect(elsewhere.page.get_by_role("textbox", name="Your message")).to_have_value(
        "More than I have"
    )
    await expect(elsewhere.page.locator("#trouble")).to_contain_text("Not enough credit")
    assert await balance(buyer) == 1
    # To the deposit and back.
    await link.click()
    await page.wait_for_url("**/deposit?return_to=*")
    await page.go_back()
    await expect(page.get_by_role("textbox", name="Your message")).to_have_value("More than I have")


async def test_nobody_pays_more_than_was_shown(site: Node, visitor: Visitor) -> None:
    buyer = await enter(site, visitor)
    page = visitor.page
    await expect(page.locator("#price")).to_have_text(re.compile(r"^from \$0\.\d\d of \$100"))
    visitor.allow(422)
    # Pasted and sent before its price could be shown.
    box = page.get_by_role("textbox", name="Your message")
    await box.evaluate("(box, text) => { box.value = text; }", "long " * 4_000)
    await box.press("Enter")
    await expect(page.locator("#trouble")).to_contain_text("more than was shown")
    assert await balance(buyer) == 10_000
    price = (await page.locator("#price .num").inner_text()).removeprefix("$")
    await box.press("Enter")
    await expect(page.locator(".bubble")).to_have_count(1)
    assert await balance(buyer) == 10_000 - round(float(price) * 100)


async def test_what_one_is_about_to_do_is_not_taken_away(site: Node, visitor: Visitor) -> None:
    await enter(site, visitor)
    first, second = await site.worker(), await site.worker()
    await say(visitor, "A poem")
    await answer(first, "Roses are red")
    turn = await answered(visitor, "Roses")
    await turn.get_by_label("More").click()
    await turn.get_by_role("link", name="Ask another worker").click()
    await visitor.page.get_by_role("button", name="Ask another worker for").click()
    await expect(turn.locator("[data-life]")).to_be_visible()
    await turn.get_by_label("Bad answer").click()
    reason = turn.get_by_label("What is wrong with it?")
    await reason.fill("It is")
    await answer(second, "Violets are blue")
    await expect(visitor.page.locator("#chat-status")).to_have_text("The answer is there.")
    await reason.press_sequentially(" too red")
    await expect(reason).to_have_value("It is too red")
    await expect(turn.locator(".answer")).to_have_count(2)
    await visitor.page.keyboard.press("Escape")
    await expect(turn.locator(".answer").last).to_contain_text("Violets")


async def test_it_works_without_script(site: Node, visitors: Visitors) -> None:
    visitor = await visitors(PHONE, script=False)
    buyer, worker = await enter(site, visitor), await site.worker()
    page = visitor.page
    await page.get_by_role("textbox", name="Your message").fill("Plain\nforms")
    await page.get_by_role("button", name="Show the price").click()
    await expect(page.locator("#price")).to_contain_text("of $100.00")
    await expect(page.get_by_role("textbox", name="Your message")).to_have_value("Plain\nforms")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".bubble")).to_have_text("Plain\nforms")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator(".flashes")).to_contain_text("is back in your balance")
    assert await balance(buyer) == 10_000
    await page.get_by_role("link", name="Try again").click()
    await page.get_by_role("button", name="Send again for").click()
    await answer(worker, "It *works*")
    await page.reload()
    await expect(page.locator(".result em")).to_have_text("works")
    await page.get_by_label("Bad answer").click()
    await page.get_by_role("button", name=re.compile(r"Get \$.* back")).click()
    await expect(page.locator(".flashes")).to_contain_text("The worker is not paid")
    await page.locator("[data-drawer]").click()
    await page.get_by_label("Search in your conversations").fill("plain")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="Plain").click()
    await page.get_by_label("This conversation").click()
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Delete “Plain”?")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.locator(".flashes")).to_contain_text("deleted")
    assert (await list_conversations(site.market, buyer.id, None, 9)).conversations == []


async def test_arranging_and_sharing(site: Node, visitors: Visitors) -> None:
    visitor = await visitors()
    await enter(site, visitor)
    worker = await site.worker()
    page = visitor.page
    await say(visitor, "A walrus question")
    await answer(worker, "An answer about tusks")
    turn = await answered(visitor, "tusks")
    first = page.url
    # Found by a word of its answer, as one writes.
    await page.get_by_label("Search in your conversations").fill("tusk")
    await expect(page.locator("#conversations mark")).to_have_text("tusks")
    await page.get_by_label("Search in your conversations").fill("nothing such")
    await expect(page.locator("#conversations")).to_contain_text("Nothing is said")
    await page.get_by_label("Search in your conversations").fill("")
    # Shared, and taken back.
    await turn.get_by_label("More").click()
    await turn.get_by_role("button", name="Make a link to share").click()
    await expect(page.locator("#share-link")).to_contain_text("/s/")
    link = await page.locator("#share-link").inner_text()
    await page.get_by_label("Close").last.click()
    stranger = await visitors(PHONE)
    shown = await stranger.page.goto(link)
    assert shown is not None
    assert shown.headers["x-robots-tag"].startswith("noindex")
    assert shown.headers["referrer-policy"] == "no-referrer"
    await expect(stranger.page.locator(".result")).to_have_text("An answer about tusks")
    assert "walrus" not in await stranger.page.content()
    await stranger.inspect()
    await expect(turn).to_contain_text("Shared")
    await turn.get_by_label("More").click()
    await turn.get_by_role("button", name="Revoke its links").click()
    await expect(turn).not_to_contain_text("Shared")
    stranger.allow(404)
    await stranger.page.goto(link)
    await expect(stranger.page.locator(".result")).to_have_count(0)
    # Forked, exported, deleted.
    await turn.get_by_label("Say it differently, in a new conversation").click()
    await expect(page.get_by_role("textbox", name="Your message")).to_have_value(
        "A walrus question"
    )
    await page.goto(first)
    await page.get_by_label("This conversation").click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export as Markdown").click()
    saved = Path(await (await download.value).path())
    text = await asyncio.to_thread(saved.read_text, encoding="utf-8")
    assert "A walrus question" in text
    assert "An answer about tusks" in text
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator(".flashes")).to_contain_text("The conversation is deleted.")
    visitor.allow(404)
    assert (await visitor.goto(first.removeprefix(site.address))).status == 404


async def test_the_keyboard_is_enough(site: Node, visitors: Visitors) -> None:
    visitor = await visitors(PHONE)
    await enter(site, visitor)
    page = visitor.page
    box = page.get_by_role("textbox", name="Your message")
    await expect(box).to_be_focused()
    await page.keyboard.type("one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await expect(box).to_have_value("one\ntwo")
    await page.keyboard.press("Enter")
    await expect(page.locator(".bubble")).to_have_text("one\ntwo")
    await page.locator("[data-drawer]").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="New conversation")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-drawer]")).to_be_focused()
