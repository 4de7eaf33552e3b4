"""Handing letters to a mail server."""

import ipaddress
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final, Protocol

import aiosmtplib

from openclaw_jobs.identity.mail.models import Mail, MailError, MailRefusedError
from openclaw_jobs.identity.mail.rules import SmtpServer

_TIMEOUT_S: Final = 20.0
_PERMANENT: Final = 500


class Mailer(Protocol):
    """Takes letters."""

    async def send(self, mail: Mail, message_id: str) -> None:
        """Hand a letter over; `message_id` is the same whenever the same letter is sent again.

        Raises:
            MailRefusedError: It will never be taken.
            MailError: It was not taken now.
        """
        ...


class SmtpMailer:
    """Hands letters to one server, each in a connection of its own.

    Args:
        server: Which.
        tls: What certificates are believed; the machine's by default.
    """

    def __init__(self, server: SmtpServer, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls
        # A password never goes over an open wire, except to this machine itself.
        self._must_encrypt = server.username is not None and not _is_loopback(server.host)

    async def send(self, mail: Mail, message_id: str) -> None:
        """See `Mailer`."""
        server = self._server
        message = EmailMessage()
        message["From"] = server.sender
        message["To"] = mail.recipient
        message["Subject"] = mail.subject
        message["Date"] = formatdate(usegmt=True)
        domain = server.sender.rpartition("@")[2].rstrip(">")
        message["Message-ID"] = f"<{message_id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.body)
        try:
            await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.encrypted,
                # None: encrypt if the server can.
                start_tls=False if server.encrypted else True if self._must_encrypt else None,
                tls_context=self._tls,
                timeout=_TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise _refusal(min(codes, default=_PERMANENT)) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # Wrong credentials are the operator's to mend: the letter waits.
            raise MailError(f"the mail server refused the login ({error.code})") from error
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(error.code) from error
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise MailError(f"{type(error).__name__}: the mail server was not reached") from error


def _refusal(code: int) -> MailError:
    if code >= _PERMANENT:
        return MailRefusedError(f"the mail server refused the letter for good ({code})")
    return MailError(f"the mail server did not take the letter now ({code})")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
