"""`Idempotency-Key` at the door: reading the header, and sending a stored answer again."""

import re
from typing import Final

from litestar import Response

from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.idempotency import StoredAnswer

__all__ = ["parse_key", "replayed_response"]

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]{1,255}")


def parse_key(header: bytes) -> str:
    """The value of an `Idempotency-Key` header.

    Raises:
        Problem: 400 `invalid_idempotency_key` unless it is 1 to 255 printable ASCII characters.
    """
    value = header.strip(b" \t")
    if not _PRINTABLE.fullmatch(value):
        raise Problem(
            "invalid_idempotency_key",
            "Idempotency-Key must be 1 to 255 printable ASCII characters.",
        )
    return value.decode("ascii")


def replayed_response(answer: StoredAnswer) -> Response[bytes]:
    """The first answer once more, marked as a repetition."""
    content_type = next(
        (v for k, v in answer.headers.items() if k.lower() == "content-type"), "application/json"
    )
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-type"}
    return Response(
        answer.content.encode(),
        status_code=answer.status,
        media_type=content_type,
        headers={**headers, "Idempotent-Replayed": "true"},
    )
