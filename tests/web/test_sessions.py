"""Whose a browser is: from the sign-in to the end of its session."""

import asyncio

import httpx

from openclaw_jobs.identity.sessions import sessions_by_hash
from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.market.account import tend_accounts
from openclaw_jobs.market.people import hold_worker, sign_in
from tests.running import Node, running_node
from tests.web.people import TOKEN, Browser, ask, browsing


def cookies(answer: httpx.Response) -> dict[str, str]:
    """Each `Set-Cookie`, by the cookie's name."""
    return {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}


async def test_who_signs_in_first_becomes_a_buyer_with_the_bonus_once(node: Node) -> None:
    async with browsing(node, None, None) as (first, again):
        answer = await first.sign_in("Ann@Example.com", "/account")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        page = await first.get("/account")
        assert page.status_code == 200
        assert "Ann@Example.com" in page.text
        assert "$1.00 to try it" in page.text
        assert "$1.00 to try it" not in (await first.get("/account")).text, "said twice"
        assert (await first.get("/api/balance")).json()["balance_cents"] == 100

        await again.sign_in("ann@example.com")
        assert (await again.get("/api/balance")).json()["balance_cents"] == 100
    assert await ask(node, "SELECT count(*) FROM users") == [(1,)]
    await node.prove()


async def test_the_cookie_is_for_http_alone_and_only_its_hash_is_kept(node: Node) -> None:
    async with browsing(node, None) as (browser,):
        answer = await browser.sign_in("ann@example.com")
        line = cookies(answer)["openclaw_session"]
        assert "HttpOnly" in line
        assert "Path=/" in line
        assert "SameSite=lax" in line
        assert "Domain" not in line
        secret = browser.session()
        assert secret is not None
        assert len(secret) >= 43
        [(kept,)] = await ask(node, "SELECT token_hash FROM sessions")
        assert bytes(kept) == hash_token(secret)
        page = await browser.get("/account")
        assert page.headers["cache-control"] == "private, no-store"
        assert secret not in page.text


async def test_a_sign_in_leaves_no_secret_that_was_known_before(node: Node) -> None:
    async with browsing(node, None, None) as (victim, thief):
        planted = "openclaw_session=planted-by-somebody-else-0123456789abcdef"
        page = await victim.get("/sign-in", cookie=planted)
        visitor = cookies(page)["openclaw_visitor"].partition(";")[0]
        token = TOKEN.findall(page.text)[0]
        answer = await victim.post(
            "/auth/development", {"email": "ann@example.com", "return_to": "/"}, token,
            {"cookie": f"{planted}; {visitor}"},
        )  # fmt: skip
        assert answer.status_code == 303
        assert "planted" not in cookies(answer)["openclaw_session"]
        assert (await thief.get("/account", cookie=planted)).status_code == 303

        before = victim.session()
        await victim.sign_in("bob@example.com")
        assert victim.session() != before
        old = await thief.get("/account", cookie=f"openclaw_session={before}")
        assert old.status_code == 303, "the old one goes on"


async def test_a_session_ends_by_sign_out_by_its_owner_and_by_time(node: Node) -> None:
    email = "ann@example.com"
    async with browsing(node, email, email, email, "eve@example.com") as (one, two, three, eve):
        page = await one.get("/account")
        ids = [row[0] for row in await ask(
            node, "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id"
            " WHERE u.email = %s ORDER BY s.id", email)]  # fmt: skip
        assert all(session_id in page.text for session_id in ids[1:])
        assert (await eve.post(f"/account/sessions/{ids[1]}/revoke")).status_code == 404
        assert (await two.get("/account")).status_code == 200

        gone = await one.post(f"/account/sessions/{ids[1]}/revoke")
        assert gone.headers["location"] == "/account"
        refused = await two.get("/account?x=1")
        assert (refused.status_code, refused.headers["location"]) == (
            303, "/sign-in?return_to=/account%3Fx%3D1",
        )  # fmt: skip
        assert (await two.get("/api/balance", accept="application/json")).status_code == 401

        await ask(node, "UPDATE sessions SET expires_at = now() WHERE id = %s", ids[2])
        assert (await three.get("/account")).status_code == 303

        await two.sign_in(email)
        everywhere = await one.post("/sign-out-everywhere")
        assert 'openclaw_session=""' in cookies(everywhere)["openclaw_session"]
        assert "cache" in everywhere.headers["clear-site-data"]
        for browser in (one, two, three):
            assert (await browser.get("/account")).status_code == 303
        assert (await eve.get("/account")).status_code == 200
        secret = eve.session()
        await eve.post("/sign-out")
        assert eve.session() is None
        back = await eve.get("/account", cookie=f"openclaw_session={secret}")
        assert back.status_code == 303, "only the cookie was dropped"


