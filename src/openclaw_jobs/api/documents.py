"""Problem documents as bytes."""

import re
from typing import Final

import msgspec

from openclaw_jobs.kit.errors import Problem

__all__ = ["PROBLEM_JSON", "encode_problem", "printable"]

PROBLEM_JSON: Final = "application/problem+json"

_NOT_PRINTABLE: Final = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_CHARS: Final = 200


def encode_problem(problem: Problem, request_id: str | None) -> bytes:
    """The problem document as JSON, with anything that cannot be encoded made visible."""
    document = problem.document(request_id)
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        document["detail"] = printable(problem.detail)
        document["errors"] = [
            {"field": printable(e.field), "message": printable(e.message)} for e in problem.errors
        ]
        return msgspec.json.encode(document)


def printable(text: str) -> str:
    """`text` without control characters and surrogates, and not too long to read."""
    cleaned = _NOT_PRINTABLE.sub("\ufffd", text)
    return cleaned if len(cleaned) <= _MAX_CHARS else cleaned[:_MAX_CHARS] + "…"
