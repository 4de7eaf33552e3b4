"""Every page that is served, looked at by everybody, none of them listed by hand."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute
from playwright.async_api import Browser as Chromium

from openclaw_jobs.kit.doors import options_of
from tests.payments.shop import open_shop
from tests.pictures.more import SESSION, tell_more
from tests.pictures.pages import PAGES, Who
from tests.pictures.story import Story, tell
from tests.running import Node
from tests.web.browser import PHONE, WIDE, Visitors, browser_tests
from tests.web.people import Browser

pytestmark = browser_tests

STREAMS: Final = {"/activity"}
AWAY: Final = {"/auth/{provider}", "/auth/{provider}/callback"}
"""Where nothing is shown, but somebody is sent elsewhere; `test_oauth.py` follows."""
QUERIES: Final = {"/chat/turns/{turn_id}/again": "?another=true"}
ROLES: Final[tuple[Who, ...]] = ("nobody", "newcomer", "buyer", "worker", "operator")
SEES: Final[dict[str, set[Who]]] = {
    "public": set(ROLES),
    "user": {"newcomer", "buyer", "operator"},
    "buyer": {"newcomer", "buyer", "operator"},
    "worker": {"worker"},
    "operator": {"operator"},
}
BEST: Final[dict[str, Who]] = {
    "public": "nobody", "user": "buyer", "buyer": "buyer", "worker": "worker",
    "operator": "operator",
}  # fmt: skip
"""Who sees the most of a page."""
FITS: Final = """() => [document.body, ...document.querySelectorAll(".table-wrap")]
    .every((box) => box.scrollWidth <= box.clientWidth)"""
WHOLE: Final = {
    "one heading": re.compile(r"<h1[\s>]"),
    "a title": re.compile(r"<title>[^<·]+ · OpenClaw.jobs</title>"),
    "a description": re.compile(r'<meta name="description" content="[^"]{30,}">'),
    "a language": re.compile(r'<html lang="en"'),
    "a way past the header": re.compile(r'<a class="skip" href="#main">'),
    "what it leads to": re.compile(r'<main id="main"'),
}


@dataclass(frozen=True)
class Place:
    """A page: where it is, and whom it is for."""

    path: str
    auth: str


@dataclass
class Town:
    """A marketplace in which every page has something to show."""

    node: Node
    story: Story
    places: list[Place]

    @asynccontextmanager
    async def as_(self, who: Who) -> AsyncIterator[Browser]:
        """A browser without a window of somebody's."""
        browser = Browser(self.node.address)
        if secret := self.story.sessions[who]:
            browser.http.cookies.set(SESSION, secret)
        try:
            yield browser
        finally:
            await browser.http.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def town(dsn: str) -> AsyncIterator[Town]:
    """Everything has happened once in it."""
    async with open_shop(dsn, public_url=None) as shop:
        built = Town(shop.node, await tell(shop.node), [])
        built.story.facts = await tell_more(shop, built.story)
        for path, auth in _served(shop.node):
            query = QUERIES.get(path, "")
            built.places.append(Place(path.format_map(built.story.facts) + query, auth))
        yield built


def _served(node: Node) -> list[tuple[str, str]]:
    found = [
        (str(route.path_format), options_of(handler).auth)
        for route in node.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "GET" in handler.http_methods and options_of(handler).page
        if route.path_format not in STREAMS | AWAY
    ]
    assert len(found) > 40
    return sorted(found)


async def test_everybody_gets_what_is_theirs_and_nothing_breaks(town: Town) -> None:
    said: list[str] = []
    for who in ROLES:
        async with town.as_(who) as browser:
            for place in town.places:
                answer = await browser.get(place.path)
                if wrong := _wrong_status(place, who, answer.status_code):
                    said.append(f"{who} at {place.path}: {wrong}")
                if answer.status_code == 303:
                    said += _wrong_way(place, who, answer.headers["location"])
                if answer.text.startswith("<!doctype html>"):
                    lacks = [
                        name for name, what in WHOLE.items() if len(what.findall(answer.text)) != 1
                    ]
                    said += [f"{who} at {place.path} has not {name}" for name in lacks]
    assert not said, "\n".join(said)


async def test_every_page_has_its_pictures(town: Town) -> None:
    taken = {shot.url(town.story.facts).partition("?")[0] for shot in PAGES}
    forgotten: set[str] = set()
    for who in ROLES:
        async with town.as_(who) as browser:
            for place in town.places:
                where = place.path.partition("?")[0]
                if BEST[place.auth] == who and where not in taken:
                    # Parts of pages, files and what leads elsewhere need none.
                    answer = await browser.get(place.path)
                    if answer.text.startswith("<!doctype html>"):
                        forgotten.add(where)
    assert not forgotten, "add a line to tests/pictures/pages.py"


def _wrong_status(place: Place, who: Who, status: int) -> str:
    """What is wrong with a status: what is another's may not be there, what is ours must be."""
    theirs = who in SEES[place.auth]
    if status >= 500:
        return str(status)
    if place.path == "/sign-in":
        return "" if (status == 303) == (who in SEES["user"]) else str(status)
    if theirs and (who == BEST[place.auth] or "_" not in place.path):
        return "" if status == 200 else f"{status}, and it is theirs"
    if theirs:
        return "" if status in {200, 404} else str(status)
    return "" if status in {303, 403} else f"{status}, and it is not theirs"


def _wrong_way(place: Place, who: Who, location: str) -> list[str]:
    """Who is not signed in is sent to do so and comes back; workers to where they connect."""
    due = "/worker" if place.auth == "worker" else f"/sign-in?return_to={quote(place.path)}"
    if place.path == "/sign-in":
        due = "/chat"
    return [] if location == due else [f"{who} at {place.path} is sent to {location}"]


@pytest.mark.parametrize("who", ["nobody", "buyer", "worker", "operator"])
async def test_every_page_is_in_order_in_a_browser(town: Town, browser: Chromium, who: Who) -> None:
    visitors = Visitors(browser, town.node.address)
    visitor = await visitors(PHONE)
    if secret := town.story.sessions[who]:
        cookie = {"name": SESSION, "value": secret, "url": town.node.address}
        await visitor.page.context.add_cookies([cookie])  # type: ignore[list-item]
    seen = 0
    said: list[str] = []
    async with town.as_(who) as reader:
        for place in town.places:
            if BEST[place.auth] != who:
                continue
            if not (await reader.get(place.path)).text.startswith("<!doctype html>"):
                continue
            await visitor.goto(place.path)
            try:
                await visitor.inspect()
            except AssertionError as fault:
                said.append(f"{place.path}: {fault}")
                visitor.faults.clear()
            await visitor.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
            if not await visitor.page.evaluate(FITS):
                said.append(f"{place.path}: something is wider than a wide window has room for")
            await visitor.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            seen += 1
    await visitors.close()
    assert seen
    assert not said, "\n\n".join(said)
