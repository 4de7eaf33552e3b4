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
