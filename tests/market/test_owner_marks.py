"""Spellings of a mailbox, and marks of buyers who were there before marks were."""

import importlib.util
from pathlib import Path

import pytest

from openclaw_jobs import db
from openclaw_jobs.kit.mailbox import is_disposable, mailbox_of
from openclaw_jobs.market.open_accounts import create_funded_buyer
from openclaw_jobs.workers.marks import mark_of
from tests.market.steps import sql
from tests.running import Node

MIGRATION = Path(db.__file__).parent / "migrations" / "versions" / "0008_abuse.py"
ADDRESSES = ["Ann.Lee+x@GMail.com", "ben@googlemail.com", "c.d+1@example.com", "e@example.com"]


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("Ann.Lee@Gmail.com", "annlee@gmail.com"),
        ("annlee+news@googlemail.com", "annlee@gmail.com"),
        ("ann.lee+news@example.com", "ann.lee@example.com"),
        (" ann.lee@example.com ", "ann.lee@example.com"),
        ("+ann@example.com", "+ann@example.com"),
        ('"a@b"@example.com', '"a@b"@example.com'),
    ],
)
def test_spellings_of_a_mailbox_are_one(email: str, mailbox: str) -> None:
    assert mailbox_of(email) == mailbox


def test_throw_away_services_are_known_with_their_parts() -> None:
    assert is_disposable("x@mailinator.com")
    assert is_disposable("x@a.b.Mailinator.com")
    assert not is_disposable("x@notmailinator.com")
    assert not is_disposable("x@example.com")


def test_a_wallet_is_no_mailbox() -> None:
    assert mark_of("payout", "AbC+d") != mark_of("payout", "AbC")
    assert mark_of("payout", "a+d@example.com") == mark_of("payout", "a@example.com")


async def test_the_migration_marks_buyers_as_a_sign_up_does(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for email in ADDRESSES:
        await create_funded_buyer(node.market, email, 1, "test")
    everything = "SELECT buyer_id, kind, mark FROM buyer_marks ORDER BY buyer_id, kind, mark"
    made = await sql(node, everything)
    assert len(made) == 3 * len(ADDRESSES)

    spec = importlib.util.spec_from_file_location("abuse_migration", MIGRATION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    executed: list[str] = []
    monkeypatch.setattr(module.op, "execute", executed.append)
    module._marks()
    backfill = "WITH parts" + executed[-1].partition("WITH parts")[2]
    async with node.market.db.transaction() as conn:
        await conn.execute("DELETE FROM buyer_marks")
        await conn.execute(backfill.encode())
    assert await sql(node, everything) == made
