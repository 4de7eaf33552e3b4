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
    "plural": plural,
    "json_attr": json_attr,
    "markdown": rendered,
}
"""By the names under which templates know them."""
