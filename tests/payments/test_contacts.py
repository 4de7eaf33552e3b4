"""A worker proves its e-mail address and says where it is paid."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from openclaw_jobs.market.send_mails import send_mails
from openclaw_jobs.payments.payouts.rules import is_paypal_address, is_solana_address, masked
from tests.fakes.mail_server import Mailbox, mail_server
from tests.market.steps import misfit, refused, sql
from tests.payments.payout_steps import PAYPAL, SOLANA, open_market
from tests.running import Json, Node, Party, running_node

BIND, VERIFY, PAYOUT = (
    "/api/worker/bind-email",
    "/api/worker/verify-email",
    "/api/worker/bind-payout",
)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """Where the letters of `mailing` go."""
    async with mail_server() as box:
        yield box


@pytest.fixture
async def mailing(dsn: str, mailbox: Mailbox) -> AsyncIterator[Node]:
    """A node that sends mail."""
    url = f"smtp://127.0.0.1:{mailbox.port}"
    async with running_node(dsn, background=False, smtp_url=url) as node:
        await node.configure("rate_limits", email_code={"limit": 1_000, "per_seconds": 60})
        yield node


async def mailed(node: Node, box: Mailbox) -> str:
    """Send what waits; the code in the newest letter."""
    await send_mails(node.market, node.runtime.mailer)
    found = re.search(r"Your code is (\d+)\s", box.letters[-1].get_content())
    assert found is not None
    return found[1]


async def bind(node: Node, box: Mailbox, worker: Party, email: str) -> str:
    """Ask for a code; the code."""
    await worker.ok("POST", BIND, {"email": email}, 202)
    return await mailed(node, box)


async def prove(node: Node, box: Mailbox, worker: Party, email: str) -> Json:
    """Prove an address; the profile."""
    return await worker.ok("POST", VERIFY, {"code": await bind(node, box, worker, email)})


async def test_an_address_is_proven_by_its_code(mailing: Node, mailbox: Mailbox) -> None:
    worker = await mailing.worker()
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["email"], me["email_verified"], me["payout"]) == (None, False, None)
    answer = await worker.ok("POST", BIND, {"email": "ann@example.com"}, 202)
    assert answer["email"] == "ann@example.com"
    code = await mailed(mailing, mailbox)
    assert re.fullmatch(r"\d{6,8}", code)
    assert mailbox.letters[0]["To"] == "ann@example.com"
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["email"], me["email_verified"]) == ("ann@example.com", False)
    proven = await worker.ok("POST", VERIFY, {"code": f" {code}"})
    assert (proven["email"], proven["email_verified"]) == ("ann@example.com", True)
    assert proven == await worker.ok("GET", "/api/worker/me")
    # A code proves once, and is kept nowhere.
    again = misfit(await worker.post(VERIFY, {"code": code}), "code")
    assert again["attempts_left"] == 0
    assert await sql(mailing, "SELECT * FROM email_codes, outgoing_mails") == []


async def test_wrong_codes_are_counted_and_end_it(mailing: Node, mailbox: Mailbox) -> None:
    worker = await mailing.worker()
    code = await bind(mailing, mailbox, worker, "ann@example.com")
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    left = [
        misfit(await worker.post(VERIFY, {"code": wrong}), "code")["attempts_left"]
        for _ in range(6)
    ]
    assert left == [4, 3, 2, 1, 0, 0]
    # Too late for the right one, until there is a new one.
    misfit(await worker.post(VERIFY, {"code": code}), "code")
    newer = await bind(mailing, mailbox, worker, "ann@example.com")
    assert (await worker.ok("POST", VERIFY, {"code": newer}))["email_verified"]


async def test_guesses_at_once_are_all_counted(mailing: Node, mailbox: Mailbox) -> None:
    worker = await mailing.worker()
    code = await bind(mailing, mailbox, worker, "ann@example.com")
    guesses = [f"{(int(code) + n) % 10**8:08d}" for n in range(1, 60)]
    await asyncio.gather(*(worker.post(VERIFY, {"code": guess}) for guess in guesses))
    assert await sql(mailing, "SELECT attempts FROM email_codes") == [(5,)]
    misfit(await worker.post(VERIFY, {"code": code}), "code")


async def test_a_repeated_guess_counts_once(mailing: Node, mailbox: Mailbox) -> None:
    worker = await mailing.worker()
    code = await bind(mailing, mailbox, worker, "ann@example.com")
    wrong = {"code": f"{(int(code) + 1) % 10**8:08d}"}
    first, second = [await worker.post(VERIFY, wrong, idempotency_key="k") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["content-type"] == "application/problem+json"
    assert await sql(mailing, "SELECT attempts FROM email_codes") == [(1,)]
    right = [await worker.post(VERIFY, {"code": code}, idempotency_key="r") for _ in range(2)]
    assert right[0].status_code == right[1].status_code == 200
    assert right[0].json() == right[1].json()


async def test_a_code_expires(mailing: Node, mailbox: Mailbox) -> None:
    worker = await mailing.worker()
    code = await bind(mailing, mailbox, worker, "ann@example.com")
    soon = "SELECT expires_at <= now() + interval '10 minutes' FROM email_codes"
    assert await sql(mailing, soon) == [(True,)]
    await sql(mailing, "UPDATE email_codes SET expires_at = now()")
    assert "expired" in misfit(await worker.post(VERIFY, {"code": code}), "code")["detail"]


async def test_one_code_lives_and_for_one_worker(mailing: Node, mailbox: Mailbox) -> None:
    worker, other = await mailing.worker(), await mailing.worker()
    first = await bind(mailing, mailbox, worker, "ann@example.com")
    second = await bind(mailing, mailbox, worker, "ann@example.com")
    if first != second:
        misfit(await worker.post(VERIFY, {"code": first}), "code")
    misfit(await other.post(VERIFY, {"code": second}), "code")
    assert (await worker.ok("POST", VERIFY, {"code": second}))["email_verified"]


async def test_a_proven_address_stays_until_the_next_is_proven(
    mailing: Node, mailbox: Mailbox
) -> None:
    worker = await mailing.worker()
    await prove(mailing, mailbox, worker, "ann@example.com")
    code = await bind(mailing, mailbox, worker, "bob@example.org")
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["email"], me["email_verified"]) == ("ann@example.com", True)
    me = await worker.ok("POST", VERIFY, {"code": code})
    assert me["email"] == "bob@example.org"
    # The old address is told, and not the whole of the new one.
    await send_mails(mailing.market, mailing.runtime.mailer)
    told = mailbox.letters[-1]
    assert told["To"] == "ann@example.com"
    assert "b…@e….org" in told.get_content()
    assert "bob" not in told.get_content()


async def test_codes_are_rate_limited(mailing: Node) -> None:
    await mailing.configure("rate_limits", email_code={"limit": 2, "per_seconds": 600})
    worker = await mailing.worker()
    codes = [(await worker.post(BIND, {"email": "a@example.com"})).status_code for _ in range(3)]
    assert codes == [202, 202, 429]


async def test_a_server_without_mail_says_what_to_set(node: Node) -> None:
    worker = await node.worker()
    answer = await worker.post(BIND, {"email": "ann@example.com"}, idempotency_key="k")
    assert "SMTP_URL" in refused(answer, 503, "unavailable")["detail"]
    assert answer.headers["Retry-After"]
    assert (await worker.ok("GET", "/api/worker/me"))["email"] is None


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b", "a@example.com\r\nBcc: x@example.com", "x" * 300 + "@e.com", 5]
)
async def test_what_is_no_address_gets_no_mail(mailing: Node, email: Json) -> None:
    worker = await mailing.worker()
    misfit(await worker.post(BIND, {"email": email}), "email")
    assert await sql(mailing, "SELECT * FROM outgoing_mails") == []


async def test_no_code_is_logged(
    mailing: Node, mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await bind(mailing, mailbox, await mailing.worker(), "ann@example.com")
    logged = capsys.readouterr()
    assert code not in logged.out + logged.err
    assert "ann@example.com" not in logged.out + logged.err


async def test_the_first_payout_address_is_in_force_at_once(node: Node) -> None:
    worker = await node.worker()
    bound = await worker.ok("POST", PAYOUT, {"method": "solana", "address": SOLANA})
    assert bound["payout"] == {"method": "solana", "address": SOLANA, "withdrawals_from": None}
    assert bound == await worker.ok("GET", "/api/worker/me")
    # The same again is no change.
    again = await worker.ok("POST", PAYOUT, {"method": "solana", "address": SOLANA})
    assert again["payout"]["withdrawals_from"] is None


async def test_a_change_is_delayed_and_told(mailing: Node, mailbox: Mailbox) -> None:
    await open_market(mailing, payout_change_delay_hours=2)
    worker = await mailing.worker()
    await prove(mailing, mailbox, worker, "ann@example.com")
    await worker.ok("POST", PAYOUT, {"method": "paypal", "email": PAYPAL})
    letters = len(mailbox.letters)
    await send_mails(mailing.market, mailing.runtime.mailer)
    assert len(mailbox.letters) == letters
    changed = await worker.ok("POST", PAYOUT, {"method": "solana", "address": SOLANA})
    assert changed["payout"]["method"] == "solana"
    until = changed["payout"]["withdrawals_from"]
    pending = refused(
        await worker.post("/api/worker/withdraw", {"amount_cents": 1}), 422, "payout_change_pending"
    )
    assert pending["withdrawals_from"] == until
    hours = await sql(
        mailing, "SELECT round(extract(epoch FROM payout_blocked_until - now()) / 3600)::int"
        " FROM workers"
    )  # fmt: skip
    assert hours == [(2,)]
    await send_mails(mailing.market, mailing.runtime.mailer)
    letter = mailbox.letters[-1]
    assert letter["To"] == "ann@example.com"
    text = letter.get_content()
    assert masked(SOLANA) in text
    assert masked(PAYPAL) in text
    assert until in text
    assert SOLANA not in text
    assert PAYPAL not in text


async def test_an_address_that_was_not_proven_is_told_nothing(mailing: Node) -> None:
    worker = await mailing.worker()
    await worker.ok("POST", BIND, {"email": "ann@example.com"}, 202)
    await sql(mailing, "DELETE FROM outgoing_mails")
    for address in (PAYPAL, "thief@example.com"):
        await worker.ok("POST", PAYOUT, {"method": "paypal", "email": address})
    assert await sql(mailing, "SELECT * FROM outgoing_mails") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"method": "paypal", "email": "nobody"}, "email"),
        ({"method": "paypal", "email": "x" * 60 + "@" + ("y" * 40 + ".") * 2 + "com"}, "email"),
        ({"method": "paypal", "address": SOLANA}, "address"),
        ({"method": "solana", "email": PAYPAL}, "email"),
        ({"method": "solana", "address": PAYPAL}, "address"),
        ({"method": "solana", "address": SOLANA[:-1]}, "address"),
        ({"method": "solana", "address": SOLANA + " "}, "address"),
        ({"method": "solana", "address": "0" * 44}, "address"),
        ({"method": "solana", "address": "1" * 32}, "address"),
        ({"method": "solana", "address": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"}, "address"),
    ],
)
async def test_what_cannot_be_paid_is_not_bound(node: Node, body: Json, field: str) -> None:
    worker = await node.worker()
    answer = await worker.post(PAYOUT, body)
    problem = refused(answer, 422, "validation_failed")
    assert any(field in error["field"] for error in problem["errors"]), problem
    assert (await worker.ok("GET", "/api/worker/me"))["payout"] is None


@pytest.mark.parametrize(
    "body",
    [{}, {"method": "cash"}, {"method": None}, {"email": PAYPAL}, [], "paypal",
     {"method": "paypal", "email": PAYPAL, "address": SOLANA},
     {"method": "paypal", "email": "a\u0000@example.com"}],
)  # fmt: skip
async def test_hostile_bindings_are_refused(node: Node, body: Json) -> None:
    worker = await node.worker()
    answer = await worker.post(PAYOUT, body)
    assert answer.status_code == 422, answer.text
    assert (await worker.ok("GET", "/api/worker/me"))["payout"] is None


@given(st.binary(min_size=32, max_size=32))
def test_a_solana_address_is_a_point_on_the_curve(raw: bytes) -> None:
    key = Pubkey(raw)
    assert is_solana_address(str(key)) == (key.is_on_curve() and key != Pubkey.default())


def test_wallets_are_solana_addresses_and_program_accounts_are_not() -> None:
    wallet = Keypair().pubkey()
    assert is_solana_address(str(wallet))
    derived, _ = Pubkey.find_program_address([bytes(wallet)], Pubkey.default())
    assert not is_solana_address(str(derived))


@given(st.text())
def test_no_text_breaks_the_checks_of_addresses(text: str) -> None:
    assert isinstance(is_solana_address(text), bool)
    assert isinstance(is_paypal_address(text), bool)
    assert isinstance(masked(text), str)


def test_masks_hide_most_of_an_address() -> None:
    assert masked("ann.smith@example.com") == "a…@e….com"
    assert masked(SOLANA) == f"{SOLANA[:4]}…{SOLANA[-4:]}"
