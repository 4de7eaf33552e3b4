"""The account page: what is one's own to see, to change, to take away and to end."""

import asyncio
import json
import os
import re
import sys

import pytest

from openclaw_jobs.chat.models import Draft
from openclaw_jobs.identity import sessions, users
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.market import people
from openclaw_jobs.market.account import erase_deleted
from openclaw_jobs.market.change_conversation import keep_draft
from openclaw_jobs.market.people import SignedIn
from openclaw_jobs.market.post_task import TaskOrder, post_within
from openclaw_jobs.market.unit import begin
from tests.market.steps import claim, complete, post, refused
from tests.payments.shop import open_shop
from tests.running import Node, Party
from tests.web.people import Browser, ask, browsing


async def buyer_of(node: Node, browser: Browser) -> Party:
    """The signed-in buyer as a program with a key of its own."""
    page = await browser.post("/account/keys", {"name": "test"})
    found = re.search(r"ocb_[A-Za-z0-9_-]+", page.text)
    assert found is not None
    [(buyer_id,)] = await ask(
        node, "SELECT buyer_id FROM api_keys ORDER BY created_at DESC LIMIT 1"
    )
    return node.party(buyer_id, found[0])


async def test_a_key_is_shown_once_works_and_is_revoked(node: Node) -> None:
    async with browsing(node, "ann@example.com", "eve@example.com") as (ann, eve):
        made = await ann.post("/account/keys", {"name": '<b>"laptop"</b>'})
        assert made.status_code == 200
        assert made.headers["cache-control"] == "private, no-store"
        assert "<b>" not in made.text
        key = re.findall(r"ocb_[A-Za-z0-9_-]+", made.text)[0]
        again = await ann.get("/account")
        assert key not in again.text
        assert "&lt;b&gt;" in again.text
        program = node.party("ann", key)
        assert (await program.get("/api/balance")).status_code == 200
        key_id = re.findall(r"/account/keys/(key_\w+)/revoke", again.text)[0]
        assert (await eve.post(f"/account/keys/{key_id}/revoke")).status_code == 404
        assert (await ann.post(f"/account/keys/{key_id}/revoke")).status_code == 303
        assert (await program.get("/api/balance")).status_code == 401
        assert key_id not in (await ann.get("/account")).text


