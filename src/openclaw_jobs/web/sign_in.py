"""Signing in and out."""

import base64
import hashlib
import logging
import secrets
from typing import Final

from litestar import get, post
from litestar.params import FromPath, FromQuery

from openclaw_jobs.identity.models import SignIn
from openclaw_jobs.identity.oauth import Person, Provider, ProviderError
from openclaw_jobs.identity.rules import is_email
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.visit import visit_of
from openclaw_jobs.market import people
from openclaw_jobs.web.browsers import give_session, had_session, take_session, user_agent
from openclaw_jobs.web.filters import money
from openclaw_jobs.web.flashes import Flash
from openclaw_jobs.web.forms import form
from openclaw_jobs.web.pages import (
    Page,
    PageRequest,
    public_url,
    redirect,
    render,
    session_of,
    set_cookie,
    site_of,
    user_of,
    viewer_of,
    visitor_of,
)
from openclaw_jobs.web.return_to import safe_return_to, sign_in_url

_log = logging.getLogger(__name__)

_RANDOM_BYTES: Final = 32
_OWN_WISH: Final = ("same-origin", "none")
_MOST_CHARS: Final = 128
_DEVELOPMENT: Final = "development"
_AFTER: Final = "/chat"
_TITLE: Final = "Sign in"


@get("/sign-in", opt=page_options())
async def sign_in_page(request: PageRequest, return_to: FromQuery[str | None] = None) -> Page:
    """The ways to sign in; who is signed in goes on to where they were going."""
    target = safe_return_to(return_to, _AFTER)
    if viewer_of(request).signed_in:
        return redirect(request, target)
    return _page(request, target)


@get("/auth/{provider:str}", opt=page_options(rate="sign_in"))
async def start(
    request: PageRequest, provider: FromPath[str], return_to: FromQuery[str | None] = None
) -> Page:
    """Send the browser to a provider, with a state that is good once and for ten minutes.

    A link on another site leads to the page with the ways to sign in: a provider may ask nothing,
    and nobody is signed in by having followed a link.
    """
    vouching = _provider(request, provider)
    target = safe_return_to(return_to, _AFTER)
    if request.headers.get("sec-fetch-site", "none") not in _OWN_WISH:
        return redirect(request, sign_in_url(target), outside=True)
    state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
    try:
        url = await vouching.authorization_url(
            _callback(request, provider), state, _challenge(verifier), nonce
        )
    except ProviderError as error:
        return _failed(request, target, error)
    visitor, is_new = visitor_of(request)
    kept = SignIn(verifier, nonce, target)
    await people.begin_sign_in(site_of(request).market, f"{state}.{visitor}", provider, kept)
    response = redirect(request, url, outside=True)
    if is_new:
        set_cookie(response, site_of(request), site_of(request).names.visitor, visitor)
    return response


@get("/auth/{provider:str}/callback", opt=page_options(rate="sign_in"))
async def callback(request: PageRequest, provider: FromPath[str]) -> Page:
    """Where a provider sends the browser back to, with a code or with what went wrong.

    The state is good once, and only in the browser that went off with it: else somebody could
    send others a link that signs them in to his account.
    """
    vouching = _provider(request, provider)
    state, code, error = (request.query_params.get(name) for name in ("state", "code", "error"))
    visitor, _ = visitor_of(request)
    kept = await people.finish_sign_in(
        site_of(request).market, f"{(state or '')[:_MOST_CHARS]}.{visitor}", provider
    )
    if kept is None:
        return _page(
            request,
            _AFTER,
            error="This sign-in took too long, was used before, or began in another browser."
            " Please start again.",
            status=400,
        )
    if error is not None or not code:
        return _failed(request, kept.return_to, ProviderError(_refused(vouching, error)))
    try:
        person = await vouching.person(
            code, _callback(request, provider), kept.verifier, kept.nonce
        )
    except ProviderError as failure:
        return _failed(request, kept.return_to, failure)
    return await _welcome(request, provider, person, kept.return_to)


@post("/auth/development", opt=page_options(rate="sign_in"), status_code=303)
async def development_sign_in(request: PageRequest) -> Page:
    """Sign in as whoever one says, on a developer's machine; production knows no such thing."""
    if site_of(request).production:
        raise not_found("page")
    fields = await form(request, "email", "return_to")
    target = safe_return_to(fields["return_to"] or None, _AFTER)
    email = fields["email"]
    if not is_email(email):
        return _page(request, target, error="This is not an e-mail address.", status=422)
    person = Person(subject=email.lower(), email=email, name=None)
    return await _welcome(request, _DEVELOPMENT, person, target)


@post("/sign-out", opt=page_options(rate="sign_in"), status_code=303)
async def sign_out(request: PageRequest) -> Page:
    """End this browser's session; a worker that it holds is let go as well."""
    await form(request)
    session = session_of(request)
    if session is not None:
        await people.sign_out(site_of(request).market, session.id)
    response = redirect(request, "/", flash=("success", "You are signed out."))
    return take_session(request, response)


@post("/sign-out-everywhere", opt=page_options(auth="user", rate="sign_in"), status_code=303)
async def sign_out_everywhere(request: PageRequest) -> Page:
    """End all sessions of who is signed in."""
    await form(request)
    ended = await people.sign_out_everywhere(site_of(request).market, user_of(request))
    told = f"You are signed out everywhere ({ended} {'browser' if ended == 1 else 'browsers'})."
    response = redirect(request, "/", flash=("success", told))
    return take_session(request, response)


async def _welcome(request: PageRequest, provider: str, person: Person, return_to: str) -> Page:
    try:
        done = await people.sign_in(
            site_of(request).market,
            provider=provider,
            subject=person.subject,
            email=person.email,
            name=person.name,
            instead_of=had_session(request),
            user_agent=user_agent(request),
            address=visit_of(request.scope).address,
        )
    except Problem as problem:
        return _page(request, return_to, error=problem.detail, status=problem.status)
    _log.info("signed in", extra={"provider": provider, "user_id": done.user_id})
    told: list[Flash] = []
    if done.bonus_cents:
        bonus = money(done.bonus_cents)
        told.append(Flash("success", f"Welcome! {bonus} to try it is on your balance."))
    return give_session(request, redirect(request, return_to, flash=told), done.session)


def _page(request: PageRequest, return_to: str, *, error: str = "", status: int = 200) -> Page:
    site = site_of(request)
    return render(
        request,
        "sign-in.html",
        title=_TITLE,
        description="Sign in to OpenClaw.jobs, or make an account with your first sign-in.",
        status=status,
        return_to=return_to,
        error=error,
        development=not site.production,
        signup_bonus_cents=site.market.config.signup.bonus_cents,
    )


def _failed(request: PageRequest, return_to: str, error: ProviderError) -> Page:
    _log.warning("sign-in failed at the provider: %s (%r)", error, error.__cause__)
    return _page(request, return_to, error=str(error), status=502)


def _refused(provider: Provider, error: str | None) -> str:
    if error == "access_denied":
        return f"You did not let {provider.title} tell us who you are, so nothing happened."
    return f"{provider.title} did not say who you are. Please try again."


def _provider(request: PageRequest, name: str) -> Provider:
    found = site_of(request).providers.get(name)
    if found is None:
        raise not_found("way to sign in")
    return found


def _callback(request: PageRequest, provider: str) -> str:
    return f"{public_url(request)}/auth/{provider}/callback"


def _challenge(verifier: str) -> str:
    """The S256 challenge of RFC 7636 §4.2."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


HANDLERS: Final = [
    sign_in_page,
    start,
    callback,
    development_sign_in,
    sign_out,
    sign_out_everywhere,
]
