"""Sign-in with the account that somebody has with Google or GitHub."""

from openclaw_jobs.identity.oauth.github import GitHub
from openclaw_jobs.identity.oauth.google import Google
from openclaw_jobs.identity.oauth.models import Person, Provider, ProviderError

__all__ = ["GitHub", "Google", "Person", "Provider", "ProviderError"]
