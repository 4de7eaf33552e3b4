"""What a fake is told to do wrong, and what it was asked."""

from dataclasses import dataclass, field
from typing import Any

DROP_BEFORE = "drop before the request is acted on"
DROP_MIDWAY = "act, then drop in the middle of the answer"


class DroppedError(Exception):
    """Makes uvicorn cut the connection."""


@dataclass
class Fault:
    """What goes wrong with the next request whose path begins with `path`."""

    path: str
    how: int | str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
