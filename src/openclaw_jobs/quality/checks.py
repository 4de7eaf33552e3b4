"""What a check is: two results of one text compared, or one with accepted answers."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from openclaw_jobs.quality.record import Record, Verdict

CheckKind = Literal["shadow", "spot", "gold", "credit", "audit"]
CheckStage = Literal["due", "copying", "comparing", "arbitrating", "deciding", "decided", "void"]
OVER: Final[frozenset[CheckStage]] = frozenset({"decided", "void"})

MAX_READERS: Final = 3
"""A buyer's text is shown to so many workers at the most, once one of them is done with it."""

LINGER_S: Final = 300.0
"""How long a copy that nobody may have any more is left in the queue at the longest."""

BY_RULES: Final = "checks"
"""Who decided a verdict that no operator was asked about."""


class NewCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check as it is first written.

    Attributes:
        check_id: Its id.
        kind: What it is for.
        category: The text's category.
        price_cents: What each hidden task of it costs: the original's stamp.
        original_task_id: The paid task; None for a gold one.
        gold_id: The gold task; None for any other kind.
        first_worker_id: Who did the original, if it is done.
        delay_seconds: After how long its hidden task is queued.
        reserved_cents: What it sets aside of the budget.
    """

    check_id: str
    kind: CheckKind
    category: str
    price_cents: int
    original_task_id: str | None
    gold_id: str | None
    first_worker_id: str | None
    delay_seconds: float
    reserved_cents: int


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A check that is locked; the columns of revision 0005, which describes them."""

    check_id: str
    kind: CheckKind
    stage: CheckStage
    category: str
    price_cents: int
    original_task_id: str | None
    gold_id: str | None
    copy_task_id: str | None
    arbiter_task_id: str | None
    first_worker_id: str | None
    second_worker_id: str | None
    third_worker_id: str | None
    reserved_cents: int
    spent_cents: int
    first_verdict: Verdict | None
    second_verdict: Verdict | None


class Part(msgspec.Struct, frozen=True):
    """A task of a check that a worker has just completed."""

    check_id: str
    task_id: str
    worker_id: str


class Ended(msgspec.Struct, frozen=True):
    """A task of a check that ended without a result; hidden ones give their price back."""

    check_id: str
    task_id: str
    refunded_cents: int
    reason: str


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to compare: the results so far; one that was erased is None."""

    check_id: str
    kind: CheckKind
    stage: CheckStage
    category: str
    first: str | None
    second: str | None
    third: str | None
    answers: list[str] | None
    gold_id: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What comparing came to.

    Attributes:
        agree: Whether the two results, or the result and an accepted answer, say the same.
        similarity: How alike they are, 0 to 1.
        method: What decided.
        engine: The engine's version.
        why: One sentence for the operator.
        evidence: Every comparison that was made, by name.
        first: The verdict on the original; None while a third has to decide, or there is none.
        second: The same of the copy.
        reason: Why so; `None` of both verdicts and a reason: nothing can be decided.
        asks_third: Whether a third execution has to decide.
    """

    agree: bool
    similarity: float
    method: str
    engine: str
    why: str
    evidence: dict[str, dict[str, object]]
    first: Verdict | None
    second: Verdict | None
    reason: str
    asks_third: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a check whose texts were looked at.

    Attributes:
        check_id: The check.
        stage: Where it stands from now on.
        finding: What comparing found; None if a text is gone.
        first: The verdict on the original, if there is one.
        second: The same of the copy.
        reason: Why so; None while a third has to decide.
        decided_by: Who decided; None where nobody has.
        delay_seconds: After how long a third is queued; None where none is asked.
    """

    check_id: str
    stage: CheckStage
    finding: Finding | None
    first: Verdict | None = None
    second: Verdict | None = None
    reason: str | None = None
    decided_by: str | None = None
    delay_seconds: float | None = None


def stage_of(first: Verdict | None, second: Verdict | None) -> CheckStage:
    """Where a check stands that has these verdicts: without any it is void."""
    return "void" if first is None and second is None else "decided"


class Outcome(msgspec.Struct, frozen=True):
    """What was found of one result."""

    task_id: str
    worker_id: str
    check_id: str
    bad: bool


class WorkerState(msgspec.Struct, frozen=True):
    """A worker's record with the number of checks of its results that are under way."""

    record: Record
    pending: int


class CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    """A check as an operator sees it, with the texts and results that it compared."""

    check_id: str
    kind: CheckKind
    stage: CheckStage
    category: str
    price_cents: int
    original_task_id: str | None
    gold_id: str | None
    copy_task_id: str | None
    arbiter_task_id: str | None
    first_worker_id: str | None
    second_worker_id: str | None
    third_worker_id: str | None
    reserved_cents: int
    spent_cents: int
    first_verdict: Verdict | None
    second_verdict: Verdict | None
    agree: bool | None
    similarity: float | None
    method: str | None
    engine: str | None
    why: str | None
    evidence: str | None
    reason: str | None
    decided_by: str | None
    due_at: datetime
    created_at: datetime
    decided_at: datetime | None
    prompt: str | None
    messages: str | None
    first_result: str | None
    second_result: str | None
    third_result: str | None
    answers: list[str] | None
