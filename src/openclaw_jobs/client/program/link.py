"""How the server is: reachable, away, asking for patience, or keeping this worker out.

All that talk to the server report here, so that a change is told once and not once a try.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from openclaw_jobs.client.errors import ApiError, ClientError, TransportError
from openclaw_jobs.client.program.log import WorkerLog
from openclaw_jobs.client.retry import RetryPolicy

_QUIET_FAILURES: Final = 1
"""Failures in a row that are not worth a line: a connection that was closed as we used it."""

_MAX_SUSPENSION_WAIT_S: Final = 300.0
"""A suspension can be lifted early, so look again after this long at the latest."""
_OPEN_SUSPENSION_WAIT_S: Final = 60.0
_MIN_SUSPENSION_WAIT_S: Final = 1.0

_UNAUTHENTICATED: Final = 401
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class GiveUpError(Exception):
    """There is no point in going on; the message says why, for people.

    `status` is the HTTP status of the refusal.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Link:
    """The state of the connection to the server, and how long to wait before the next try."""

    def __init__(
        self,
        log: WorkerLog,
        *,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log: Final = log
        self._rng: Final = rng or random.Random()  # noqa: S311 - only spreads the waits
        self._clock: Final = clock
        self._now: Final = now
        self._policy: Final = RetryPolicy(base_s=0.5, cap_s=30.0)
        self._failures = 0
        self._since = 0.0
        self._told: str | None = None

    @property
    def broken(self) -> bool:
        """Whether the last thing told is that the server is away or keeps us out."""
        return self._told in {"away", "suspended"}

    def worked(self) -> None:
        """Report an answer that served its purpose."""
        if self._told == "away":
            self._log.say("back", f"server is back after {self._clock() - self._since:.0f} s")
        elif self._told is not None:
            self._log.say("back", "working again")
        self._failures = 0
        self._told = None

    def failed(self, error: ClientError) -> float:
        """Report a failure and get the seconds to wait before the next try.

        Raises:
            GiveUpError: no try will ever help.
        """
        if isinstance(error, ApiError):
            if error.code == "suspended":
                return self._suspended(error)
            if error.status == _TOO_MANY:
                wait = (error.retry_after or 1.0) + self._rng.uniform(0.0, 1.0)
                self._tell("limited", f"asked to slow down, waiting {wait:.0f} s")
                return wait
            if error.status < _SERVER_ERROR:
                raise GiveUpError(_reason(error), status=error.status)
        return self._away(error)

    def _away(self, error: ClientError) -> float:
        if self._failures == 0:
            self._since = self._clock()
        self._failures += 1
        if self._failures > _QUIET_FAILURES:
            self._tell("away", f"server is away ({_short(error)}), trying again", bad=True)
        wait = self._policy.backoff(self._failures, self._rng)
        asked = error.retry_after if isinstance(error, ApiError) else None
        return wait + (asked or 0.0)

    def _suspended(self, error: ApiError) -> float:
        until = _time(error.extra.get("suspended_until"))
        if until is None:
            self._tell("suspended", "this worker is suspended until an operator lifts it", bad=True)
            wait = _OPEN_SUSPENSION_WAIT_S
        else:
            when = until.strftime("%Y-%m-%d %H:%M:%SZ")
            self._tell("suspended", f"this worker is suspended until {when}, waiting", bad=True)
            wait = (until - self._now()).total_seconds()
        wait = min(max(wait, _MIN_SUSPENSION_WAIT_S), _MAX_SUSPENSION_WAIT_S)
        return wait + self._rng.uniform(0.0, 1.0)

    def _tell(self, state: str, text: str, *, bad: bool = False) -> None:
        if self._told != state:
            self._told = state
            self._log.say(state, text, bad=bad)


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _short(error: ClientError) -> str:
    if isinstance(error, ApiError):
        return f"status {error.status}"
    return "no connection" if isinstance(error, TransportError) else "unreadable answer"


def _reason(error: ApiError) -> str:
    if error.status == _UNAUTHENTICATED:
        return "the server no longer accepts this worker's token"
    if error.status == _FORBIDDEN:
        return f"the server keeps this worker out: {error.detail or error.code}"
    return f"the server refused: {error}"
