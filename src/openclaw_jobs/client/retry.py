"""When to try a call again, and how long to wait first: decisions without I/O or clock.

A call is tried again when the server can't have acted on it (the connection failed, or it was
turned away with 429), or when acting twice does no harm (`Call.repeatable`). The waits grow
exponentially with full jitter, so that many clients don't come back together.
"""

from __future__ import annotations

import random
from typing import Final

import msgspec

from openclaw_jobs.client.errors import ApiError, ClientError, TransportError

_TRY_AGAIN: Final = frozenset({502, 503, 504})
_TOO_MANY: Final = 429
_MAX_DOUBLINGS: Final = 30


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a client is.

    Attributes:
        attempts: tries in all, the first included; 1 never tries again.
        base_s: the longest wait before the second try; it doubles with each further one.
        cap_s: the longest wait between two tries, in seconds.
        max_retry_after_s: a `Retry-After` above this is raised instead of waited for.
    """

    attempts: int = 5
    base_s: float = 0.2
    cap_s: float = 10.0
    max_retry_after_s: float = 60.0

    def backoff(self, failures: int, rng: random.Random) -> float:
        """Draw the seconds to wait after the `failures`-th failure in a row (from 1)."""
        top = self.base_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        return rng.uniform(0.0, min(self.cap_s, top))

    def delay(
        self, error: ClientError, *, failures: int, repeatable: bool, rng: random.Random
    ) -> float | None:
        """Say how long to wait before trying again, or None to give up and raise `error`.

        `failures` counts the failed tries of this call so far, this one included.
        """
        if failures >= self.attempts or not worth_retrying(error, repeatable=repeatable):
            return None
        wait = self.backoff(failures, rng)
        if isinstance(error, ApiError) and error.retry_after is not None:
            if error.retry_after > self.max_retry_after_s:
                return None
            # jitter on top: never earlier than asked, and not everybody at the same instant
            wait += error.retry_after
        return wait


NO_RETRY: Final = RetryPolicy(attempts=1)
"""For callers with a back-off of their own."""


def worth_retrying(error: ClientError, *, repeatable: bool) -> bool:
    """Whether another try may help and can do no harm."""
    if isinstance(error, TransportError):
        return repeatable or not error.sent
    if isinstance(error, ApiError):
        return error.status == _TOO_MANY or (repeatable and error.status in _TRY_AGAIN)
    return False
