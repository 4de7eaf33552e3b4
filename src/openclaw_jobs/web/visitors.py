"""The CSRF token of a page, made when a template names it.

Who is signed in has the one of their session; for others a random visitor's cookie takes its place.
"""

import re
import secrets
from typing import Final

from openclaw_jobs.kit.cookies import read_cookie
from openclaw_jobs.web.site import Site

__all__ = ["CsrfToken", "known_visitor", "new_visitor"]

_PLAUSIBLE: Final = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_BYTES: Final = 24


def known_visitor(site: Site, cookie_header: bytes | None) -> str | None:
    """What the visitor's cookie holds, if the browser has one that could be ours."""
    known = read_cookie(cookie_header, site.names.visitor)
    return known if known is not None and _PLAUSIBLE.fullmatch(known) else None


def new_visitor() -> str:
    """A visitor's cookie for a browser that has none."""
    return secrets.token_urlsafe(_BYTES)


class CsrfToken:
    """The token as templates have it; made when it is first written out.

    Args:
        site: Makes it.
        session: The secret of the session, if there is one.
        cookie_header: What cookies the browser sent.

    Attributes:
        new_cookie: A visitor's secret that the answer must set, once the token was made with it.
    """

    def __init__(self, site: Site, session: str | None, cookie_header: bytes | None) -> None:
        self._site = site
        self._session = session
        self._header = cookie_header
        self._made: str | None = None
        self.new_cookie: str | None = None

    def __str__(self) -> str:
        if self._made is None:
            self._made = self._site.signer.csrf_token(self._session or self._visitor())
        return self._made

    def __html__(self) -> str:
        """As it is: its characters need no escaping."""
        return str(self)

    def _visitor(self) -> str:
        known = known_visitor(self._site, self._header)
        if known is None:
            known = self.new_cookie = new_visitor()
        return known
