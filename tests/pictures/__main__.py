"""`make screenshots`: every page in both themes, wide and on a phone, from a running marketplace.

`--check` writes nothing and says which pages look different from the pictures that are kept; the
new ones are then in a folder to look at, side by side with the kept. `--only NAME` takes some.
"""

import argparse
import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from playwright.async_api import Browser, BrowserContext, async_playwright

from openclaw_jobs.db.embedded import EmbeddedServer
from openclaw_jobs.db.migrate import migrate
from tests.parts import chromium_path
from tests.payments.shop import open_shop
from tests.pictures.compare import difference, kept, read, small
from tests.pictures.more import SESSION, tell_more
from tests.pictures.pages import PAGES, Shot
from tests.pictures.story import Story, tell
from tests.running import Node
from tests.web.browser import PHONE, THEMES, WIDE, Theme

_HERE: Final = Path(__file__).parent
KEPT: Final = _HERE.parents[1] / "docs/images/pages"
_SIZES: Final = {"wide": (WIDE, 640), "phone": (PHONE, 312)}
_TOLERATED: Final = 0.002
_FONTS: Final = ("Inter", "JetBrains Mono")
_STEADY: Final = (_HERE / "steady.js").read_text()
_PATIENCE_MS: Final = 120_000
"""A simulation on a machine that does much else takes long."""


async def take(
    node: Node, story: Story, browser: Browser, shots: Sequence[Shot], out: Path
) -> None:
    """Take all pictures of `shots` into `out`."""
    for shot in shots:
        for name, (size, width) in _SIZES.items():
            context = await browser.new_context(
                viewport={"width": size[0], "height": size[1]}, locale="en-US", timezone_id="UTC"
            )
            secret = story.sessions[shot.who]
            if secret is not None:
                await context.add_cookies([{"name": SESSION, "value": secret, "url": node.address}])
            for theme, png in await _shoot(context, node.address, shot, story):
                picture = kept(png, width)
                (out / f"{shot.name}-{name}-{theme}.webp").write_bytes(small(picture))
                if shot.shown and name == "wide" and theme == "light":
                    whole = kept(png, size[0]).crop((0, 0, *size))
                    (out / f"{shot.name}.webp").write_bytes(small(whole))
            await context.close()
        sys.stdout.write(f"{shot.name} ")
        sys.stdout.flush()
    sys.stdout.write("\n")


async def _shoot(
    context: BrowserContext, address: str, shot: Shot, story: Story
) -> list[tuple[Theme, bytes]]:
    page = await context.new_page()
    taken: list[tuple[Theme, bytes]] = []
    for theme in THEMES:
        if story.sessions[shot.who] is None:
            # What the last theme left: a worker that was connected is held by its browser.
            await context.clear_cookies()
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        answer = await page.goto(address + shot.url(story.facts))
        assert answer is not None
        assert answer.status == shot.status, (shot.name, answer.status)
        await page.evaluate("document.fonts.ready")
        for selector, value in shot.fill:
            await page.fill(selector, value)
        for selector in shot.send:
            # As without script, so that what follows is a page.
            async with page.expect_navigation(timeout=_PATIENCE_MS):
                await page.locator(selector).first.evaluate("(form) => form.submit()")
        if shot.click is not None:
            await page.click(shot.click)
        await page.evaluate(_STEADY)
        taken.append((theme, await page.screenshot(full_page=True, animations="disabled")))
    return taken


def changed(new: Path, shots: Sequence[Shot]) -> list[str]:
    """What of the pictures in `new` looks different from the kept ones, in words."""
    said: list[str] = []
    for shot in shots:
        for path in sorted(new.glob(f"{shot.name}-*-*.webp")):
            if path.name.rsplit("-", 2)[0] != shot.name:
                continue
            before = KEPT / path.name
            if not before.exists():
                said.append(f"{path.name}: new")
            elif (share := difference(read(before), read(path))) > _TOLERATED:
                said.append(f"{path.name}: {share:.1%} of it looks different")
    return said


@contextmanager
def _database() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="openclaw-pictures-") as folder,
        EmbeddedServer.start(Path(folder) / "data", settings={"fsync": "off"}) as server,
    ):
        migrate(server.dsn())
        yield server.dsn()


async def _run(shots: Sequence[Shot], out: Path, dsn: str) -> None:
    async with open_shop(dsn, public_url=None) as shop, async_playwright() as playwright:
        node, story = shop.node, await tell(shop.node)
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(),
            args=["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"],
            env={**os.environ, "FONTCONFIG_FILE": str(_HERE / "fonts.conf")},
        )
        await take(node, story, browser, [shot for shot in shots if not shot.late], out)
        if late := [shot for shot in shots if shot.late]:
            story.facts = await tell_more(shop, story)
            await take(node, story, browser, late, out)
        await browser.close()


def _missing_fonts() -> list[str]:
    found = subprocess.run(["fc-list", ":", "family"], capture_output=True, text=True, check=False)
    return [font for font in _FONTS if font not in found.stdout]


def main() -> int:
    """Take the pictures, or say what has changed."""
    words = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    words.add_argument("--check", action="store_true")
    words.add_argument("--only", nargs="*", metavar="NAME", choices=[s.name for s in PAGES])
    asked = words.parse_args()
    if missing := _missing_fonts():
        sys.stderr.write(
            f"Not on this machine: the fonts {', '.join(missing)}. Pictures with others would all"
            " look different (Debian and Ubuntu: fonts-inter, fonts-jetbrains-mono).\n"
        )
        return 2
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    shots = [shot for shot in PAGES if not asked.only or shot.name in asked.only]
    new = Path(tempfile.mkdtemp(prefix="openclaw-pictures-"))
    with _database() as dsn:
        asyncio.run(_run(shots, new, dsn))
    said = changed(new, shots)
    if asked.check:
        sys.stdout.write("\n".join(said) or "All pages look as they did.")
        sys.stdout.write(f"\nThe new pictures: {new}\n" if said else "\n")
        return 1 if said else 0
    _keep(new, said, shots)
    return 0


def _keep(new: Path, said: Sequence[str], shots: Sequence[Shot]) -> None:
    """Replace what looks different, and only that, so that the repository does not grow."""
    KEPT.mkdir(parents=True, exist_ok=True)
    names = {line.partition(":")[0] for line in said}
    for shot in shots:
        shown = new / f"{shot.name}.webp"
        if shown.exists() and any(name.startswith(f"{shot.name}-") for name in names):
            names.add(shown.name)
    for name in names:
        shutil.copyfile(new / name, KEPT / name)
    shutil.rmtree(new)
    size = sum(path.stat().st_size for path in KEPT.iterdir())
    sys.stdout.write(f"{len(names)} pictures changed; {size / 1e6:.1f} MB in {KEPT.name}\n")


if __name__ == "__main__":
    sys.exit(main())
