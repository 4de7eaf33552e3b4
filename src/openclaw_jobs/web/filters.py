"""What templates may do to values."""

import html
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from markupsafe import Markup

from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.web.rendered import rendered

__all__ = ["FILTERS", "money"]

_CENTS: Final = 100
_SPANS: Final = (
    ("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60),
    ("second", 1),
)  # fmt: skip
_SHORT: Final = {"year": "y", "month": "mo", "day": "d", "hour": "h", "minute": "m", "second": "s"}
_NAMED: Final = (
    {
        ("year", -1): "last year", ("year", 1): "next year", ("month", -1): "last month",
        ("month", 1): "next month", ("day", -1): "yesterday", ("day", 1): "tomorrow",
        ("second", 0): "now",
    },
    {
        ("year", -1): "last yr.", ("year", 1): "next yr.", ("month", -1): "last mo.",
        ("month", 1): "next mo.", ("day", -1): "yesterday", ("day", 1): "tomorrow",
        ("second", 0): "now",
    },
)  # fmt: skip
"""What has a word of its own, in full and narrow (Unicode CLDR, `numeric: "auto"`)."""


def money(cents: int) -> str:
    """Cents as `$1,234.56`; what is below zero with the sign before the dollar."""
    whole, part = divmod(abs(cents), _CENTS)
    return f"{'-' if cents < 0 else ''}${whole:,}.{part:02d}"


def isotime(moment: datetime) -> str:
    """A time for `<time datetime>`."""
    return rfc3339(moment)


def when(moment: datetime) -> str:
    """A time in UTC for people, as it stands until script puts it into the reader's zone."""
    at = moment.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def distance(moment: datetime, mode: str = "ago", *, now: datetime | None = None) -> str:
    """How far away a time is: `3 minutes ago`, `in 2 hours`; by `since` shorter, `3m ago`.

    The words of `distance` in `static/app.js`, so that a line is no longer or shorter once script
    has run. `now` is the browser's there, and so the system's here.
    """
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    unit, size = next((span for span in _SPANS if abs(seconds) >= span[1]), _SPANS[-1])
    count = int(seconds / size)
    narrow = mode == "since"
    if word := _NAMED[narrow].get((unit, count)):
        return word
    many = abs(count)
    amount = f"{many}{_SHORT[unit]}" if narrow else f"{many} {unit if many == 1 else unit + 's'}"
    return f"{amount} ago" if seconds < 0 else f"in {amount}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 task`, `2 tasks`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def json_attr(value: object) -> Markup:
    """Data for script, in an attribute between double quotes."""
    text = msgspec.json.encode(value).decode()
    return Markup(html.escape(text, quote=True))  # noqa: S704 - escaped right here  # nosec B704


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "money": money,
    "isotime": isotime,
    "when": when,
    "distance": distance,
    "plural": plural,
    "json_attr": json_attr,
    "markdown": rendered,
}
"""By the names under which templates know them."""
