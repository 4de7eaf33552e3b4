"""What a handler of pages has: who looks, and how to answer them."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, cast
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.datastructures import State

from openclaw_jobs.identity.models import SessionIdentity
from openclaw_jobs.kit.cookies import read_cookie
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.visit import visit_of
from openclaw_jobs.web.flashes import MAX_AGE, Flash, FlashKind, read_flashes, sign_flashes
from openclaw_jobs.web.headers import page_headers
from openclaw_jobs.web.return_to import safe_return_to
from openclaw_jobs.web.site import STATE_KEY, Site
from openclaw_jobs.web.visitors import CsrfToken, known_visitor, new_visitor

__all__ = [
    "Flash",
    "Page",
    "PageRequest",
    "Viewer",
    "buyer_of",
    "forget_cookie",
    "public_url",
    "redirect",
    "render",
    "session_of",
    "set_cookie",
    "site_of",
    "user_of",
    "viewer_of",
    "visitor_of",
    "worker_of",
]

PageRequest: TypeAlias = Request[Any, Any, State]
"""What handlers of pages annotate."""
Page: TypeAlias = Response[Any]
"""What they return."""

DESCRIPTION: Final = (
    "Hand a task to somebody's AI agent, watch it work, and pay only for a good result."
)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,255}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_SEE_OTHER: Final = 303
_THEMES: Final[Mapping[str | None, Literal["light", "dark"]]] = {"light": "light", "dark": "dark"}


class Viewer(msgspec.Struct, frozen=True):
    """Who looks at a page, as templates see them."""

    signed_in: bool
    user_id: str | None
    name: str | None
    email: str | None
    buyer_id: str | None
    is_operator: bool
    worker_id: str | None
    session_id: str | None


_NOBODY: Final = Viewer(
    signed_in=False,
    user_id=None,
    name=None,
    email=None,
    buyer_id=None,
    is_operator=False,
    worker_id=None,
    session_id=None,
)


class About(msgspec.Struct, frozen=True):
    """What a page says of itself to those who link to it."""

    title: str
    description: str
    path: str
    canonical: str


def site_of(request: PageRequest) -> Site:
    """The pages of the application that serves `request`."""
    site: Site = request.scope["litestar_app"].state[STATE_KEY]
    return site


def session_of(request: PageRequest) -> SessionIdentity | None:
    """The live session of the browser, on a route with `page_options`."""
    session: SessionIdentity | None = visit_of(request.scope).session
    return session


def viewer_of(request: PageRequest) -> Viewer:
    """Who looks."""
    session = session_of(request)
    if session is None:
        return _NOBODY
    return Viewer(
        signed_in=session.user_id is not None,
        user_id=session.user_id,
        name=session.name,
        email=session.email,
        buyer_id=session.buyer_id,
        is_operator=session.is_operator,
        worker_id=session.worker_id,
        session_id=session.id,
    )


def user_of(request: PageRequest) -> str:
    """The id of who is signed in, on a route with `auth="user"`, `"buyer"` or `"operator"`."""
    return _there(viewer_of(request).user_id)


def buyer_of(request: PageRequest) -> str:
    """The buyer that is signed in, on a route with `auth="buyer"`."""
    return _there(viewer_of(request).buyer_id)


def worker_of(request: PageRequest) -> str:
    """The worker that the browser holds, on a route with `auth="worker"`."""
    return _there(viewer_of(request).worker_id)


def visitor_of(request: PageRequest) -> tuple[str, bool]:
    """What ties a browser that is not signed in to what it began; True if it must be set yet."""
    known = known_visitor(site_of(request), _cookie_header(request))
    return (new_visitor(), True) if known is None else (known, False)


def _there(found: str | None) -> str:
    if found is None:
        raise LookupError("this route's page_options let in whom it is not for")
    return found


def public_url(request: PageRequest) -> str:
    """Where the site is reached from outside, without a trailing slash.

    Raises:
        Problem: 404: the request names no host that one could be reached at.
    """
    found = _base_url(request)
    if not found:
        raise not_found("host")
    return found


def _base_url(request: PageRequest) -> str:
    """As `public_url`, or nothing: a page that only says so needs no address."""
    site = site_of(request)
    if site.public_url is not None:
        return site.public_url
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        return ""
    return f"{'https' if site.production else 'http'}://{host}"


def render(
    request: PageRequest,
    template: str,
    *,
    title: str,
    description: str = DESCRIPTION,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,  # noqa: ANN401 - what the template wants
) -> Page:
    """A page of `template`, with what every template has besides `context`."""
    site = site_of(request)
    cookie_header = _cookie_header(request)
    viewer = viewer_of(request)
    base_url = _base_url(request)
    path = request.scope["path"]
    token = CsrfToken(site, visit_of(request.scope).session_cookie, cookie_header)
    flashes = read_flashes(site.signer, read_cookie(cookie_header, site.names.flash))
    html = site.templates.get_template(template).render(
        page=About(title, description, path, base_url + quote(path)),
        viewer=viewer,
        csrf_token=token,
        theme=_THEMES.get(read_cookie(cookie_header, site.names.theme)),
        public_url=base_url,
        flashes=flashes,
        **context,
    )
    private = viewer.session_id is not None
    response = Response(
        html,
        status_code=status,
        media_type="text/html",
        headers=page_headers(
            production=site.production, private=private, form_targets=site.form_targets
        )
        | dict(headers or {}),
    )
    if flashes:
        forget_cookie(response, site, site.names.flash)
    if token.new_cookie is not None:
        set_cookie(response, site, site.names.visitor, token.new_cookie)
    return response


def redirect(
    request: PageRequest,
    to: str,
    *,
    flash: tuple[FlashKind, str] | Sequence[Flash] = (),
    outside: bool = False,
) -> Page:
    """Send the browser to another page, which then says what `flash` tells.

    Args:
        request: What is answered.
        to: A path of ours; whatever else it is, the front page is taken instead.
        flash: A kind and a text; several are given as a list of `Flash`.
        outside: `to` is a URL that we made or got from a partner, and is taken as it is.
    """
    site = site_of(request)
    target = to if outside else safe_return_to(to)
    response: Page = Response(
        b"",
        status_code=_SEE_OTHER,
        media_type="text/plain",
        headers={"Location": target, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"},
    )
    told = _told(flash)
    if told:
        text = sign_flashes(site.signer, told)
        set_cookie(response, site, site.names.flash, text, MAX_AGE)
    return response


def _told(flash: tuple[FlashKind, str] | Sequence[Flash]) -> list[Flash]:
    told: list[Flash] = []
    kind: FlashKind | None = None
    for part in flash:
        if isinstance(part, Flash):
            told.append(part)
        elif kind is None:
            kind = cast("FlashKind", part)
        else:
            told.append(Flash(kind, part))
    return told


def set_cookie(
    response: Page, site: Site, name: str, value: str, max_age: timedelta | None = None
) -> None:
    """Set a cookie for the whole site; without `max_age` it goes with the browser's own session."""
    response.set_cookie(
        name,
        value,
        max_age=None if max_age is None else int(max_age.total_seconds()),
        secure=site.names.secure,
        httponly=True,
        samesite="lax",
    )


def forget_cookie(response: Page, site: Site, name: str) -> None:
    """Have the browser forget a cookie."""
    set_cookie(response, site, name, "", timedelta(0))


def _cookie_header(request: PageRequest) -> bytes | None:
    values = [value for name, value in request.scope["headers"] if name == b"cookie"]
    return b"; ".join(values) if values else None
