"""Where somebody is sent back to: only ever a page of ours."""

import re
from typing import Final
from urllib.parse import quote

__all__ = ["safe_return_to", "sign_in_url"]

# One slash, then no second one and no backslash (which browsers take for one), nothing that ends a
# header or hides from the eye.
_OURS: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,500}", re.ASCII)
_NEVER: Final = ("/sign-in", "/sign-out", "/auth/", "/static/", "/api/")


def safe_return_to(value: str | None, default: str = "/") -> str:
    """`value` if it is the path of a page of ours, else `default`."""
    if value is None or _OURS.fullmatch(value) is None:
        return default
    # A browser resolves dots and drops tabs before it decides whose address it is.
    if "//" in value.partition("?")[0] or value.startswith(_NEVER):
        return default
    return value


def sign_in_url(return_to: str) -> str:
    """The sign-in that leads back to `return_to`."""
    return f"/sign-in?return_to={quote(safe_return_to(return_to), safe='/')}"
