"""The steps that browser tests of conversations are made of."""

import itertools

from playwright.async_api import Locator, expect

from openclaw_jobs.market.open_accounts import create_funded_buyer
from tests.market.steps import claim, complete
from tests.running import Node, Party
from tests.web.browser import Visitor

__all__ = ["answer", "answered", "enter", "last_turn", "say"]

_numbers = itertools.count(1)


async def enter(site: Node, *visitors: Visitor, credit_cents: int = 10_000) -> Party:
    """Have a new buyer come to the chat in each of these browsers."""
    email = f"chat{next(_numbers)}@example.com"
    buyer_id, key = await create_funded_buyer(site.market, email, credit_cents, "test")
    for visitor in visitors:
        await visitor.sign_in(email, "/chat")
    return site.party(buyer_id, key.key)


async def say(visitor: Visitor, text: str) -> None:
    """Write a message and press Enter."""
    box = visitor.page.get_by_role("textbox", name="Your message")
    await box.fill(text)
    await box.press("Enter")
    await expect(visitor.page.locator(".bubble").last).to_have_text(text)


async def answer(worker: Party, result: str) -> None:
    """Do the task that waits."""
    await complete(worker, await claim(worker), result)


def last_turn(visitor: Visitor) -> Locator:
    """The turn that was said last."""
    return visitor.page.locator(".turn").last


async def answered(visitor: Visitor, text: str) -> Locator:
    """Wait until the last turn is answered so; the turn."""
    turn = last_turn(visitor)
    await expect(turn.locator(".result").last).to_contain_text(text)
    return turn
