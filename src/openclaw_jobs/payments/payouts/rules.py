"""Rules of payouts: pure functions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from openclaw_jobs.economy import Commissions
from openclaw_jobs.identity.mail.rules import is_mailable
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.payments.models import Lot, LotChange
from openclaw_jobs.payments.payouts.models import Attempt, Payout, PayoutStatus
from openclaw_jobs.workers import Contact

Step = Literal["start", "prepare", "check", "check_or_send"]

_MAX_PAYPAL_CHARS: Final = 127  # https://developer.paypal.com/docs/api/payments.payouts-batch/v1/
_PROGRAMS: Final = frozenset(
    {
        "11111111111111111111111111111111",  # the system program, which is what zeros spell
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",  # the token program
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",  # USDC itself
    }
)
"""Addresses on the curve that are nobody's wallet, and that people paste by mistake."""

_FIRST_CHECK_S: Final = 5.0
_LAST_CHECK_S: Final = 3600.0
_CHECK_AFTER: Final = 0.25
"""The next question waits for so much of the time that the attempt has taken already."""

RESEND_S: Final = 24 * 3600.0
"""So long after it began an attempt that nobody has acknowledged is sent again, with the same key.

Well within the time for which rails remember a key: PayPal refuses a `sender_batch_id` that it
has seen in the last 30 days, and a signed Solana transaction stays one for ever.
"""


def is_paypal_address(text: str) -> bool:
    """Whether PayPal could pay to this e-mail address."""
    return len(text) <= _MAX_PAYPAL_CHARS and is_mailable(text)


def is_solana_address(text: str) -> bool:
    """Whether this is a wallet's address: 32 bytes in base 58, a point on the curve.

    What is off the curve belongs to a program; tokens sent there would be lost.
    """
    from solders.pubkey import Pubkey  # noqa: PLC0415 - a start need not wait for it

    try:
        key = Pubkey.from_string(text)
    except ValueError:
        return False
    return key.is_on_curve() and str(key) == text and text not in _PROGRAMS


def masked(address: str) -> str:
    """Enough of an address to recognise it by, and too little to use it."""
    local, at, domain = address.partition("@")
    if at:
        return f"{local[:1]}…@{domain[:1]}…{domain[domain.rfind('.') :]}"
    return f"{address[:4]}…{address[-4:]}"


def day_start(now: datetime) -> datetime:
    """When the UTC day of `now` began."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def check_contact(contact: Contact, limits: Commissions, now: datetime) -> None:
    """Refuse a withdrawal by a worker that cannot be paid yet.

    Raises:
        Problem: `payout_not_bound`, `email_not_verified` or `payout_change_pending`.
    """
    if contact.payout_method is None or contact.payout_address is None:
        raise Problem("payout_not_bound", "Say where to pay first: POST /api/worker/bind-payout.")
    if limits.require_verified_email and not contact.email_verified:
        raise Problem(
            "email_not_verified",
            "Prove your e-mail address first: POST /api/worker/bind-email, then verify-email.",
        )
    until = contact.payout_blocked_until
    if until is not None and now < until:
        at = rfc3339(until)
        raise Problem(
            "payout_change_pending",
            f"The payout address was changed; withdrawals go on at {at}.",
            withdrawals_from=at,
        )


def check_amount(
    cents: int, limits: Commissions, *, withdrawn_today: int, available_cents: int
) -> None:
    """Refuse an amount that is too small, too much for the day, or not there.

    Raises:
        Problem: `limit_exceeded`.
    """
    least, most = limits.min_withdrawal_cents, limits.daily_withdrawal_limit_cents
    if cents < least:
        raise Problem(
            "limit_exceeded", f"The least is {format_cents(least)}.", min_withdrawal_cents=least
        )
    if withdrawn_today + cents > most:
        raise Problem(
            "limit_exceeded",
            f"At most {format_cents(most)} can be withdrawn in a UTC day.",
            daily_withdrawal_limit_cents=most,
            withdrawn_today_cents=withdrawn_today,
        )
    if cents > available_cents:
        raise Problem(
            "limit_exceeded",
            f"Only {format_cents(available_cents)} is available.",
            available_cents=available_cents,
        )


def attempt_key(payout_id: str, attempt: int) -> str:
    """What names an attempt at its provider."""
    return f"{payout_id}-{attempt}"


def next_step(payout: Payout, attempt: Attempt | None, age_s: float) -> Step:
    """What is to be done for a payout that is due.

    An attempt that was prepared may have been sent, whatever became of the process that was to do
    so: it is asked about. What nobody has acknowledged is then sent again as it is.
    """
    if payout.status == "approved":
        return "start"
    if attempt is None:
        raise ValueError(f"{payout.payout_id} is {payout.status} without an attempt")
    if not attempt.prepared:
        return "prepare"
    return "check_or_send" if attempt.status == "started" and age_s < RESEND_S else "check"


def check_delay_s(age_s: float) -> float:
    """Seconds until an attempt that is so old is asked about again: ever longer, up to an hour."""
    return min(max(_FIRST_CHECK_S, age_s * _CHECK_AFTER), _LAST_CHECK_S)


class Restored(msgspec.Struct, frozen=True):
    """How money that came back divides: what repays a debt, and what becomes of the lots."""

    repaid_cents: int
    changes: list[LotChange]


def restore(lots: Sequence[Lot], withdrawn: Mapping[str, int], owed_cents: int) -> Restored:
    """Give a payout's money back to the lots that it was made of; a debt is repaid first.

    Args:
        lots: The lots, oldest first.
        withdrawn: How much of each is in the payout, by task.
        owed_cents: What their worker owes.
    """
    left = owed_cents
    changes: list[LotChange] = []
    for lot in lots:
        cents = withdrawn[lot.task_id]
        repaid = min(cents, left)
        left -= repaid
        changes.append(
            LotChange(
                task_id=lot.task_id,
                available_cents=cents - repaid,
                withdrawn_cents=-cents,
                clawed_cents=repaid,
            )
        )
    return Restored(owed_cents - left, changes)


def wrong_state(payout_status: PayoutStatus, wanted: str) -> Problem:
    """The refusal of an act that comes too early, too late or twice."""
    return Problem(
        "wrong_state",
        f"The payout is {payout_status}; only one that is {wanted} can be so treated.",
        payout_status=payout_status,
    )
