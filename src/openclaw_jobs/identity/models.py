"""What identity hands out."""

from datetime import datetime

import msgspec


class EmailTakenError(Exception):
    """Somebody signed up with this e-mail address before."""


class ApiKey(msgspec.Struct, frozen=True):
    """An API key as its owner may see it again: never the secret."""

    id: str
    name: str | None
    created_at: datetime


class NewApiKey(msgspec.Struct, frozen=True):
    """A key just made, with the secret that is shown this once."""

    id: str
    key: str
    name: str | None
    created_at: datetime


class SessionIdentity(msgspec.Struct, frozen=True):
    """Whose a browser is, by its session: a user's, a worker's, or both.

    Attributes:
        id: The session's, `ses_…`.
        user_id: Who is signed in; None in a browser that only holds a worker.
        email: The user's address.
        name: What the user wants to be called.
        is_operator: Whether the user runs the place.
        buyer_id: The buyer that the user is.
        worker_id: The worker that the browser holds, while its token is still that of then.
        stale: Whether it was last seen long enough ago to be written down anew.
    """

    id: str
    user_id: str | None
    email: str | None
    name: str | None
    is_operator: bool
    buyer_id: str | None
    worker_id: str | None
    stale: bool


class SessionEntry(msgspec.Struct, frozen=True):
    """A session as its user may see it in the list."""

    id: str
    user_agent: str | None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class User(msgspec.Struct, frozen=True):
    """Somebody who signed up."""

    id: str
    email: str
    name: str | None
    is_operator: bool
    created_at: datetime


class SignIn(msgspec.Struct, frozen=True):
    """A sign-in that comes back from a provider: what was sent along with it."""

    verifier: str
    nonce: str
    return_to: str
