"""Callers that come with a session's cookie: who they are, and that the call is their own wish.

A cookie is sent by a browser whoever wrote the page, so an unsafe method needs two things besides:
an `Origin` that is ours where the browser tells one, and the CSRF token of the cookie, which only
our pages know.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from openclaw_jobs.identity.models import SessionIdentity
from openclaw_jobs.kit.cookies import CookieNames, read_cookie
from openclaw_jobs.kit.csrf import Signer
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.forms import parse_form
from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.kit.visit import Visit

__all__ = ["SessionDoor", "Sessions"]

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_FORM: Final = b"application/x-www-form-urlencoded"
_FIELD: Final = "csrf_token"


class Sessions(Protocol):
    """Where sessions are looked up. Secrets come only as their SHA-256."""

    async def session(self, token_hash: bytes) -> SessionIdentity | None:
        """The live session with this secret, or None."""
        ...

    async def seen(self, session: SessionIdentity) -> None:
        """Note that a stale session was just used."""
        ...


class SessionDoor:
    """Reads the session of a call and holds it against forged ones.

    Args:
        sessions: Where they are looked up.
        signer: Makes the CSRF tokens.
        names: What the cookies are called.
        public_url: Where the site is reached from outside, for what is behind a proxy that
            changes `Host`; None trusts `Host` alone, which no page of others can choose.
    """

    def __init__(
        self, sessions: Sessions, signer: Signer, names: CookieNames, public_url: str | None
    ) -> None:
        self.signer = signer
        self.names = names
        self._sessions = sessions
        parts = None if public_url is None else urlsplit(public_url)
        self._origin = None if parts is None else f"{parts.scheme}://{parts.netloc}".lower()

    def cookie(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The secret in the session's cookie, whether or not there is such a session."""
        return _plausible(read_cookie(headers.get(b"cookie"), self.names.session))

    async def find(self, visit: Visit, headers: Mapping[bytes, bytes]) -> SessionIdentity | None:
        """The live session that the call comes with; written down on its visit."""
        secret = self.cookie(headers)
        if secret is None:
            return None
        session = await self._sessions.session(hash_token(secret))
        if session is None:
            return None
        visit.session, visit.session_cookie = session, secret
        if session.stale:
            await self._sessions.seen(session)
        return session

    def check_header(self, visit: Visit, headers: Mapping[bytes, bytes]) -> None:
        """See that an unsafe call with a session comes from a page of ours, by its header.

        Raises:
            Problem: 403 `forbidden`.
        """
        self.check_origin(headers)
        token = headers.get(b"x-csrf-token", b"").decode("ascii", "replace")
        if visit.session_cookie is None or not self.signer.is_csrf_token(
            token, visit.session_cookie
        ):
            raise _forged("Send the page's CSRF token as X-CSRF-Token.")

    def check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse what a browser says comes from another site's page.

        Raises:
            Problem: 403 `forbidden`.
        """
        site = headers.get(b"sec-fetch-site")
        origin = headers.get(b"origin")
        if site is not None and site != b"same-origin":
            raise _forged("It came from another site's page.")
        if origin is None:
            return
        given = origin.decode("ascii", "replace").lower()
        if given == self._origin:
            return
        host = headers.get(b"host", b"").decode("ascii", "replace").lower()
        if not host or given not in {f"http://{host}", f"https://{host}"}:
            raise _forged("It came from another site's page.")

    async def check_page(self, request: Any) -> None:  # noqa: ANN401 - the JSON door's request
        """See that an unsafe call of a page route comes from a page of ours.

        The token is in the header, or in the form's field. One who is not signed in has a token of
        the visitor's cookie, since signing somebody in against their will is an attack as well.

        Raises:
            Problem: 403 `forbidden`; 413, 415 as the body has it.
        """
        visit: Visit = request.visit
        headers = dict(request.scope["headers"])
        token = headers.get(b"x-csrf-token", b"").decode("ascii", "replace")
        if not token:
            token = await _token_in_form(request, headers)
        cookie = visit.session_cookie or _plausible(
            read_cookie(headers.get(b"cookie"), self.names.visitor)
        )
        if cookie is None or not self.signer.is_csrf_token(token, cookie):
            raise _forged("The page was open for too long, or its cookie is gone. Load it again.")


async def _token_in_form(request: Any, headers: Mapping[bytes, bytes]) -> str:  # noqa: ANN401
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    body: bytes = await request.body()
    if kind != _FORM:
        if not body:
            return ""
        raise Problem("unsupported_media_type", "Send the form URL-encoded.")
    return (parse_form(body).get(_FIELD) or [""])[0]


def _plausible(secret: str | None) -> str | None:
    return secret if secret is not None and _SECRET.fullmatch(secret) else None


def _forged(detail: str) -> Problem:
    return Problem("forbidden", f"This call was not proven to come from a page of ours. {detail}")
