"""What a sign-in provider is to us."""

from typing import Protocol

import msgspec

__all__ = ["Person", "Provider", "ProviderError"]


class ProviderError(Exception):
    """A sign-in failed at the provider; the message is for the person who tried."""


class Person(msgspec.Struct, frozen=True):
    """Somebody as a provider knows them.

    Attributes:
        subject: Their id there, which never changes.
        email: An address that the provider has proven to be theirs.
        name: What they are called there.
    """

    subject: str
    email: str
    name: str | None


class Provider(Protocol):
    """A sign-in with somebody else's account."""

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    async def authorization_url(
        self, redirect_uri: str, state: str, challenge: str, nonce: str
    ) -> str:
        """Where to send the browser.

        Raises:
            ProviderError: The provider cannot be reached.
        """
        ...

    async def person(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> Person:
        """Who came back with this code.

        Raises:
            ProviderError: Nobody, or somebody without a proven address.
        """
        ...
