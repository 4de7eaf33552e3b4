"""Rules of deposits: pure functions, in US cents and seconds."""

import re
from collections.abc import Sequence
from typing import Final, Literal

from openclaw_jobs.payments.deposits.models import BalanceChange

MAX_ATTEMPTS: Final = 36
"""How often something is tried before it is given up: with the delays below for about a day."""

SIGNATURE_TOLERANCE_S: Final = 300
"""How far a signature's time may be from ours; Stripe's own libraries allow as much."""

_MAX_DELAY_S: Final = 3600
_SIGNED_AT: Final = re.compile(r"(?:^|,)t=(\d{1,12})(?:,|$)", re.ASCII)


def retry_delay_seconds(attempts: int) -> int:
    """How long to wait after `attempts` tries in vain: 1 s, doubling, at most an hour."""
    if attempts < 1:
        raise ValueError(f"attempts is {attempts}, must be at least 1")
    return int(min(2 ** min(attempts - 1, 20), _MAX_DELAY_S))


def signed_at(header: str) -> int | None:
    """When a webhook says that it was signed, in Unix seconds; None if it does not."""
    found = _SIGNED_AT.search(header)
    return int(found[1]) if found else None


def is_timely(signed: int, now: float) -> bool:
    """Whether a signature is neither old, as one that is replayed, nor from the future."""
    return abs(now - signed) <= SIGNATURE_TOLERANCE_S


def bonus_to_claw(bonus: int, cents: int, refunded: int, clawed: int, promo: int) -> int:
    """How much of a pack's bonus goes, in the proportion in which its price went back.

    Args:
        bonus: The pack's bonus.
        cents: The pack's price.
        refunded: All that has been refunded of the price.
        clawed: What was taken of the bonus before.
        promo: What the buyer still has of promotional credit; no more is taken.
    """
    if not 0 <= refunded <= cents:
        raise ValueError(f"refunded is {refunded}, must be 0 to {cents}")
    return max(0, min(bonus * refunded // cents - clawed, promo))


def dispute_fee(changes: Sequence[BalanceChange]) -> int:
    """What Stripe took on top when the money left."""
    return max(0, sum(change.fee for change in changes if change.amount < 0))


def returned_fee(changes: Sequence[BalanceChange], fee: int) -> int:
    """What Stripe gave back of the fee of a dispute that was won.

    Where nothing tells of the money's return, all of it: winning is the reverse of opening.
    """
    back = [change for change in changes if change.amount > 0]
    if not back:
        return fee
    return min(fee, max(0, -sum(change.fee for change in back)))


def dispute_state(status: str) -> Literal["none", "open", "won", "lost"] | None:
    """What Stripe's status of a dispute means for the money; None for one we don't know.

    An inquiry (`warning_…`) and one that was prevented move no money.
    """
    if status.startswith("warning_") or status == "prevented":
        return "none"
    if status in {"needs_response", "under_review"}:
        return "open"
    return "won" if status == "won" else "lost" if status == "lost" else None
