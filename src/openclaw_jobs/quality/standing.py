"""What standing is made of: suspensions with their evidence, appeals, reviews of tiers."""

from datetime import date, datetime
from typing import Final, Literal

import msgspec

from openclaw_jobs.quality.record import CheckState
from openclaw_jobs.workers import Tier, WorkerStats

SuspensionCause = Literal["quality", "operator"]

QUALITY_REASON: Final = "Too many of your results were found to be wrong."
"""What a worker is told that was stopped for its results; it names no kind of check."""

_NEVER: Final = date(1970, 1, 1)

MAX_EVIDENCE: Final = 20
"""The latest bad results that a suspension keeps as its evidence."""


class Suspension(msgspec.Struct, frozen=True):
    """Why a worker was stopped, and what came of it; the columns of revision 0005.

    `upheld`: the appeal was, and the worker may work again.
    """

    suspension_id: str
    worker_id: str
    cause: SuspensionCause
    task_ids: list[str]
    completed: int
    started_at: datetime
    ended_at: datetime | None
    appeal: str | None
    appealed_at: datetime | None
    answer: str | None
    upheld: bool | None
    decided_by: str | None
    decided_at: datetime | None


class BadResult(msgspec.Struct, frozen=True):
    """A result of a worker that was found bad; None if its text was erased."""

    task_id: str
    category: str
    completed_at: datetime | None
    result: str | None


class Appeal(msgspec.Struct, frozen=True):
    """A suspension that was appealed, with whom an operator decides about."""

    suspension: Suspension
    name: str | None
    tier: Tier
    good: int
    bad: int


class Review(msgspec.Struct, frozen=True):
    """A worker whose tier is looked at.

    `shown_quality` is None where it has to be read off the record anew; `busy`: it did something
    yesterday or today.
    """

    worker_id: str
    tier: Tier
    completed: int
    failed: int
    expired: int
    credited: int
    good: int
    bad: int
    shown_quality: float | None
    busy: bool


class Reviewed(msgspec.Struct, frozen=True):
    """What a review came to; `fresh_seconds` is 0 where the quality shown stays the old one."""

    worker_id: str
    tier: Tier
    quality: float | None
    next_seconds: float
    fresh_seconds: float


def stats_of(review: Review) -> WorkerStats:
    """The counts that rates are made of."""
    return WorkerStats(
        completed=review.completed,
        failed=review.failed,
        expired=review.expired,
        released=0,
        credited=review.credited,
        lifetime_cents=0,
        today=_NEVER,
        today_completed=0,
        today_cents=0,
    )


def state_of(stage: str | None, verdict: str | None, *, agree: bool | None) -> CheckState:
    """What a check, if there is one, says of the result that it is about."""
    if verdict == "bad":
        return CheckState.REJECTED
    if verdict == "good":
        return CheckState.AGREED if agree else CheckState.UPHELD
    if verdict == "inconclusive" or stage in {"arbitrating", "deciding"}:
        return CheckState.DISPUTED
    return CheckState.UNCHECKED
