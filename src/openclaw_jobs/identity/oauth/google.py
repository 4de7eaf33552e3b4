"""Google, or any other OpenID provider, by its issuer (OpenID Connect Core 1.0, Discovery 1.0)."""

import base64
import json
import time
from typing import Any, Final

from openclaw_jobs.identity.oauth.calls import Dance, exchange, get_json, open_client, text_of
from openclaw_jobs.identity.oauth.models import Person, ProviderError
from openclaw_jobs.kit.clock import Clock

__all__ = ["GOOGLE_ISSUER", "Google"]

GOOGLE_ISSUER: Final = "https://accounts.google.com"
_SCOPES: Final = ["openid", "email", "profile"]
_KNOWN_FOR_S: Final = 3600.0
_LEEWAY_S: Final = 60
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint")


class Google:
    """Sign-in with a Google account.

    Args:
        client_id: This site, as Google knows it.
        client_secret: What proves that.
        issuer: Who issues the tokens; another than Google's for tests.
        clock: Tells whether a token is still good.
    """

    title: Final = "Google"

    def __init__(
        self, client_id: str, client_secret: str, *, issuer: str | None, clock: Clock
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._issuer = issuer or GOOGLE_ISSUER
        self._clock = clock
        self._dance: Dance | None = None
        self._dance_until = 0.0

    async def authorization_url(
        self, redirect_uri: str, state: str, challenge: str, nonce: str
    ) -> str:
        """Where to send the browser; raises as `Provider` says."""
        dance = await self._discovered()
        return await dance.get_authorization_url(
            redirect_uri,
            state,
            code_challenge=challenge,
            code_challenge_method="S256",
            extras_params={"nonce": nonce, "prompt": "select_account"},
        )

    async def person(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> Person:
        """Who came back with this code; raises as `Provider` says.

        The ID token comes straight from the token endpoint, over TLS and for our secret, which
        stands in for its signature (OpenID Connect Core §3.1.3.7, 6).
        """
        dance = await self._discovered()
        token = await exchange(dance, self.title, code, redirect_uri, verifier)
        claims = _claims(token.get("id_token"))
        audience = claims.get("aud")
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        now = self._clock.now().timestamp()
        good = (
            claims.get("iss") in (self._issuer, self._issuer.removeprefix("https://"))
            and audience in (self._client_id, [self._client_id])
            and claims.get("nonce") == nonce
            and isinstance(expires, int | float)
            and expires > now - _LEEWAY_S
            and isinstance(begins, int | float)
            and begins <= now + _LEEWAY_S
        )
        subject, email = text_of(claims.get("sub")), text_of(claims.get("email"))
        if not good or subject is None:
            raise ProviderError(f"{self.title} sent a sign-in that is not for this site.")
        if email is None or claims.get("email_verified") not in (True, "true"):
            raise ProviderError(
                f"{self.title} has not verified your e-mail address. Verify it there, then come"
                " back."
            )
        return Person(subject=subject, email=email, name=text_of(claims.get("name")))

    async def _discovered(self) -> Dance:
        if self._dance is not None and time.monotonic() < self._dance_until:
            return self._dance
        async with open_client() as client:
            url = f"{self._issuer}/.well-known/openid-configuration"
            found = await get_json(client, self.title, url)
        if not isinstance(found, dict) or found.get("issuer") != self._issuer:
            raise ProviderError(f"{self.title} cannot be reached right now. Please try again.")
        authorize, token = (text_of(found.get(name)) for name in _ENDPOINTS)
        if authorize is None or token is None:
            raise ProviderError(f"{self.title} cannot be reached right now. Please try again.")
        self._dance = Dance(
            self._client_id, self._client_secret, authorize, token, base_scopes=_SCOPES
        )
        self._dance_until = time.monotonic() + _KNOWN_FOR_S
        return self._dance


def _claims(id_token: object) -> dict[str, Any]:
    """What an ID token claims; nothing if it is none."""
    if not isinstance(id_token, str) or id_token.count(".") != 2:  # noqa: PLR2004 - a JWS
        return {}
    payload = id_token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
