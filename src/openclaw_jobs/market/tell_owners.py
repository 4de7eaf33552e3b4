"""Whose is whose: marks that buyers and workers get, and what a network may do in a day."""

from datetime import timedelta
from typing import Final

import msgspec

from openclaw_jobs import flags
from openclaw_jobs.buyers import store_marks as buyer_marks
from openclaw_jobs.flags import Sighting
from openclaw_jobs.identity import users
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.mailbox import is_disposable
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.workers import store_marks as worker_marks
from openclaw_jobs.workers.marks import mark_of, network_of

__all__ = ["bonus_reason", "mark_buyer", "mark_person", "network_subject", "refuse_crowded"]

_DAY: Final = timedelta(days=1)
_RETRY_S: Final = 3600


class _Network(msgspec.Struct, frozen=True):
    """A public network that a call came from."""

    mark: bytes
    subject: str


def network_subject(mark: bytes) -> str:
    """What a network is called in flags: no address, but always the same."""
    return f"net_{mark.hex()[:24]}"


def _network(address: str | None) -> _Network | None:
    network = None if address is None else network_of(address)
    if network is None:
        return None
    mark = mark_of("network", network)
    return _Network(mark, network_subject(mark))


async def refuse_crowded(market: Market, unit: Unit, address: str | None) -> bytes | None:
    """See that a network has not registered too many workers today; its mark, if it is public.

    Raises:
        Problem: 429 `rate_limited`.
    """
    network = _network(address)
    if network is None:
        return None
    most = market.config.abuse.workers_per_network_per_day
    await buyer_marks.lock_mark(unit.conn, network.mark)
    found = await worker_marks.count_new(unit.conn, network.mark, _DAY)
    if found >= most:
        # Noted aside, since this transaction comes to nothing.
        market.sightings.note(
            network.subject,
            "registration_burst",
            {"workers": found, "last_at": unit.now.isoformat(timespec="seconds")},
        )
        raise Problem(
            "rate_limited",
            f"{most} workers were registered from your network within a day; try again later.",
            headers={
                "Retry-After": str(_RETRY_S),
                "RateLimit-Limit": str(most),
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": str(_RETRY_S),
                "RateLimit-Policy": f"{most};w={round(_DAY.total_seconds())}",
            },
        )
    return network.mark


async def mark_person(unit: Unit, worker_id: str, user_id: str | None) -> None:
    """A worker is held in a browser in which this user is signed in."""
    if user_id is not None:
        await worker_marks.replace_mark(
            unit.conn, worker_id, "person", mark_of("person", user_id), only_one=False
        )


async def mark_buyer(unit: Unit, buyer_id: str, user_id: str, email: str) -> None:
    """Give a new buyer the marks by which its own workers are known."""
    await buyer_marks.add_marks(
        unit.conn,
        [
            (buyer_id, "email", mark_of("email", email)),
            (buyer_id, "payout", mark_of("payout", email)),
            (buyer_id, "person", mark_of("person", user_id)),
        ],
    )


async def bonus_reason(
    market: Market, unit: Unit, buyer_id: str, email: str, address: str | None
) -> str | None:
    """Why somebody who signs up gets no bonus, None if they do; called before `mark_buyer`.

    Who signs up from one network or with one mailbox waits for each other, so that of several at
    once no more get it than may.
    """
    abuse = market.config.abuse
    network = _network(address)
    mailbox = mark_of("email", email)
    marks = sorted({mailbox} | ({network.mark} if network else set()))
    for mark in marks:
        await buyer_marks.lock_mark(unit.conn, mark)
    signed_up = 0
    if network is not None:
        signed_up = await buyer_marks.count_new(unit.conn, network.mark, _DAY)
        await buyer_marks.add_marks(unit.conn, [(buyer_id, "network", network.mark)])
        if signed_up >= abuse.sign_ups_per_network_per_day:
            burst = {"sign_ups": signed_up + 1, "last_buyer_id": buyer_id}
            seen = Sighting(network.subject, "sign_up_burst", burst)
            await flags.raise_flags(unit.conn, [seen])
    reason: str | None = None
    if await users.had_account(unit.conn, email):
        return "had_account"
    if abuse.one_bonus_per_mailbox and await buyer_marks.has_buyer(unit.conn, mailbox):
        reason = "mailbox_has_account"
    elif not abuse.bonus_for_disposable_mail and is_disposable(email):
        reason = "disposable_mail"
    elif signed_up >= abuse.bonuses_per_network_per_day:
        reason = "network_had_bonuses"
    if reason is not None:
        detail = {"reason": reason} | ({"network": network.subject} if network else {})
        await flags.raise_flags(unit.conn, [Sighting(buyer_id, "bonus_withheld", detail)])
    return reason
