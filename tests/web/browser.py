"""A real browser on a real marketplace, which fails the test when a page does what none should.

Tests are coroutines on the event loop of the whole run, where the browser lives::

    pytestmark = browser_tests


    async def test_something(site: Node, visitor: Visitor) -> None:
        await visitor.sign_in("ada@example.org")
        await visitor.goto("/account")
        await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Account")
        await visitor.inspect()

`visitor` (and what `visitors` makes: more browsers of their own) fails at its end on an error in
the console, a request that failed or was refused, a violation of the Content-Security-Policy, or
an exception in a script. `inspect()` looks at the page in both themes, with axe, and for a page
that is wider than its window, or whose parts moved by themselves since it was opened. What a test
provokes on purpose it declares with `allow(status)`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    async_playwright,
    expect,
)

from tests.parts import chromium_path

__all__ = [
    "PHONE",
    "WIDE",
    "Theme",
    "Visitor",
    "Visitors",
    "browser_tests",
    "eventually",
    "open_browser",
]

Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
WIDE: Final = (1440, 900)
PHONE: Final = (390, 844)
_TIMEOUT_MS: Final = 10_000
_SERIOUS: Final = ("serious", "critical")
_AWAY: Final = ("net::ERR_ABORTED",)
"""How a request ends whose page was left: a stream is closed so each time."""
_WIDER: Final = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_SETTLED: Final = """() => Promise.all(document.getAnimations()
    .filter((a) => a.effect.getComputedTiming().iterations !== Infinity)
    .map((a) => a.finished.catch(() => null)))"""

_SHIFT: Final = 0.05
"""How much of a page may move by itself: half of what "good" ends at (web.dev/articles/cls).

