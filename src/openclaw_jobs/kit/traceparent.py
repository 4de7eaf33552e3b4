"""W3C `traceparent`: reading it, writing it, and which one may go to a worker.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re
import secrets
from datetime import datetime
from typing import Final

import msgspec

__all__ = ["Trace", "fresh", "looks_random", "parse"]

_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = "01"
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_CLOCK_S: Final = 400 * 86_400


class Trace(msgspec.Struct, frozen=True):
    """A place in a trace: 16 bytes that name the trace, 8 that name the span."""

    trace_id: bytes
    span_id: bytes

    def __str__(self) -> str:
        """As a header, always of the same form: version 00, sampled.

        Flags that differed from task to task would tell tasks apart.
        """
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{_SAMPLED}"


def parse(header: str) -> Trace | None:
    """The trace that a header names; None if it is not well-formed, as the standard says."""
    match = _FORM.fullmatch(header)
    if match is None:
        return None
    version, trace_id, span_id, _, more = match.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not (int(trace_id, 16) and int(span_id, 16))
    ):
        return None
    return Trace(bytes.fromhex(trace_id), bytes.fromhex(span_id))


def fresh() -> Trace:
    """A trace that nobody has used."""
    return Trace(secrets.token_bytes(_TRACE_BYTES), secrets.token_bytes(_SPAN_BYTES))


def looks_random(trace_id: bytes, now: datetime) -> bool:
    """Whether a trace id is of no form that would tell it from a fresh one.

    Some tracers count in 64 bits, with zeros before or behind, or begin with the time in seconds.
    """
    seconds = int.from_bytes(trace_id[:4], "big")
    in_64_bits = not any(trace_id[:4]) or not any(trace_id[-4:])
    return not in_64_bits and abs(seconds - now.timestamp()) > _CLOCK_S
