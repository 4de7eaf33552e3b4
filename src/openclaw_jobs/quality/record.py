"""What the rules of quality deal in: records, verdicts, tiers' requirements, allotments."""

from enum import StrEnum

import msgspec


class Record(msgspec.Struct, frozen=True):
    """What checks have found of one worker.

    Attributes:
        good: Outcomes found good.
        bad: Outcomes found bad, each by arbitration or against a gold answer.
        streak: Good outcomes in a row, counted from the last bad one or the last expired lease.
        suspicion: The sequential test's W, in nats; 0 means nothing speaks against the worker.
    """

    good: int = 0
    bad: int = 0
    streak: int = 0
    suspicion: float = 0.0


class Verdict(StrEnum):
    """What a check found of one result."""

    GOOD = "good"
    BAD = "bad"
    INCONCLUSIVE = "inconclusive"


class Decision(msgspec.Struct, frozen=True):
    """What an arbitration found of the two results that disagreed."""

    first: Verdict
    second: Verdict


class CheckState(StrEnum):
    """What checks say of one result so far."""

    UNCHECKED = "unchecked"
    AGREED = "agreed"  # with another execution, or with a gold answer
    DISPUTED = "disputed"  # another execution differs, and nobody has decided
    UPHELD = "upheld"  # two of three were for it
    REJECTED = "rejected"  # two of three were against it


class Achievement(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has to show for a tier; rates and quality are shares from 0 to 1."""

    completed: int
    completion_rate: float
    credit_rate: float
    quality: float


class Requirement(msgspec.Struct, frozen=True):
    """One thing that a tier asks for, and whether the worker has it.

    `credit_rate` must not be over `required`; every other must not be under it.
    """

    name: str
    current: float
    required: float
    met: bool


class Allotment(msgspec.Struct, frozen=True):
    """What one process may still reserve for checks without asking the database, in cents."""

    cents: int
