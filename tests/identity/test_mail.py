"""Letters and the server that takes them: encryption, logins, refusals, retries."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.identity.mail import Mail, MailError, MailRefusedError, queue_mail
from openclaw_jobs.identity.mail.rules import (
    GIVE_UP_HOURS,
    is_mailable,
    parse_smtp_url,
    retry_delay_s,
)
from openclaw_jobs.identity.mail.smtp import SmtpMailer
from openclaw_jobs.market.send_mails import MailsSent, send_mails
from openclaw_jobs.market.unit import begin
from tests.fakes.mail_server import Mailbox, certificate_trust, mail_server
from tests.market.steps import sql
from tests.running import Node

LETTER = Mail("ann@example.com", "Grüße", "A line.\n.\nAnother line with ümläuts.\n")


def mailer(url: str, tls: ssl.SSLContext | None = None) -> SmtpMailer:
    return SmtpMailer(parse_smtp_url(url), tls=tls)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A server that asks for nothing."""
    async with mail_server() as box:
        yield box


async def test_a_letter_arrives_as_it_was_written(mailbox: Mailbox) -> None:
    url = f"smtp://127.0.0.1:{mailbox.port}?from=The%20market%20%3Chello@example.org%3E"
    await mailer(url).send(LETTER, "mail-7")
    (letter,) = mailbox.letters
    assert letter["To"] == "ann@example.com"
    assert letter["From"] == "The market <hello@example.org>"
    assert letter["Subject"] == "Grüße"
    assert letter["Message-ID"] == "<mail-7@example.org>"
    assert letter["Date"]
    assert letter.get_content().replace("\r\n", "\n") == LETTER.body


@pytest.mark.parametrize(("starttls", "scheme"), [(True, "smtp"), (False, "smtps")])
async def test_letters_are_encrypted_where_they_can_be(starttls: bool, scheme: str) -> None:  # noqa: FBT001 - a case
    async with mail_server(starttls=starttls, tls=not starttls) as box:
        url = f"{scheme}://localhost:{box.port}"
        await mailer(url, certificate_trust()).send(LETTER, "m")
        # aiosmtpd notes only the TLS that STARTTLS began.
        assert box.encrypted == [starttls]
        # A certificate that nobody vouches for is not believed.
        with pytest.raises(MailError):
            await mailer(url).send(LETTER, "m")


async def test_a_login_is_used_and_its_refusal_is_the_operators_to_mend() -> None:
    async with mail_server(starttls=True, auth=True) as box:
        address = f"localhost:{box.port}"
        right = mailer(f"smtp://market:p%40ss%20word@{address}", certificate_trust())
        await right.send(LETTER, "m")
        assert box.login == ("market", "p@ss word")
        wrong = mailer(f"smtp://market:guess@{address}", certificate_trust())
        with pytest.raises(MailError) as refused:
            await wrong.send(LETTER, "m")
        assert not isinstance(refused.value, MailRefusedError)
        assert "guess" not in str(refused.value)


async def test_a_password_never_goes_over_an_open_wire() -> None:
    async with mail_server() as box:
        away = SmtpMailer(parse_smtp_url(f"smtp://a:b@localhost:{box.port}"))
        away._must_encrypt = True  # as for a host that is not this machine
        with pytest.raises(MailError):
            await away.send(LETTER, "m")
        assert box.letters == []


@pytest.mark.parametrize(
    ("answer", "final"),
    [("451 try later", False), ("421 bye", False), ("552 too large", True), ("554 no", True)],
)
async def test_a_refusal_is_for_now_or_for_good(
    mailbox: Mailbox,
    answer: str,
    final: bool,  # noqa: FBT001 - a case
) -> None:
    mailbox.answers.append(answer)
    with pytest.raises(MailError) as refused:
        await mailer(f"smtp://127.0.0.1:{mailbox.port}").send(LETTER, "m")
    assert isinstance(refused.value, MailRefusedError) == final


