"""What counts as a change of looks, and what does not."""

import io

from PIL import Image, ImageDraw

from tests.pictures.__main__ import _TOLERATED
from tests.pictures.compare import difference, kept, small
from tests.pictures.pages import PAGES


def _page(button: str = "#0b655b", words: str = "Add credit") -> Image.Image:
    page = Image.new("RGB", (640, 900), "#faf9f6")
    draw = ImageDraw.Draw(page)
    for line in range(20):
        draw.text((40, 40 + line * 30), f"{line}: what a task was and what it cost", fill="#181d1b")
    draw.rectangle((40, 700, 200, 740), fill=button)
    draw.text((60, 712), words, fill="white")
    return page


def _again(page: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(small(page))).convert("RGB")


def test_compression_is_no_change() -> None:
    assert difference(_page(), _again(_page())) <= _TOLERATED


def test_a_button_of_another_colour_is_one() -> None:
    assert difference(_again(_page()), _again(_page("#a3142e"))) > _TOLERATED


def test_a_page_that_grew_is_one() -> None:
    longer = Image.new("RGB", (640, 950), "#faf9f6")
    longer.paste(_page())
    assert difference(_page(), longer) > _TOLERATED


def test_lines_that_moved_are_one() -> None:
    moved = Image.new("RGB", (640, 900), "#faf9f6")
    moved.paste(_page(), (0, 6))
    assert difference(_again(_page()), _again(moved)) > _TOLERATED


def test_long_pages_are_cut() -> None:
    out = io.BytesIO()
    Image.new("RGB", (1440, 9_000)).save(out, "PNG")
    picture = kept(out.getvalue(), 640)
    assert picture.width == 640
    assert picture.height < 1_000


def test_names_are_unique() -> None:
    names = [shot.name for shot in PAGES]
    assert len(set(names)) == len(names)
