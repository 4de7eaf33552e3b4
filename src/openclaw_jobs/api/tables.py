"""Tables for spreadsheets, periods and places in lists, as an operator's reports need them."""

import base64
import binascii
import contextlib
import csv
import io
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final
from uuid import UUID

from litestar import Response

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.sse import EventStream
from openclaw_jobs.ledger import Position

CSV: Final = "text/csv; charset=utf-8"

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_DATE_CHARS: Final = len("2026-01-31")


class StreamedCsv(Response[Any]):
    """A table that is sent as it is read, and whose reading ends with the client's presence."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], file_name: str) -> None:
        """Send `chunks` as the file `file_name`, which is plain ASCII."""
        super().__init__(None, media_type=CSV)
        self._app = EventStream(
            chunks,
            (
                (b"content-type", CSV.encode()),
                (b"content-disposition", f'attachment; filename="{file_name}"'.encode()),
                (b"cache-control", b"no-store"),
            ),
        )

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - Litestar's signature
        """The application that sends it."""
        return self._app


def csv_lines(rows: Iterable[Sequence[str | int | None]]) -> str:
    """Rows as CSV (RFC 4180). A text that a spreadsheet would take for a formula is quoted by `'`.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    out = io.StringIO()
    csv.writer(out).writerows([[_cell(value) for value in row] for row in rows])
    return out.getvalue()


def _cell(value: str | int | None) -> str | int | None:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def moment(field: str, text: str | None, default: datetime) -> datetime:
    """A time of a query: a date (its midnight in UTC), or RFC 3339.

    Raises:
        Problem: `validation_failed`.
    """
    if text is None:
        return default
    # What is no time, or none that Python knows, is refused below like one without a zone.
    with contextlib.suppress(ValueError, OverflowError):
        if len(text) == _DATE_CHARS:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    raise invalid(field, "Give a date such as 2026-01-31, or a time such as 2026-01-31T09:15:00Z.")


def encode_position(place: Position | None) -> str | None:
    """A place in the ledger as a cursor."""
    if place is None:
        return None
    text = f"{place.at.isoformat()} {place.transfer_id.hex} {place.line}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_position(cursor: str | None) -> Position | None:
    """The place that a cursor stands for.

    Raises:
        Problem: `validation_failed`.
    """
    if cursor is None:
        return None
    # Whatever fails to be read is refused below, like a place that is none.
    with contextlib.suppress(ValueError, OverflowError, binascii.Error):
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, transfer_id, line = text.split(" ")
        place = Position(datetime.fromisoformat(at), UUID(hex=transfer_id), int(line))
        if place.at.tzinfo is not None and 0 <= place.line < 2**15:
            return place
    raise invalid("cursor", "This is no cursor of this list.")
