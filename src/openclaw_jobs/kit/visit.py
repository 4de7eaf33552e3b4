"""What the doors know of the request that they are handling."""

import time
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CLIENT_GONE", "Visit", "visit_of"]

CLIENT_GONE: Final = 499
"""The status in the log, as in nginx's, where the client hung up before it was answered."""


class Visit:
    """One request on its way through the doors.

    Attributes:
        request_id: The client's `X-Request-Id`, or one of ours.
        caller_id: Who calls, once known, for the log.
        caller: The buyer, worker or operator that authentication found.
        address: Where the call comes from.
        rate_keys: Whom the call counts against.
        idempotency_key: The header, when the route takes it.
        body_hash: SHA-256 of the body, once it is read and the route needs it.
        status: Of the answer; None until it starts.
        session: Whose browser it is, where a route looks at that and it has a live session.
        session_cookie: The secret of that session.
        page: Whether a page was asked for, so that a refusal is one as well.
    """

    __slots__ = (
        "address",
        "body_hash",
        "caller",
        "caller_id",
        "idempotency_key",
        "page",
        "rate_keys",
        "request_id",
        "session",
        "session_cookie",
        "started",
        "status",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.started = time.perf_counter()
        self.caller: Any = None
        self.caller_id: str | None = None
        self.address = "unknown"
        self.rate_keys: tuple[bytes, ...] = ()
        self.idempotency_key: str | None = None
        self.body_hash: bytes | None = None
        self.status: int | None = None
        self.session: Any = None
        self.session_cookie: str | None = None
        self.page = False


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """The visit that `surround` put into `scope`."""
    visit: Visit = scope["openclaw.visit"]
    return visit
