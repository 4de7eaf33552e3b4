"""RFC 3339 times as the contract writes them: UTC, ending in `Z`."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """`moment` to the millisecond, such as `2026-01-31T09:15:00.250Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def rfc3339_or_none(moment: datetime | None) -> str | None:
    """As `rfc3339`, and None for None."""
    return None if moment is None else rfc3339(moment)
