"""A worker says how it is reached and where it is paid."""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from openclaw_jobs import flags
from openclaw_jobs.economy import Abuse
from openclaw_jobs.flags import Sighting
from openclaw_jobs.identity import mail
from openclaw_jobs.identity.mail import CodeCheck
from openclaw_jobs.identity.mail.rules import CODE_MINUTES, is_mailable
from openclaw_jobs.kit.errors import FieldError, Problem, invalid, not_found
from openclaw_jobs.kit.idempotency import StoredAnswer
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.market.worker_account import WorkerAccount, read_account
from openclaw_jobs.payments.payouts.models import PayoutMethod
from openclaw_jobs.payments.payouts.rules import is_paypal_address, is_solana_address, masked
from openclaw_jobs.workers import Contact, store_marks
from openclaw_jobs.workers import store_contact as store
from openclaw_jobs.workers.marks import mark_of

_MOST_TOLD: Final = 20
_NO_MAIL_RETRY_S: Final = "3600"
_REFUSALS: Final = {
    "none": "No code is waited for; ask for one with POST /api/worker/bind-email.",
    "expired": "This code has expired; ask for a new one.",
    "spent": "Too many wrong codes were tried; ask for a new one.",
    "wrong": "This is not the code that was mailed.",
}


class BoundEmail(msgspec.Struct, frozen=True):
    """Where a code was mailed, and until when it can be used."""

    email: str
    expires_at: datetime


async def bind_email(
    market: Market,
    worker_id: str,
    email: str,
    replay: Replay[BoundEmail] | None,
    *,
    can_mail: bool,
) -> BoundEmail:
    """Mail a code to an address; an address proven before stays in force until the new one is.

    Raises:
        Problem: `unavailable` on a server that sends no mail, `validation_failed`.
    """
    if not can_mail:
        raise Problem(
            "unavailable",
            "This server sends no mail: its operator has to set SMTP_URL.",
            headers={"Retry-After": _NO_MAIL_RETRY_S},
        )
    if not is_mailable(email):
        raise invalid("email", "This is not an e-mail address.")

    async def effect(unit: Unit) -> BoundEmail:
        contact = await _lock(unit, worker_id)
        await store.set_unproven_email(unit.conn, worker_id, email)
        await mail.issue_code(unit.conn, worker_id, email)
        return BoundEmail(email, contact.now + timedelta(minutes=CODE_MINUTES))

    return await run(market, effect, replay)


async def verify_email(
    market: Market, worker_id: str, code: str, replay: Replay[WorkerAccount] | None
) -> WorkerAccount:
    """Prove an address by the code that was mailed there.

    A wrong code is counted, so its refusal is an answer of the effect and rolls nothing back.

    Raises:
        Problem: `validation_failed`, with `attempts_left` for a wrong code.
    """

    async def effect(unit: Unit) -> WorkerAccount | Problem:
        contact = await _lock(unit, worker_id)
        checked = await mail.check_code(unit.conn, worker_id, code.strip())
        if checked.result != "right" or checked.email is None:
            return _wrong_code(checked)
        await store.set_proven_email(unit.conn, worker_id, checked.email)
        mark = mark_of("email", checked.email)
        await store_marks.replace_mark(unit.conn, worker_id, "email", mark)
        if contact.email_verified and contact.email not in {None, checked.email}:
            await _tell_old_address(unit, contact, checked.email)
        return await read_account(market, unit.conn, worker_id)

    outcome = await run(market, effect, None if replay is None else _answering(replay))
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


def _answering(replay: Replay[WorkerAccount]) -> Replay[WorkerAccount | Problem]:
    def answer(outcome: WorkerAccount | Problem) -> StoredAnswer:
        if isinstance(outcome, Problem):
            return replay.refusal(outcome)
        return replay.answer(outcome)

    return Replay(key=replay.key, answer=answer, refusal=replay.refusal)


def _wrong_code(checked: CodeCheck) -> Problem:
    detail = _REFUSALS[checked.result]
    return Problem(
        "validation_failed",
        detail,
        errors=[FieldError(field="code", message=detail)],
        attempts_left=checked.attempts_left,
    )


