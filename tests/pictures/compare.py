"""Pictures made small enough to keep, and how different two of them look."""

import io
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops, ImageFilter

__all__ = ["difference", "kept", "read", "small"]

_HIGHEST: Final = 2_000
"""What of a long page is kept, in pixels of the page."""
_QUALITY: Final = 64
_BLUR: Final = 1.5
_SEEN: Final = 28
"""From what difference of a channel (of 255) on a pixel counts as changed, after a slight blur:
above what compression and the smoothing of letters make."""


def kept(png: bytes, width: int) -> Image.Image:
    """A screenshot as it is kept: at most `width` wide, its end cut off if it is very long."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, _HIGHEST)))
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return picture


def small(picture: Image.Image) -> bytes:
    """As WebP."""
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY, method=6)
    return out.getvalue()


def read(path: Path) -> Image.Image:
    """A kept picture."""
    with Image.open(path) as picture:
        return picture.convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that look different, 0 to 1; what only one of them has counts whole."""
    width, height = max(one.width, other.width), max(one.height, other.height)
    both = (min(one.width, other.width), min(one.height, other.height))
    parts = [p.crop((0, 0, *both)).filter(ImageFilter.GaussianBlur(_BLUR)) for p in (one, other)]
    bands = ImageChops.difference(*parts).split()
    worst = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    changed = sum(worst.histogram()[_SEEN:])
    return (changed + width * height - both[0] * both[1]) / (width * height)
