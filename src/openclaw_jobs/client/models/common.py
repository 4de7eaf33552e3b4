"""What both sides of the marketplace get."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation; `role` is `user`, `assistant` or `system`."""

    role: str
    content: str