It is the share of the window that moved times how far it moved, as a share of the window, summed
over the life of the page; what follows an input of the visitor within half a second is no part of
it. Zero would forbid what nobody sees: a figure that gets a digit more.
"""
_WATCH_SHIFTS: Final = """() => {
    const shifts = [];
    const named = (node) => node?.nodeType === 1
        ? `${node.localName}.${String(node.className).split(' ').join('.')}` : '?';
    const keep = (entries) => {
        for (const entry of entries) {
            if (entry.hadRecentInput) continue;
            const moved = entry.sources.map(({node, previousRect: a, currentRect: b}) =>
                `${named(node)} ${a.x},${a.y} ${a.width}x${a.height}`
                + ` to ${b.x},${b.y} ${b.width}x${b.height}`);
            shifts.push([entry.value, `${Math.round(entry.startTime)} ms: ${moved.join('; ')}`]);
        }
    };
    const observer = new PerformanceObserver((list) => keep(list.getEntries()));
    observer.observe({type: 'layout-shift', buffered: true});
    window.layoutShifts = () => { keep(observer.takeRecords()); return shifts; };
}"""

browser_tests: Final = pytest.mark.asyncio(loop_scope="session")
"""What modules of browser tests set as their `pytestmark`."""

expect.set_options(timeout=_TIMEOUT_MS)


@contextlib.asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """The system's Chromium; skips the test where there is none."""
    path = chromium_path()
    async with async_playwright() as playwright:
        # As root it has no sandbox; a small /dev/shm, as in containers, would make it crash.
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visitor:
    """Somebody with a browser of their own (its cookies are nobody else's).

    Attributes:
        page: What they see.
        base_url: Where the marketplace is.
        faults: What went wrong so far.
    """

    page: Page
    base_url: str
    faults: list[str] = field(default_factory=list)
    _allowed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("requestfailed", self._on_failed)
        self.page.on("response", self._on_response)

    def allow(self, *statuses: int) -> None:
        """Take answers of these statuses for what the test wants, from now on."""
        self._allowed.update(statuses)

    async def goto(self, path: str) -> Response:
        """Open a page; returns its answer."""
        answer = await self.page.goto(self.base_url + path)
        assert answer is not None
        return answer

    async def sign_in(self, email: str, return_to: str = "/account") -> None:
        """Sign in as developers do."""
        await self.goto(f"/sign-in?return_to={return_to}")
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url(self.base_url + return_to)

    async def inspect(self) -> None:
        """Hold the page to what must be true of all, in both themes."""
        for theme in THEMES:
            await self.wear(theme)
            # The themes differ in nothing but colour.
            await self.check_access(theme, rules=() if theme == "light" else ("color-contrast",))
        assert await self.page.evaluate(_WIDER) <= 0, f"{self.page.url} is wider than its window"
        await self.check_stillness()
        self.check()

    async def wear(self, theme: Theme) -> None:
        """Let the system prefer a theme, and wait until the page shows it."""
        await self.page.emulate_media(color_scheme=theme)
        await self.page.evaluate(_SETTLED)

    async def check_access(self, theme: str = "", rules: Sequence[str] = ()) -> None:
        """Fail on what axe finds serious or critical, by all of its rules or by some.

        https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md
        """
        only = {"runOnly": list(rules)} if rules else None
        results = await Axe().run(self.page, options=only)
        found = [
            f"{violation['id']} ({violation['impact']}): {violation['help']}\n    "
            + "\n    ".join(_told(node) for node in violation["nodes"][:5])
            for violation in results.response["violations"]
            if violation["impact"] in _SERIOUS
        ]
        assert not found, f"{self.page.url} {theme}\n" + "\n".join(found)

    async def check_stillness(self) -> None:
        """Fail if parts of the page moved by themselves since it was opened."""
        shifts = await self.page.evaluate("() => window.layoutShifts?.() ?? []")
        moved = sum(value for value, _ in shifts)
        told = "\n".join(f"  {value:.4f} at {what}" for value, what in shifts)
        assert moved <= _SHIFT, f"{self.page.url} moved by {moved:.3f}\n{told}"

    def check(self) -> None:
        """Fail on what went wrong so far."""
        assert not self.faults, "\n".join(self.faults)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        # An answer of 400 and more is told twice: here, and by its response, where it is judged.
        if message.text.startswith("Failed to load resource: the server responded"):
            return
        self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_failed(self, request: Request) -> None:
        if request.failure not in _AWAY:
            self.faults.append(f"request: {request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._allowed:
            self.faults.append(
                f"answer: {response.status} to {response.request.method} {response.url}"
            )


def _told(node: dict[str, Any]) -> str:
    summary = " ".join(str(node.get("failureSummary", "")).split())
    return f"{node['html'][:160]}\n      {summary[:300]}"


class Visitors:
    """Makes visitors, and holds them to account at the end.

    Args:
        browser: In which they live.
        base_url: Where the marketplace is.
    """

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self._base_url = base_url
        self._stack = AsyncExitStack()
        self._made: list[Visitor] = []

    async def __call__(
        self,
        size: tuple[int, int] = WIDE,
        *,
        theme: Theme = "light",
        script: bool = True,
        **options: Any,  # noqa: ANN401 - of Playwright's new_context
    ) -> Visitor:
        """Somebody new, at a window of this size."""
        width, height = size
        usual = {"locale": "en-US", "timezone_id": "UTC"}
        context: BrowserContext = await self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            java_script_enabled=script,
            **usual | options,
        )
        self._stack.push_async_callback(context.close)
        context.set_default_timeout(_TIMEOUT_MS)
        await context.add_init_script(f"({_WATCH_SHIFTS})()")
        visitor = Visitor(await context.new_page(), self._base_url)
        self._made.append(visitor)
        return visitor

    async def close(self) -> None:
        """Close all browsers; fails if one of them has seen a fault."""
        await self._stack.aclose()
        for visitor in self._made:
            visitor.check()


async def eventually(
    probe: Callable[[], Any], what: str, *, within_s: float = 10.0, every_s: float = 0.05
) -> None:
    """Wait until `probe()`, maybe a coroutine, is true; for what no `expect` can wait for."""
    async with asyncio.timeout(within_s):
        while True:
            found = probe()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(every_s)
    raise AssertionError(what)
