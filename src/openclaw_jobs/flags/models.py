"""What a flag is."""

from datetime import datetime
from typing import Any, Literal

import msgspec

FlagKind = Literal[
    "unfinished_claims",
    "registration_burst",
    "sign_up_burst",
    "bonus_withheld",
    "own_worker",
    "shared_network",
    "credit_limit",
    "rejected_credits",
    "payout_changes",
    "shared_payout",
    "hostile_prompt",
    "hostile_result",
]
"""What was seen; docs/how-to/fight-abuse.md says what each means and what to do."""


class Sighting(msgspec.Struct, frozen=True):
    """Something that was seen of a subject.

    Attributes:
        subject: A worker's or buyer's id, or `net_` with the beginning of a network's mark.
        kind: What.
        detail: Facts that explain it, encodable as JSON; no texts of tasks, no addresses. The same
            detail again is no news.
        times: How often.
    """

    subject: str
    kind: FlagKind
    detail: dict[str, Any]
    times: int = 1


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a subject, how often, and whether an operator has looked at it.

    News after it was dismissed opens it again.
    """

    id: str
    subject: str
    kind: str
    detail: dict[str, Any]
    count: int
    first_seen: datetime
    last_seen: datetime
    dismissed_by: str | None
    dismissed_at: datetime | None


class FlagPage(msgspec.Struct, frozen=True):
    """Some flags, newest first; `next_cursor` is where to go on."""

    flags: list[Flag]
    next_cursor: str | None
