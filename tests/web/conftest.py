"""A browser for the whole run, a marketplace and a visitor for each test."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.running import Node, running_node
from tests.web.browser import Visitor, Visitors, open_browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, started once."""
    async with open_browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def site(dsn: str) -> AsyncIterator[Node]:
    """A running marketplace with its periodic jobs, on the browser's event loop."""
    async with running_node(dsn) as node:
        yield node


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(browser: Browser, site: Node) -> AsyncIterator[Visitors]:
    """Makes visitors of `site`, each with cookies of its own."""
    made = Visitors(browser, site.address)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visitors: Visitors) -> Visitor:
    """One visitor, at a wide screen."""
    return await visitors()
