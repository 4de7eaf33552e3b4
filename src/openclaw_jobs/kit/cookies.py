"""Cookies of the pages: their names, and how they are read."""

from typing import Final

import msgspec

__all__ = ["CookieNames", "read_cookie"]

_MAX_HEADER_BYTES: Final = 16 * 1024


class CookieNames(msgspec.Struct, frozen=True):
    """What the cookies are called; in production with a prefix that only HTTPS can set.

    `__Host-` makes a browser refuse a cookie of that name from a subdomain or over plain HTTP.

    Attributes:
        session: Whose browser it is.
        visitor: Ties forms of those who are not signed in to their browser.
        flash: What the next page is to say.
        theme: The theme that was chosen by hand; script writes it (`static/app.js`).
        secure: Whether they are sent over HTTPS only.
    """

    session: str
    visitor: str
    flash: str
    theme: str
    secure: bool

    @classmethod
    def of(cls, *, production: bool) -> "CookieNames":
        """The names of this environment."""
        prefix = "__Host-" if production else ""
        return cls(
            f"{prefix}openclaw_session",
            f"{prefix}openclaw_visitor",
            f"{prefix}openclaw_flash",
            f"{prefix}theme",
            production,
        )


def read_cookie(header: bytes | None, name: str) -> str | None:
    """A cookie's value in a `Cookie` header; None if it is not there or there with two values."""
    if header is None or len(header) > _MAX_HEADER_BYTES:
        return None
    found: str | None = None
    for part in header.decode("latin-1").split(";"):
        key, _, value = part.partition("=")
        if key.strip() == name:
            value = value.strip().strip('"')
            if found is not None and value != found:
                return None
            found = value
    return found
