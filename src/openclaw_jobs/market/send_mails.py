"""Letters that were written with a fact leave once it is committed."""

import asyncio
from typing import Final

import msgspec
import structlog

from openclaw_jobs.identity.mail import MailError, MailRefusedError, OutgoingMail, store
from openclaw_jobs.identity.mail.rules import GIVE_UP_HOURS, retry_delay_s
from openclaw_jobs.identity.mail.smtp import Mailer
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin

_log = structlog.get_logger(__name__)

_BATCH: Final = 10
_MAX_BATCHES: Final = 50
_HOLD_S: Final = 120.0
"""So long nobody else takes a letter: more than the mail server is waited for."""


class MailsSent(msgspec.Struct, frozen=True):
    """What became of the letters that were due."""

    sent: int = 0
    delayed: int = 0
    given_up: int = 0


async def send_mails(market: Market, mailer: Mailer | None) -> MailsSent:
    """Send what is due, in bounded batches; any number of processes may call this.

    A letter whose process dies between the server's yes and the deletion goes out twice, with the
    same Message-ID. Without a mailer letters only grow old.
    """
    async with begin(market) as unit:
        given_up = await store.delete_old_mails(unit.conn, GIVE_UP_HOURS)
        await store.delete_old_codes(unit.conn)
    if given_up:
        _log.warning("mails_given_up", count=given_up)
    sent = delayed = 0
    for _ in range(_MAX_BATCHES):
        if mailer is None:
            break
        async with begin(market) as unit:
            due = await store.take_due_mails(unit.conn, _BATCH, _HOLD_S)
        outcomes = await asyncio.gather(*(_send(market, mailer, mail) for mail in due))
        sent += outcomes.count("sent")
        delayed += outcomes.count("delayed")
        given_up += outcomes.count("refused")
        if len(due) < _BATCH:
            break
    return MailsSent(sent, delayed, given_up)


async def _send(market: Market, mailer: Mailer, waiting: OutgoingMail) -> str:
    outcome = "sent"
    try:
        await mailer.send(waiting.mail, f"mail-{waiting.id}")
    except MailRefusedError as error:
        _log.warning("mail_refused", mail=waiting.id, reason=str(error))
        outcome = "refused"
    except MailError as error:
        _log.warning("mail_delayed", mail=waiting.id, reason=str(error), tries=waiting.attempts)
        outcome = "delayed"
    async with begin(market) as unit:
        if outcome == "delayed":
            await store.delay_mail(unit.conn, waiting.id, retry_delay_s(waiting.attempts))
        else:
            await store.delete_mail(unit.conn, waiting.id)
    return outcome
