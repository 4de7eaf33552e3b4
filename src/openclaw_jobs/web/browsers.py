"""A browser's session as answers give and take it."""

from openclaw_jobs.identity.sessions import LONGEST, NewSession
from openclaw_jobs.web.pages import (
    Page,
    PageRequest,
    forget_cookie,
    session_of,
    set_cookie,
    site_of,
)

__all__ = ["give_session", "had_session", "take_session", "user_agent"]


def give_session(request: PageRequest, response: Page, session: NewSession) -> Page:
    """Have the browser keep a session that was just opened, in place of the visitor's cookie."""
    site = site_of(request)
    set_cookie(response, site, site.names.session, session.secret, LONGEST)
    forget_cookie(response, site, site.names.visitor)
    return response


def take_session(request: PageRequest, response: Page) -> Page:
    """Have the browser forget its session, and whatever it has kept of our pages."""
    site = site_of(request)
    forget_cookie(response, site, site.names.session)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def had_session(request: PageRequest) -> str | None:
    """The id of the session that the browser came with, to be ended by the next."""
    session = session_of(request)
    return None if session is None else session.id


def user_agent(request: PageRequest) -> str | None:
    """What the browser calls itself, as far as it can be shown."""
    named = request.headers.get("user-agent", "")
    return "".join(c for c in named if c.isprintable()) or None
