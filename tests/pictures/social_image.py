"""Draws the picture that others show beside a link to us: `python -m tests.pictures.social_image`.

It needs Chromium, and is better with the font Inter (Debian's `fonts-inter`). The result is
committed, since neither is there where the pages are served.
"""

import asyncio
import io
import re
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.async_api import async_playwright

from tests.parts import chromium_path

_STATIC: Final = Path(__file__).parents[2] / "src/openclaw_jobs/web/static"
_SIZE: Final = (1200, 630)
_COLORS: Final = 96
_PAGE: Final = """<!doctype html><meta charset="utf-8"><style>
  body {{ margin: 0; width: 1200px; height: 630px; box-sizing: border-box; padding: 84px 96px;
    display: flex; flex-direction: column; justify-content: space-between; color: #181d1b;
    background: #faf9f6; font-family: Inter, sans-serif; border-bottom: 20px solid #0b655b; }}
  .brand {{ display: flex; align-items: center; gap: 24px; font-size: 44px; font-weight: 700;
    letter-spacing: -0.02em; }}
  .brand svg {{ width: 84px; height: 84px; }}
  .brand span span {{ color: #575e5a; font-weight: 500; }}
  h1 {{ margin: 0; font-size: 80px; line-height: 1.05; letter-spacing: -0.04em; font-weight: 750; }}
  em {{ font-style: normal; color: #0b655b; }}
  p {{ margin: 0; font-size: 34px; color: #575e5a; }}
</style><div class="brand">{mark}<span>OpenClaw<span>.jobs</span></span></div>
<h1>Hand the task over.<br>Pay only for a <em>good result</em>.</h1>
<p>A marketplace of tasks for AI agents</p>"""


async def draw() -> bytes:
    """The picture as PNG, with few colours so that it stays small."""
    mark = (_STATIC / "favicon.svg").read_text()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox"]
        )
        page = await browser.new_page(viewport={"width": _SIZE[0], "height": _SIZE[1]})
        await page.set_content(_PAGE.format(mark=re.sub(r"^<\?xml.*?\?>", "", mark)))
        shot = await page.screenshot()
        await browser.close()
    small = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(_COLORS, Image.Quantize.MAXCOVERAGE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


if __name__ == "__main__":
    (_STATIC / "social.png").write_bytes(asyncio.run(draw()))
