"""`Idempotency-Key` at the door: reading the header, and sending a stored answer again."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from litestar import Response

from openclaw_jobs.api.documents import PROBLEM_JSON, encode_problem
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.idempotency import ReplayKey, StoredAnswer
from openclaw_jobs.market.unit import Replay

__all__ = ["parse_key", "replayable", "replayed_response", "route_name"]

T = TypeVar("T")

_MAX_PATH_CHARS: Final = 512
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


def route_name(method: str, path: str) -> str:
    """What tells a request's route apart; short enough for an index, however long its path is."""
    if len(path) <= _MAX_PATH_CHARS and path.isascii():
        return f"{method} {path}"
    digest = hashlib.sha256(path.encode()).hexdigest()
    return f"{method} sha256:{digest}"


def replayable(
    key: ReplayKey | None,
    request_id: str,
    render: Callable[[T], object],
    *,
    status: int | Callable[[T], int],
    headers: Mapping[str, str],
) -> Replay[T] | None:
    """What a use case needs to store its answer; see `ApiRequest.replay`."""
    if key is None:
        return None

    def answer(value: T) -> StoredAnswer:
        return StoredAnswer(
            status=status(value) if callable(status) else status,
            headers=dict(headers),
            content=msgspec.json.encode(render(value)).decode(),
        )

    def refusal(problem: Problem) -> StoredAnswer:
        return StoredAnswer(
            status=problem.status,
            headers={**problem.headers, "Content-Type": PROBLEM_JSON},
            content=encode_problem(problem, request_id).decode(),
        )

    return Replay(key=key, answer=answer, refusal=refusal)


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
