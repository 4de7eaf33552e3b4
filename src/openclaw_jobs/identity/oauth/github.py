"""GitHub, which speaks OAuth 2 but no OpenID Connect: who somebody is comes from its API."""

from typing import Any, Final

from openclaw_jobs.identity.oauth.calls import Dance, exchange, get_json, open_client, text_of
from openclaw_jobs.identity.oauth.models import Person, ProviderError

__all__ = ["GITHUB", "GITHUB_API", "GitHub"]

GITHUB: Final = "https://github.com"
GITHUB_API: Final = "https://api.github.com"
_SCOPES: Final = ["read:user", "user:email"]


class GitHub:
    """Sign-in with a GitHub account.

    Args:
        client_id: This site, as GitHub knows it.
        client_secret: What proves that.
        base_url: Where people sign in; another than GitHub's for an Enterprise server and tests.
        api_base: Where its API is.
    """

    title: Final = "GitHub"

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        base_url: str | None = None,
        api_base: str | None = None,
    ) -> None:
        base = base_url or GITHUB
        self._api = api_base or GITHUB_API
        self._dance = Dance(
            client_id,
            client_secret,
            f"{base}/login/oauth/authorize",
            f"{base}/login/oauth/access_token",
            base_scopes=_SCOPES,
        )

    async def authorization_url(
        self, redirect_uri: str, state: str, challenge: str, nonce: str
    ) -> str:
        """Where to send the browser; there is no ID token that would carry the nonce."""
        del nonce
        return await self._dance.get_authorization_url(
            redirect_uri, state, code_challenge=challenge, code_challenge_method="S256"
        )

    async def person(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> Person:
        """Who came back with this code; raises as `Provider` says."""
        del nonce
        token = await exchange(self._dance, self.title, code, redirect_uri, verifier)
        access = str(token["access_token"])
        async with open_client() as client:
            user = await get_json(client, self.title, f"{self._api}/user", access)
            emails = await get_json(client, self.title, f"{self._api}/user/emails", access)
        subject = user.get("id") if isinstance(user, dict) else None
        if not isinstance(subject, int):
            raise ProviderError(f"{self.title} did not say who you are. Please try again.")
        email = _verified(emails)
        if email is None:
            raise ProviderError(
                f"{self.title} has no verified e-mail address of yours. Verify one there, then"
                " come back."
            )
        name = text_of(user.get("name")) or text_of(user.get("login"))
        return Person(subject=str(subject), email=email, name=name)


def _verified(emails: Any) -> str | None:  # noqa: ANN401 - JSON
    """The primary address if it is verified, else the first that is.

    The one in the public profile is not asked: it need not be verified.
    """
    if not isinstance(emails, list):
        return None
    good = [e for e in emails if isinstance(e, dict) and e.get("verified") is True]
    good.sort(key=lambda e: e.get("primary") is not True)
    return next((text for e in good if (text := text_of(e.get("email"))) is not None), None)