async def test_letters_leave_with_the_fact_they_tell_of(node: Node, mailbox: Mailbox) -> None:
    sender = mailer(f"smtp://127.0.0.1:{mailbox.port}")

    async def fail() -> None:
        async with begin(node.market) as unit:
            await queue_mail(unit.conn, "ann@example.com", "never", "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with begin(node.market) as unit:
        await queue_mail(unit.conn, "ann@example.com", "one", "x")
    both = await asyncio.gather(*(send_mails(node.market, sender) for _ in range(2)))
    assert sum(done.sent for done in both) == 1
    assert [letter["Subject"] for letter in mailbox.letters] == ["one"]
    assert await send_mails(node.market, sender) == MailsSent()


async def test_letters_are_tried_again_and_at_last_given_up(node: Node, mailbox: Mailbox) -> None:
    sender = mailer(f"smtp://127.0.0.1:{mailbox.port}")
    mailbox.refused["gone@example.com"] = "550 no such mailbox"
    mailbox.answers.extend(["451 later", "451 later"])
    async with begin(node.market) as unit:
        for who in ("ann", "gone"):
            await queue_mail(unit.conn, f"{who}@example.com", who, "x")
    first = await send_mails(node.market, sender)
    assert (first.sent, first.delayed, first.given_up) == (0, 1, 1)
    # Not due again at once.
    assert await send_mails(node.market, sender) == MailsSent()
    for expected in (MailsSent(delayed=1), MailsSent(sent=1), MailsSent()):
        await sql(node, "UPDATE outgoing_mails SET next_try_at = now()")
        assert await send_mails(node.market, sender) == expected
    async with begin(node.market) as unit:
        await queue_mail(unit.conn, "old@example.com", "old", "x")
    # A server without a mailer keeps letters for a while, and no longer.
    assert await send_mails(node.market, None) == MailsSent()
    await sql(
        node,
        "UPDATE outgoing_mails SET created_at = now() - %s * interval '1 hour'",
        GIVE_UP_HOURS + 1,
    )
    assert await send_mails(node.market, None) == MailsSent(given_up=1)
    assert len(mailbox.letters) == 1


async def test_a_server_that_is_away_loses_nothing(node: Node, mailbox: Mailbox) -> None:
    async with begin(node.market) as unit:
        await queue_mail(unit.conn, "ann@example.com", "one", "x")
    away = mailer("smtp://127.0.0.1:1")
    assert await send_mails(node.market, away) == MailsSent(delayed=1)
    await sql(node, "UPDATE outgoing_mails SET next_try_at = now()")
    back = mailer(f"smtp://127.0.0.1:{mailbox.port}")
    assert await send_mails(node.market, back) == MailsSent(sent=1)


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "A.b+c@x.example.co", "_x@ex-ample.org", "o'neil@xn--bcher-kva.example"],
)
def test_addresses(address: str) -> None:
    assert is_mailable(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@example.com",
        "a@localhost",
        "a@b@example.com",
        "a..b@example.com",
        ".a@example.com",
        "a.@example.com",
        "=1+1@example.com",
        "-a@example.com",
        "+a@example.com",
        "a@-example.com",
        "a@example-.com",
        "a@example.c",
        "a@example.1",
        "a b@example.com",
        "a@exa mple.com",
        "a@example.com\n",
        "a\r\nBcc: b@example.com",
        "ä@example.com",
        "a@exämple.com",
        '"a"@example.com',
        "a,b@example.com",
        "<a@example.com>",
        "x" * 65 + "@example.com",
        "a@" + "x" * 64 + ".com",
        "a@" + "x." * 130 + "com",
    ],
)
def test_what_is_no_address(address: str) -> None:
    assert not is_mailable(address)


@given(st.text())
def test_whatever_is_mailable_is_one_plain_line(text: str) -> None:
    if is_mailable(text):
        assert text.isascii()
        assert text.isprintable()
        assert text.count("@") == 1


@given(st.integers(min_value=1, max_value=10**9))
def test_retries_come_ever_later_and_not_too_late(attempts: int) -> None:
    assert 1 <= retry_delay_s(attempts) <= retry_delay_s(attempts + 1) <= 3600


@pytest.mark.parametrize(
    ("url", "public", "port", "encrypted", "sender"),
    [
        ("smtp://mail.example.com", None, 587, False, "no-reply@mail.example.com"),
        ("smtps://mail.example.com", None, 465, True, "no-reply@mail.example.com"),
        ("smtp://h:25", "https://jobs.example.com", 25, False, "no-reply@jobs.example.com"),
        ("smtp://a%40b.example:x@h", None, 587, False, "a@b.example"),
        ("smtp://h?from=c@d.example", None, 587, False, "c@d.example"),
    ],
)
def test_smtp_urls(
    url: str,
    public: str | None,
    port: int,
    encrypted: bool,  # noqa: FBT001 - a case
    sender: str,
) -> None:
    server = parse_smtp_url(url, public)
    assert (server.port, server.encrypted) == (port, encrypted)
    assert server.sender.rpartition("<")[2].rstrip(">") == sender


@pytest.mark.parametrize(
    "url",
    ["", "mail.example.com", "http://h", "smtp://", "smtp://user@h", "smtp://h:99999",
     "smtp://[", "smtp://h?from=nobody", "smtp://h?from=a@b%0d%0aBcc:c@d"],
)  # fmt: skip
def test_what_is_no_smtp_url(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP_URL"):
        parse_smtp_url(url)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_smtp_url("smtp://user:secret@h"))
