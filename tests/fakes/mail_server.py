"""A real mail server (aiosmtpd) on a real socket in the test's own event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CERTIFICATE = Path(__file__).parents[1] / "identity" / "localhost.pem"


class Mailbox:
    """What the server was given, and what it answers.

    Attributes:
        letters: What was taken, in order.
        answers: Replies to the next letters in place of a yes, such as `451 later`.
        refused: Recipients that there are not, with the reply to them.
        encrypted: Whether each letter came over TLS.
        login: Who logged in last.
    """

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answers: deque[str] = deque()
        self.refused: dict[str, str] = {}
        self.encrypted: list[bool] = []
        self.login: tuple[str, str] | None = None
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,  # noqa: ARG002 - aiosmtpd's hook
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,  # noqa: ARG002 - aiosmtpd's hook
        session: Session,
        envelope: Envelope,
    ) -> str:
        if self.answers:
            return self.answers.popleft()
        content = envelope.content
        assert isinstance(content, bytes)
        letter = message_from_bytes(content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def accept(
        self,
        server: SMTP,  # noqa: ARG002 - aiosmtpd's hook
        session: Session,  # noqa: ARG002
        envelope: Envelope,  # noqa: ARG002
        mechanism: str,  # noqa: ARG002
        given: object,
    ) -> AuthResult:
        """Take one user and password."""
        assert isinstance(given, LoginPassword)
        self.login = (given.login.decode(), given.password.decode())
        return AuthResult(success=self.login == ("market", "p@ss word"))


def certificate_trust() -> ssl.SSLContext:
    """What a client needs to believe this server."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


@contextlib.asynccontextmanager
async def mail_server(
    *, starttls: bool = False, tls: bool = False, auth: bool = False
) -> AsyncIterator[Mailbox]:
    """Serve until the block ends.

    Args:
        starttls: Offer STARTTLS.
        tls: Speak TLS from the first byte.
        auth: Ask for a login.
    """
    mailbox = Mailbox()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    loop = asyncio.get_running_loop()
    connections: list[SMTP] = []

    def serve() -> SMTP:
        connection = SMTP(
            mailbox,
            hostname="localhost",
            tls_context=context if starttls else None,
            authenticator=mailbox.accept if auth else None,
            auth_required=auth,
            auth_require_tls=starttls,
            loop=loop,
        )
        connections.append(connection)
        return connection

    listener = socket.create_server(("127.0.0.1", 0))
    mailbox.port = listener.getsockname()[1]
    server = await loop.create_server(serve, sock=listener, ssl=context if tls else None)
    try:
        yield mailbox
    finally:
        server.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.close()
        await server.wait_closed()
