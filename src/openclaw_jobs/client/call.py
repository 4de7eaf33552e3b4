"""One call to the marketplace as a value: what to send and how to read the answer.

The modules `buyer_calls` and `worker_calls` build these; `session` carries them out, in the sync
and in the async client alike. So a route is described once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from openclaw_jobs.client.errors import UnexpectedAnswerError

T = TypeVar("T")

encode: Final = msgspec.json.Encoder().encode


class Reply(msgspec.Struct, frozen=True):
    """A whole answer of the server; `headers` can be read by any case of the name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What to send, and how to read the answer.

    Attributes:
        method: the HTTP method.
        path: the path with its query, starting with `/`.
        decode: turns an answer below 400 into the result.
        body: JSON, or None for none.
        headers: additional headers.
        repeatable: whether the server may safely see this call twice.
        wait_s: how long the server may hold the answer back on purpose, in seconds.
    """

    method: str
    path: str
    decode: Callable[[Reply], T]
    body: bytes | None = None
    headers: Mapping[str, str] | None = None
    repeatable: bool = False
    wait_s: float = 0.0


def decoder(model: type[T]) -> Callable[[Reply], T]:
    """Make a function that reads an answer's JSON into `model`.

    It raises `UnexpectedAnswerError` when the answer isn't of that form.
    """
    decode = msgspec.json.Decoder(model).decode

    def read(reply: Reply) -> T:
        try:
            return decode(reply.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"the answer with status {reply.status} is not a {model.__name__}: {error}"
            raise UnexpectedAnswerError(message) from error

    return read


def nothing(_: Reply) -> None:
    """Read an answer that has no content."""


def new_key() -> str:
    """Make an idempotency key nobody used before."""
    return uuid.uuid4().hex


def once(key: str | None) -> dict[str, str]:
    """Build the header that makes a POST count once, with a fresh key unless one is given."""
    return {"Idempotency-Key": key or new_key()}


def path(*parts: str, **query: str | int | None) -> str:
    """Join path segments (escaped) and the query values that aren't None."""
    joined = "".join("/" + quote(part, safe="") for part in parts)
    given = {name: value for name, value in query.items() if value is not None}
    return f"{joined}?{urlencode(given)}" if given else joined


def given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values of any type
    """Keep the fields that aren't None: the contract tells absent from null."""
    return {name: value for name, value in fields.items() if value is not None}
