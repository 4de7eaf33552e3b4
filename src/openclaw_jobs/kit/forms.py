"""URL-encoded forms, strictly: UTF-8, without NUL, and bounded."""

from typing import Final
from urllib.parse import parse_qsl

from openclaw_jobs.kit.errors import Problem, invalid

__all__ = ["parse_form"]

_MAX_FIELDS: Final = 200


def parse_form(body: bytes) -> dict[str, list[str]]:
    """The values of each field, in order; `body` is bounded by whoever read it.

    Raises:
        Problem: 422 `validation_failed`: it is no form in UTF-8, has too many fields, or a NUL.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise Problem("validation_failed", "This is no form that we can read.") from None
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise invalid("form", "NUL characters are not allowed.")
        form.setdefault(name, []).append(value)
    return form