async def _tell_old_address(unit: Unit, contact: Contact, new_email: str) -> None:
    await mail.queue_mail(
        unit.conn,
        contact.email or "",
        "The e-mail address of your worker was changed",
        f"From now on your worker on OpenClaw.jobs is reached at {masked(new_email)}.\n\n"
        "If this was not you, rotate the worker's token and tell the operator at once.\n",
    )


async def bind_payout(
    market: Market,
    worker_id: str,
    method: PayoutMethod,
    address: str,
    replay: Replay[WorkerAccount] | None,
) -> WorkerAccount:
    """Say where a worker is paid.

    The first time nothing else happens. A change keeps withdrawals back for the configured time
    and is told to the proven e-mail address, so that a stolen token is noticed before the money
    is gone. Payouts that were asked for before go where they were to go.

    Raises:
        Problem: `validation_failed`.
    """
    _check_address(method, address)
    delay = timedelta(hours=market.config.commissions.payout_change_delay_hours)

    async def effect(unit: Unit) -> WorkerAccount:
        contact = await _lock(unit, worker_id)
        if (contact.payout_method, contact.payout_address) != (method, address):
            first = contact.payout_method is None
            await store.set_payout(unit.conn, worker_id, method, address, None if first else delay)
            # Two wallets whose addresses differ by case alone are nobody's, so that one form of the
            # address does for both methods.
            mark = mark_of("payout", address)
            await store_marks.replace_mark(unit.conn, worker_id, "payout", mark)
            await _flag_sharing(unit, worker_id, mark)
            if not first:
                await _flag_changes(unit, worker_id, market.config.abuse)
                await _tell_change(unit, contact, method, address, delay)
        return await read_account(market, unit.conn, worker_id)

    return await run(market, effect, replay)


async def _flag_sharing(unit: Unit, worker_id: str, mark: bytes) -> None:
    """Several workers may be paid to one address; an operator sees that they are one owner's."""
    sharing = await store_marks.workers_with(unit.conn, mark, _MOST_TOLD)
    if len(sharing) > 1:
        seen = Sighting(worker_id, "shared_payout", {"worker_ids": sharing})
        await flags.raise_flags(unit.conn, [seen])


async def _flag_changes(unit: Unit, worker_id: str, abuse: Abuse) -> None:
    """Who changes the address again and again may be two that fight for one account."""
    within = timedelta(days=abuse.payout_changes_days)
    changes = await store.note_payout_change(unit.conn, worker_id, within)
    if changes > abuse.payout_changes_max:
        detail = {"changes": changes, "days": abuse.payout_changes_days}
        await flags.raise_flags(unit.conn, [Sighting(worker_id, "payout_changes", detail)])


def _check_address(method: PayoutMethod, address: str) -> None:
    if method == "paypal" and not is_paypal_address(address):
        raise invalid("email", "PayPal cannot pay to this; it must be an e-mail address.")
    if method == "solana" and not is_solana_address(address):
        raise invalid("address", "This is not the address of a Solana wallet.")


async def _tell_change(
    unit: Unit,
    contact: Contact,
    method: Literal["paypal", "solana"],
    address: str,
    delay: timedelta,
) -> None:
    if not contact.email_verified or contact.email is None:
        return
    await mail.queue_mail(
        unit.conn,
        contact.email,
        "The payout address of your worker was changed",
        f"Your worker on OpenClaw.jobs is now paid by {method} to {masked(address)}.\n"
        f"Before it was {contact.payout_method}, {masked(contact.payout_address or '')}.\n\n"
        f"Withdrawals go on at {rfc3339(contact.now + delay)}.\n"
        "If this was not you, rotate the worker's token and tell the operator before then.\n",
    )


async def _lock(unit: Unit, worker_id: str) -> Contact:
    contact = await store.select_contact(unit.conn, worker_id, "update")
    if contact is None:
        raise not_found("worker")
    return contact
