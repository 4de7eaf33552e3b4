"""Refusals as RFC 9457 problems: one exception type, a stable code for each kind."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

STATUS_BY_CODE: Final[Mapping[str, int]] = {
    "malformed_json": 400,
    "invalid_signature": 400,
    "invalid_idempotency_key": 400,
    "unauthenticated": 401,
    "insufficient_balance": 402,
    "forbidden": 403,
    "suspended": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "lease_lost": 409,
    "already_credited": 409,
    "not_creditable": 409,
    "not_cancellable": 409,
    "wrong_state": 409,
    "idempotency_conflict": 409,
    "idempotency_in_progress": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "limit_exceeded": 422,
    "payout_not_bound": 422,
    "email_not_verified": 422,
    "payout_change_pending": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "unavailable": 503,
}
"""Every code a caller can meet, with its HTTP status; the contract's table of errors."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field: its path in the body (or the query's name) and a sentence."""

    field: str
    message: str


class Problem(Exception):  # noqa: N818 - RFC 9457's own word for it
    """A refusal with a stable code.

    Args:
        code: A key of `STATUS_BY_CODE`.
        detail: A sentence for the person who made the call; says what to do.
        errors: What is wrong field by field, where that applies.
        headers: Extra response headers, such as `Retry-After`.
        extra: Further members of the problem document, such as `balance_cents`.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,  # noqa: ANN401 - extension members are free by RFC 9457 §3.2
    ) -> None:
        """See the class."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = STATUS_BY_CODE[code]
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def document(self, request_id: str | None) -> dict[str, Any]:
        """The problem document as RFC 9457 names its members."""
        body: dict[str, Any] = {
            "type": f"urn:openclaw:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.extra,
        }
        if self.errors:
            body["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        return body


def invalid(field: str, message: str) -> Problem:
    """A 422 about one field."""
    return Problem(
        "validation_failed",
        f"{field}: {message}",
        errors=[FieldError(field=field, message=message)],
    )


def not_found(what: str = "object") -> Problem:
    """A 404 that says the same for what is missing and for what is another party's."""
    return Problem("not_found", f"There is no such {what}, or it is not yours.")