async def test_use_keeps_a_session_alive_but_not_for_ever(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (browser,):
        await browser.get("/account")
        [(seen, until)] = await ask(node, "SELECT seen_at, expires_at FROM sessions")
        await browser.get("/account")
        assert await ask(node, "SELECT seen_at FROM sessions") == [(seen,)], "a write each time"

        await ask(node, "UPDATE sessions SET seen_at = now() - interval '6 minutes',"
                        " expires_at = now() + interval '1 hour'")  # fmt: skip
        await browser.get("/account")
        [(later, moved)] = await ask(node, "SELECT seen_at, expires_at FROM sessions")
        assert later > seen
        assert moved > until

        await ask(node, "UPDATE sessions SET seen_at = now() - interval '6 minutes',"
                        " created_at = now() - interval '89 days'")  # fmt: skip
        await browser.get("/account")
        [(left,)] = await ask(
            node, "SELECT extract(epoch FROM expires_at - now()) / 3600 FROM sessions"
        )
        assert 23 <= left <= 24


async def test_many_first_sign_ins_at_once_make_one_account(node: Node) -> None:
    async with browsing(node, *([None] * 6)) as browsers:
        for browser in browsers:
            await browser.token()
        answers = await asyncio.gather(*(b.sign_in("ann@example.com") for b in browsers))
        assert [answer.status_code for answer in answers] == [303] * 6
        assert await ask(node, "SELECT count(*) FROM users") == [(1,)]
        assert (await browsers[0].get("/api/balance")).json()["balance_cents"] == 100
    await node.prove()


async def test_a_browser_holds_a_worker_until_its_token_changes(node: Node) -> None:
    worker = await node.worker()
    async with browsing(node, "ann@example.com") as (ann,):
        secret = ann.session()
        [(session_id, user_id)] = await ask(node, "SELECT id, user_id FROM sessions")
        held = await hold_worker(
            node.market, worker.id, hash_token(worker.token),
            user_id=user_id, instead_of=session_id, user_agent=None,
        )  # fmt: skip

        async def found(of: str | None) -> tuple[str | None, str | None] | None:
            async with node.market.db.read() as conn:
                by_hash = await sessions_by_hash(conn, [hash_token(str(of))])
            session = by_hash.get(hash_token(str(of)))
            return None if session is None else (session.user_id, session.worker_id)

        assert await found(secret) is None, "each step up has a secret of its own"
        assert await found(held.secret) == (user_id, worker.id)
        again = await sign_in(
            node.market, provider="development", subject="ann@example.com",
            email="ann@example.com", name=None, instead_of=held.id, user_agent=None,
        )  # fmt: skip
        assert await found(again.session.secret) == (user_id, worker.id), "a sign-in keeps it"
        await worker.ok("POST", "/api/worker/rotate-token")
        assert await found(again.session.secret) == (user_id, None)


async def test_what_ended_long_ago_is_deleted(node: Node) -> None:
    async with browsing(node, "ann@example.com", "bob@example.com") as (_, bob):
        await ask(node, "UPDATE sessions SET expires_at = now() - interval '8 days' WHERE user_id ="
                        " (SELECT id FROM users WHERE email = 'ann@example.com')")  # fmt: skip
        await tend_accounts(node.market)
        assert await ask(node, "SELECT count(*) FROM sessions") == [(1,)]
        assert (await bob.get("/account")).status_code == 200


async def test_production_has_prefixed_secure_cookies_and_no_sign_in_of_its_own(dsn: str) -> None:
    async with running_node(
        dsn, background=False, environment="production", session_secret="s" * 32,
        public_url="https://jobs.example.com",
    ) as node:  # fmt: skip
        browser = Browser(node.address)
        page = await browser.get("/sign-in")
        assert "/auth/development" not in page.text
        assert (await browser.get("/styleguide")).status_code == 404
        assert 'data-theme="dark"' in (await browser.get("/", cookie="__Host-theme=dark")).text
        assert "data-theme=" not in (await browser.get("/", cookie="theme=dark")).text
        # httpx keeps Secure cookies from plain HTTP, so they are sent by hand
        secret = "v" * 32
        token = node.runtime.signer.csrf_token(secret)
        visitor = {"cookie": f"__Host-openclaw_visitor={secret}"}
        fields = {"email": "ann@example.com", "return_to": "/"}
        refused = await browser.post("/auth/development", fields, token, visitor)
        assert refused.status_code == 404
        assert await ask(node, "SELECT count(*) FROM users") == [(0,)]

        signed_in = await sign_in(
            node.market, provider="google", subject="1", email="ann@example.com", name="Ann",
            instead_of=None, user_agent=None,
        )  # fmt: skip
        ours = {"cookie": f"__Host-openclaw_session={signed_in.session.secret}"}
        assert (await browser.get("/account", **ours)).status_code == 200
        bare = {"cookie": f"openclaw_session={signed_in.session.secret}"}
        assert (await browser.get("/account", **bare)).status_code == 303
        token = node.runtime.signer.csrf_token(signed_in.session.secret)
        answer = await browser.post("/account/name", {"name": "Ann"}, token, ours)
        line = cookies(answer)["__Host-openclaw_flash"]
        assert {"Secure", "HttpOnly", "Path=/"} <= set(line.split("; "))
        await browser.http.aclose()
