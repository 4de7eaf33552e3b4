"""What a process has seen and not yet written down."""

from collections.abc import Sequence
from typing import Any, Final

from openclaw_jobs.flags.models import FlagKind, Sighting

__all__ = ["Sightings"]

_MOST: Final = 10_000
"""Of so many subjects at once nobody could look at more; what comes then is dropped."""


class Sightings:
    """Sightings of hot paths, which write nothing: a periodic job of each process does.

    What a process has not written when it dies is lost: the next time it is seen again.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._seen: dict[tuple[str, FlagKind], Sighting] = {}

    def note(self, subject: str, kind: FlagKind, detail: dict[str, Any]) -> None:
        """Something was seen; of one subject and kind the last detail is kept."""
        key = (subject, kind)
        before = self._seen.get(key)
        if before is None and len(self._seen) >= _MOST:
            return
        times = 1 if before is None else before.times + 1
        self._seen[key] = Sighting(subject, kind, detail, times)

    def take(self) -> Sequence[Sighting]:
        """All that was seen since the last time."""
        seen, self._seen = self._seen, {}
        return list(seen.values())

    def give_back(self, seen: Sequence[Sighting]) -> None:
        """What could not be written; what was seen since goes before."""
        for one in seen:
            newer = self._seen.get((one.subject, one.kind), one)
            times = one.times + (newer.times if newer is not one else 0)
            self._seen[one.subject, one.kind] = Sighting(
                newer.subject, newer.kind, newer.detail, times
            )