async def test_a_name_and_the_sharing_of_texts_are_ones_own(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        for sent, kept in (("  Ann\u202e\x07 Lee ", "Ann Lee"), ("", None), ("x" * 101, None)):
            await ann.post("/account/name", {"name": sent})
            assert await ask(node, "SELECT name FROM users") == [(kept,)]
        refused = await ann.post("/account/name", {"name": "x", "is_operator": "true"})
        assert refused.status_code == 422
        for fields, kept_texts in (({"shares_texts": "on"}, True), ({}, False)):
            await ann.post("/account/texts", fields)
            assert await ask(node, "SELECT shares_texts FROM buyers") == [(kept_texts,)]
        acts = await ask(node, "SELECT action FROM audit_log WHERE action LIKE 'account.%%'")
        assert len(acts) == 2


async def test_the_export_holds_all_of_ones_own_and_nothing_of_others(node: Node) -> None:
    async with browsing(node, "ann@example.com", "eve@example.com") as (ann, eve):
        mine, theirs = await buyer_of(node, ann), await buyer_of(node, eve)
        worker = await node.worker()
        ids = [(await post(mine, f"secret of ann {n} \N{GRINNING FACE}"))["id"] for n in range(3)]
        await post(theirs, prompt="secret of eve")
        for _ in range(4):
            await complete(worker, await claim(worker), "a result")
        answer = await ann.get("/account/export.json")
        assert answer.status_code == 200
        assert "attachment" in answer.headers["content-disposition"]
        whole = json.loads(answer.content)
        assert [task["id"] for task in whole["tasks"]] == ids
        assert all(task["result"] == "a result" for task in whole["tasks"])
        assert whole["user"]["email"] == "ann@example.com"
        left = (await mine.ok("GET", "/api/balance"))["promo_cents"]
        assert whole["balance"]["promo_cents"] == left < 100
        text = answer.text
        assert "secret of ann 2" in text
        assert "secret of eve" not in text
        assert "eve@" not in text
        assert str(ann.session()) not in text
        assert mine.token not in text
        signed_out = Browser(node.address)
        assert (await signed_out.get("/account/export.json")).status_code == 303
        await signed_out.http.aclose()


async def test_a_deleted_account_leaves_only_its_books(node: Node) -> None:
    email = "ann@example.com"
    async with browsing(node, email, email, None) as (ann, other, again):
        buyer, worker = await buyer_of(node, ann), await node.worker()
        await post(buyer, prompt="my secret text")
        await complete(worker, await claim(worker), "my secret result")
        await ann.post("/account/name", {"name": "Ann Lee"})

        wrong = await ann.post("/account/delete", {"confirm": "bob@example.com"})
        assert wrong.status_code == 422
        assert "to confirm" in wrong.text
        await post(buyer, prompt="one more secret")
        waiting = await ann.post("/account/delete", {"confirm": email})
        assert waiting.status_code == 409
        assert "1 task is still under way" in waiting.text
        await complete(worker, await claim(worker), "the last secret result")

        done = await ann.post("/account/delete", {"confirm": f" {email.upper()} "})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        for browser in (ann, other):
            assert (await browser.get("/account")).status_code == 303
        assert (await buyer.get("/api/balance")).status_code == 401

        tables = await ask(
            node, "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'")  # fmt: skip
        for (table,) in tables:
            rows = str(await ask(node, f"SELECT t::text FROM {table} t"))  # noqa: S608 - its names
            for secret in ("secret", email, "Ann Lee"):
                assert secret not in rows, (table, secret)
        [(deleted, erased)] = await ask(node, "SELECT deleted_at, erased_at FROM users")
        assert deleted is not None
        assert erased is not None
        assert await erase_deleted(node.market) == 0
        await node.prove()

        await again.sign_in(email)
        balance = (await again.get("/api/balance")).json()
        assert balance["balance_cents"] == 0, "no second bonus"
        page = await again.get("/account")
        assert "Ann Lee" not in page.text


async def test_a_disputed_account_stays(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        await ask(node, "UPDATE buyers SET suspended_at = now(), suspended_reason = 'dispute'")
        assert (await ann.get("/account")).status_code == 200, "it may be seen"
        refused = await ann.post("/account/delete", {"confirm": "ann@example.com"})
        assert refused.status_code == 403
        assert await ask(node, "SELECT deleted_at FROM users") == [(None,)]


async def test_a_task_that_is_being_posted_keeps_the_account(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        buyer = await buyer_of(node, ann)
        order = TaskOrder(
            buyer_id=buyer.id, prompt="hello", messages=None, category="general", min_tier="bronze",
            max_price_cents=None, conversation_id=None, metadata=None,
        )  # fmt: skip
        token = await ann.token()
        async with begin(node.market) as unit:
            await post_within(node.market, unit, order)
            deletion = asyncio.create_task(
                ann.post("/account/delete", {"confirm": "ann@example.com"}, token)
            )
            done, _ = await asyncio.wait([deletion], timeout=0.5)
            assert not done, "it waits for what is being posted"
        assert (await deletion).status_code == 409
        assert await ask(node, "SELECT deleted_at FROM users") == [(None,)]
        await node.prove()


async def test_no_task_is_posted_while_the_account_is_being_deleted(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        buyer, token = await buyer_of(node, ann), await ann.token()
        async with node.market.db.transaction() as conn:
            # The deletion has come as far as the keys.
            await conn.execute("SELECT FROM api_keys FOR UPDATE")
            deletion = asyncio.create_task(
                ann.post("/account/delete", {"confirm": "ann@example.com"}, token)
            )
            await asyncio.wait([deletion], timeout=0.5)
            posting = asyncio.create_task(buyer.post("/api/task", {"prompt": "hello"}))
            done, _ = await asyncio.wait([deletion, posting], timeout=0.5)
            assert not done, "both wait: the deletion for the key, the task for the deletion"
        assert (await deletion).status_code == 303
        refused(await posting, 403, "suspended")
        assert await ask(node, "SELECT id FROM tasks") == []
        await node.prove()


async def sign_in(node: Node, subject: str, email: str) -> SignedIn:
    return await people.sign_in(
        node.market, provider="google", subject=subject, email=email, name=None,
        instead_of=None, user_agent=None,
    )  # fmt: skip


# A provider's id leads to the account whatever the address is by now.
@pytest.mark.parametrize("email", ["ann@example.com", "new@example.com"])
async def test_who_signs_in_while_the_account_is_being_deleted_gets_another(
    node: Node, email: str
) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        await buyer_of(node, ann)
        first = await sign_in(node, "g-1", "ann@example.com")
        token = await ann.token()
        async with node.market.db.transaction() as conn:
            await conn.execute("SELECT FROM api_keys FOR UPDATE")
            deletion = asyncio.create_task(
                ann.post("/account/delete", {"confirm": "ann@example.com"}, token)
            )
            await asyncio.wait([deletion], timeout=0.5)
            coming = asyncio.create_task(sign_in(node, "g-1", email))
            done, _ = await asyncio.wait([deletion, coming], timeout=0.5)
            assert not done
        assert (await deletion).status_code == 303
        signed_in = await coming
        assert signed_in.user_id != first.user_id
        assert await ask(node, "SELECT user_id FROM external_identities") == [(signed_in.user_id,)]
        held = "SELECT DISTINCT user_id FROM sessions WHERE revoked_at IS NULL"
        assert await ask(node, held) == [(signed_in.user_id,)]


async def test_the_account_of_who_is_signing_in_is_deleted_after(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        first = await sign_in(node, "g-1", "ann@example.com")
        token = await ann.token()
        async with begin(node.market) as unit:
            found = await users.find_user(unit.conn, "google", "g-1", "new@example.com")
            assert found == first.user_id
            deletion = asyncio.create_task(
                ann.post("/account/delete", {"confirm": "ann@example.com"}, token)
            )
            done, _ = await asyncio.wait([deletion], timeout=0.5)
            assert not done, "it waits for who is signing in"
            await users.link_identity(unit.conn, "github", "h-1", found)
        assert (await deletion).status_code == 303
        assert await ask(node, "SELECT provider FROM external_identities") == []


async def test_what_led_to_a_deleted_account_leads_to_the_next(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        first = await sign_in(node, "g-1", "ann@example.com")
        await ann.post("/account/delete", {"confirm": "ann@example.com"})
        # As an earlier version could leave it.
        await ask(
            node,
            "INSERT INTO external_identities (provider, subject, user_id)"
            " VALUES ('google', 'g-1', %s)",
            first.user_id,
        )
        second = await sign_in(node, "g-1", "ann@example.com")
        assert second.user_id != first.user_id
        assert (await sign_in(node, "g-1", "new@example.com")).user_id == second.user_id


async def test_nothing_is_written_into_an_account_that_is_being_deleted(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        buyer, token = await buyer_of(node, ann), await ann.token()
        async with node.market.db.transaction() as conn:
            # The deletion has come as far as the keys.
            await conn.execute("SELECT FROM api_keys FOR UPDATE")
            deletion = asyncio.create_task(
                ann.post("/account/delete", {"confirm": "ann@example.com"}, token)
            )
            await asyncio.wait([deletion], timeout=0.5)
            draft = keep_draft(node.market, buyer.id, None, Draft("a secret", "general"))
            writing = asyncio.create_task(draft)
            done, _ = await asyncio.wait([deletion, writing], timeout=0.5)
            assert not done
        assert (await deletion).status_code == 303
        with pytest.raises(Problem, match="deleted"):
            await writing
        assert await ask(node, "SELECT text FROM drafts") == []


async def test_a_browser_that_takes_another_session_stops_no_deletion(node: Node) -> None:
    """Its old session is held by the one, what it points at by the other."""
    async with browsing(node, "ann@example.com") as (ann,):
        token = await ann.token()
        [(user_id, session_id)] = await ask(node, "SELECT user_id, id FROM sessions")
        async with begin(node.market) as unit:
            await unit.conn.execute("SELECT FROM sessions FOR UPDATE")
            deletion = asyncio.create_task(
                ann.post("/account/delete", {"confirm": "ann@example.com"}, token)
            )
            done, _ = await asyncio.wait([deletion], timeout=0.5)
            assert not done, "it waits for the session"
            async with asyncio.timeout(5):
                await sessions.open_session(
                    unit.conn, user_id=user_id, instead_of=session_id, user_agent=None
                )
        assert (await deletion).status_code == 303


async def test_a_payment_that_was_begun_keeps_the_account(dsn: str) -> None:
    """Else the money would come to an account that nobody can enter any more."""
    confirm = {"confirm": "ann@example.com"}
    async with open_shop(dsn) as shop, browsing(shop.node, "ann@example.com") as (ann,):
        buyer = await buyer_of(shop.node, ann)
        session_id = await shop.buy(buyer, "starter")
        waiting = await ann.post("/account/delete", confirm)
        assert waiting.status_code == 409
        assert "payment by card was begun" in waiting.text
        await ask(shop.node, "UPDATE deposits SET status = 'creating', session_id = NULL")
        assert (await ann.post("/account/delete", confirm)).status_code == 409
        await ask(shop.node, "UPDATE deposits SET status = 'open', session_id = %s", session_id)

        # The page was completed, and the bank takes its days.
        aged = "UPDATE deposits SET created_at = now() - interval '26 hours', payment_intent_id = "
        await ask(shop.node, aged + "'pi_1'")
        assert (await ann.post("/account/delete", confirm)).status_code == 409
        # Nothing was heard of it, and it can be paid no more.
        await ask(shop.node, aged + "NULL")
        token = await ann.token()
        async with shop.node.market.db.transaction() as conn:
            await conn.execute("SELECT FROM api_keys FOR UPDATE")
            deletion = asyncio.create_task(ann.post("/account/delete", confirm, token))
            await asyncio.wait([deletion], timeout=0.5)
            another = asyncio.create_task(buyer.post("/api/deposit", {"pack": "pro"}))
            done, _ = await asyncio.wait([deletion, another], timeout=0.5)
            assert not done
        assert (await deletion).status_code == 303
        refused(await another, 401, "unauthenticated")
        assert await ask(shop.node, "SELECT pack FROM deposits") == [("starter",)]
        await shop.node.prove()


async def run(dsn: str, *words: str) -> tuple[int, str]:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openclaw_jobs.cli", "operator", *words),
        env=os.environ | {"DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, _ = await program.communicate()
    assert program.returncode is not None
    return program.returncode, told.decode()


async def test_operators_are_named_on_the_command_line(node: Node, dsn: str) -> None:
    async with browsing(node, "ann@example.com", None) as (ann, boss):
        assert await run(dsn, "add", "Ann@example.com") == (0, "ann@example.com is an operator.\n")
        assert (await ann.get("/api/admin/stats")).status_code == 200, "with the next request"
        code, told = await run(dsn, "add", "boss@example.com", "--json")
        assert (code, json.loads(told)["is_operator"]) == (0, True)
        await boss.sign_in("boss@example.com")
        assert (await boss.get("/api/admin/stats")).status_code == 200
        assert (await boss.get("/api/balance")).json()["balance_cents"] == 100
        assert (await run(dsn, "list"))[1].split() == ["ann@example.com", "boss@example.com"]
        assert (await run(dsn, "remove", "ann@example.com"))[0] == 0
        assert (await ann.get("/api/admin/stats")).status_code == 403
        assert (await run(dsn, "remove", "nobody@example.com"))[0] != 0
        assert (await run(dsn, "add", "no address"))[0] != 0
        acts = await ask(
            node, "SELECT actor, action FROM audit_log WHERE action LIKE 'operator.%%' ORDER BY id"
        )
        assert acts == [
            ("cli", "operator.add"), ("cli", "operator.add"), ("cli", "operator.remove"),
        ]  # fmt: skip


async def test_an_operator_signs_somebody_out_everywhere(node: Node, dsn: str) -> None:
    async with browsing(node, "ann@example.com", "ann@example.com", "bob@example.com") as (
        one,
        two,
        bob,
    ):
        told = await run(dsn, "sign-out", "Ann@example.com")
        assert told == (0, "Ended 2 session(s) of Ann@example.com.\n")
        for browser in (one, two):
            assert (await browser.get("/account")).status_code == 303, "with the next request"
        assert (await bob.get("/account")).status_code == 200
        assert (await run(dsn, "sign-out", "nobody@example.com"))[0] != 0
        acts = await ask(
            node, "SELECT actor, detail FROM audit_log WHERE action = 'operator.sign_out'"
        )
        assert acts == [("cli", {"sessions": 2})]
