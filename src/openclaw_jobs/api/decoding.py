"""Bodies into values: declared to be JSON, bounded in depth, strict, and refused in plain words."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from litestar.handlers import BaseRouteHandler

from openclaw_jobs.api.documents import printable
from openclaw_jobs.kit.errors import FieldError, Problem

__all__ = [
    "ANYTHING",
    "MAX_DEPTH",
    "accepts_no_body",
    "body_decoder",
    "body_type",
    "check_encoding",
    "check_media_type",
    "decode_strictly",
    "is_empty_object",
]

MAX_DEPTH: Final = 32
"""So deep may arrays and objects of a body be nested."""

ANYTHING: Final = msgspec.json.Decoder(Any)

_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)
"""It never goes back: a string that does not end matches to the end."""


def body_type(handler: BaseRouteHandler) -> Any:  # noqa: ANN401 - a type, or one with bounds
    """What the body of a route is decoded into; None where it takes none, or reads it itself."""
    data = handler.parsed_fn_signature.parameters.get("data")
    return None if data is None else data.annotation


def body_decoder(handler: BaseRouteHandler) -> msgspec.json.Decoder[Any] | None:
    """What decodes the body of a route; None where there is nothing to decode."""
    kind = body_type(handler)
    return None if kind is None else msgspec.json.Decoder(kind)


def accepts_no_body(handler: BaseRouteHandler) -> bool:
    """Whether a route can be called without a body: it takes none, or `{}` would do."""
    decoder = body_decoder(handler)
    try:
        if decoder is not None:
            decoder.decode(b"{}")
    except msgspec.ValidationError:
        return False
    return True


def check_media_type(raw_headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse what is declared to be something else than JSON in UTF-8."""
    headers = dict(raw_headers)
    declared = headers.get(b"content-type", b"application/json").lower()
    media_type, _, parameters = declared.partition(b";")
    media_type = media_type.strip()
    charset = parameters.partition(b"charset=")[2].strip(b" \"'") or b"utf-8"
    is_json = media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    if not is_json or charset not in {b"utf-8", b"utf8"}:
        raise Problem("unsupported_media_type", "Send the body as application/json in UTF-8.")


def check_encoding(raw_headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a body that is compressed: a few kilobytes can hold gigabytes, so none is opened."""
    for name, value in raw_headers:
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise Problem("unsupported_media_type", "Send the body as it is, not compressed.")


def is_empty_object(body: bytes) -> bool:
    """Whether `body` is `{}`."""
    try:
        value = ANYTHING.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(value, dict) and not value


def decode_strictly(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:  # noqa: ANN401
    """Decode `body`, telling bad JSON (400) from JSON that does not fit (422).

    Raises:
        Problem: `malformed_json` (for nesting over `MAX_DEPTH` too), or `validation_failed` with
            the fields that are wrong; NUL characters and lone surrogates are refused in any
            string, keys among them.
    """
    _check_depth(body)
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        _check_well_formed(body)
        raise _misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _check_well_formed(body)
        raise Problem("malformed_json", "The body is not JSON.") from error
    if b"\\u0000" in body and (where := _find_in_strings(ANYTHING.decode(body), _has_nul)):
        raise _unfit_text(where)
    return value


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before anything is made of it; a scan only where there may be some."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(body):
        match found[0]:
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise Problem(
                        "malformed_json", f"The body is nested more than {MAX_DEPTH} levels deep."
                    )
            case b"]" | b"}":
                depth -= 1


def _check_well_formed(body: bytes) -> None:
    """Raise the right problem for a body that did not decode; return if it is well-formed."""
    try:
        ANYTHING.decode(body)
    except msgspec.ValidationError:
        # JSON it is, with a number past what can be held.
        return
    except RecursionError:
        raise Problem("malformed_json", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise Problem("malformed_json", "The body is not UTF-8.") from None
    except msgspec.DecodeError as error:
        if where := _lone_surrogate(body):
            raise _unfit_text(where) from None
        raise Problem("malformed_json", f"The body is not JSON: {error}.") from None


def _lone_surrogate(body: bytes) -> str | None:
    """Where an escaped surrogate stands alone, if that is all that is wrong with `body`."""
    if b"\\ud" not in body.lower():
        return None
    try:
        # The standard library's decoder lets lone surrogates through.
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _find_in_strings(value, _has_surrogate)


def _has_nul(text: str) -> bool:
    return "\x00" in text


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _find_in_strings(value: object, unfit: Any) -> str | None:  # noqa: ANN401 - a predicate
    """The path of the first string in `value` (or key of it) that is `unfit`; `$` is the root."""
    pending: list[tuple[str, object]] = [("", value)]
    while pending:
        path, found = pending.pop()
        if isinstance(found, str):
            if unfit(found):
                return path or "$"
        elif isinstance(found, dict):
            for key, inner in found.items():
                if unfit(key):
                    return path or "$"
                pending.append((f"{path}.{key}" if path else key, inner))
        elif isinstance(found, list):
            pending.extend((f"{path}[{i}]", inner) for i, inner in enumerate(found))
    return None


def _unfit_text(where: str) -> Problem:
    field = "" if where == "$" else printable(where)
    message = "NUL characters and lone surrogates are not allowed in text"
    return Problem(
        "validation_failed",
        f"{field}: {message}" if field else message,
        errors=[FieldError(field=field, message=message)],
    )


def _misfit(text: str) -> Problem:
    """A 422 out of msgspec's message, such as ``Expected `int`, got `str` - at `$.a` ``."""
    message, _, path = text.partition(" - at `$")
    field = path.removesuffix("`").removeprefix(".")
    for lead in ("Object contains unknown field `", "Object missing required field `"):
        if message.startswith(lead):
            name = message[len(lead) :].removesuffix("`")
            field = f"{field}.{name}" if field else name
    field, message = printable(field), printable(message)
    return Problem(
        "validation_failed",
        f"{field}: {message}" if field else message,
        errors=[FieldError(field=field, message=message)],
    )
