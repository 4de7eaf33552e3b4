"""What can go wrong between a program and the marketplace, as exceptions.

`ApiError` is an answer the marketplace gave on purpose (RFC 9457), `TransportError` the lack of a
usable answer. Both are `ClientError`s, so a caller that only wants to know whether a call worked
catches one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One refused field of a request: its path in the body, and what is wrong with it."""

    field: str = ""
    message: str = ""


class ClientError(Exception):
    """Any failure of a call to the marketplace."""


class TransportError(ClientError):
    """No usable answer: the server is away, too slow, or hung up in the middle.

    `sent` is false only when the request certainly never reached the server (name resolution or
    the connection failed), so that repeating it is safe whatever it does.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        """Keep the readable `message` and whether the request may have been `sent`."""
        super().__init__(message)
        self.sent = sent


class UnexpectedAnswerError(ClientError):
    """An answer that isn't what the contract says (a field of another type)."""


class ApiError(ClientError):
    """A refusal by the marketplace.

    Attributes:
        status: the HTTP status.
        code: the stable, documented code (`insufficient_balance`, `lease_lost`, …); `http_<status>`
            when something else than the marketplace answered, a proxy for instance.
        detail: a sentence for people; never needed to decide anything.
        request_id: what to quote to the operator, or None.
        errors: the refused fields of a 422.
        retry_after: seconds the server asks to wait before the next try, or None.
        extra: what the code adds, for instance `price_cents` or `suspended_until`, as decoded JSON.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        request_id: str | None = None,
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Build the error from the parts of a problem document."""
        super().__init__(f"{status} {code}: {detail}" if detail else f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.errors = errors
        self.retry_after = retry_after
        self.extra: Mapping[str, Any] = extra or {}


class _Problem(msgspec.Struct):
    """The fields of an RFC 9457 document that this client reads by name."""

    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str | None = None
    errors: tuple[FieldError, ...] = ()


_NAMED = frozenset({"type", "title", "status", "detail", "code", "request_id", "errors"})
_DETAIL_CHARS = 300
_decode_problem = msgspec.json.Decoder(_Problem).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


def _seconds(value: str | None) -> float | None:
    """Read a `Retry-After` in seconds; its date form isn't in the contract and counts as none."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None


def error_from(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Turn an answer with a status of 400 or more into an `ApiError`.

    Tolerates bodies that aren't problem documents (a proxy's HTML page). `headers` must be
    readable by any case of the name, as httpx's and aiohttp's are.
    """
    retry_after = _seconds(headers.get("Retry-After"))
    request_id = headers.get("X-Request-Id")
    try:
        problem = _decode_problem(body)
        members = _decode_any(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace").strip()[:_DETAIL_CHARS]
        return ApiError(
            status, f"http_{status}", text, request_id=request_id, retry_after=retry_after
        )
    return ApiError(
        status,
        problem.code or f"http_{status}",
        problem.detail or problem.title,
        request_id=problem.request_id or request_id,
        errors=problem.errors,
        retry_after=retry_after,
        extra={key: value for key, value in members.items() if key not in _NAMED},
    )
