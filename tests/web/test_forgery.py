"""Calls that a browser is made to send by somebody else's page are refused, whatever they are."""

import pytest

from openclaw_jobs.web.return_to import safe_return_to
from tests.running import UNLIMITED, Node
from tests.web.people import Browser, ask, browsing, make_operator

OTHER = "https://evil.example"
FROM_ELSEWHERE = [
    {"origin": OTHER},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://127.0.0.1"},
    {"origin": "https://evil.example:80#127.0.0.1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
]


async def test_a_form_needs_the_token_of_its_own_session(node: Node) -> None:
    async with browsing(node, "ann@example.com", "eve@example.com", None) as (ann, eve, nobody):
        foreign = [await eve.token(), await nobody.token(), "", "x" * 43, "\N{GRINNING FACE}"]
        for token in foreign:
            answer = await ann.post("/account/name", {"name": "Hacked"}, token=token)
            assert answer.status_code == 403, token
            assert "not proven to come from a page of ours" in answer.text
        assert (await ann.post("/account/name", {"name": "Ann"})).status_code == 303
        good = await ann.token()
        twice = f"csrf_token={good}&csrf_token=x&name=Two"
        form = {"content-type": "application/x-www-form-urlencoded"}
        sent = await ann.http.post("/account/name", content=twice, headers=form)
        assert sent.status_code == 303, "the first token counts, and it is good"
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
            answer = await ann.http.post(
                "/account/name",
                content=f"csrf_token={good}&name=Bad",
                headers={"content-type": kind},
            )
            assert answer.status_code == 415, kind
        by_header = await ann.http.post(
            "/account/name", content="name=Header", headers={**form, "x-csrf-token": good}
        )
        assert by_header.status_code == 303
    assert await ask(node, "SELECT name FROM users ORDER BY id") == [("Header",), (None,)]


async def test_a_good_token_from_elsewhere_is_refused(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        token = await ann.token()
        for headers in FROM_ELSEWHERE:
            answer = await ann.post("/account/name", {"name": "Hacked"}, token, headers)
            assert answer.status_code == 403, headers
            named = {**headers, "x-csrf-token": token, "accept": "application/json"}
            api = await ann.http.post("/api/keys", json={}, headers=named)
            assert (api.status_code, api.json()["code"]) == (403, "forbidden")
        own = {"origin": ann.address, "sec-fetch-site": "same-origin"}
        assert (await ann.post("/account/name", {"name": "Ann"}, token, own)).status_code == 303


async def test_signing_in_is_held_against_forgery_too(node: Node) -> None:
    async with browsing(node, None, None) as (victim, attacker):
        token = await attacker.token()
        fields = {"email": "attacker@example.com", "return_to": "/"}
        for forged in ("", token):
            answer = await victim.post("/auth/development", fields, forged)
            assert answer.status_code == 403
        assert victim.session() is None
    assert await ask(node, "SELECT count(*) FROM users") == [(0,)]


async def test_the_api_takes_a_session_where_the_contract_says_so(node: Node) -> None:
    """Buyers' and operators' routes do; a token beside the cookie is what counts."""
    await make_operator(node, "boss@example.com")
    buyer, worker = await node.buyer(100), await node.worker()
    json = {"accept": "application/json"}
    async with browsing(node, "ann@example.com", "boss@example.com") as (ann, boss):
        for browser, path, status in (
            (ann, "/api/balance", 200),
            (ann, "/api/tasks", 200),
            (ann, "/api/admin/stats", 403),
            (ann, "/api/worker/me", 401),
            (boss, "/api/admin/stats", 200),
            (boss, "/api/admin/audit", 200),
            (boss, "/api/balance", 200),
            (boss, "/api/work/next", 401),
        ):
            answer = await browser.http.get(path, headers=json)
            assert answer.status_code == status, (path, answer.text)
        token = await boss.token()
        path = "/api/admin/config/signup"
        body = {"value": {"bonus_cents": 7}}
        for named, status in (({}, 403), ({"x-csrf-token": await ann.token()}, 403),
                              ({"x-csrf-token": token}, 200)):  # fmt: skip
            answer = await boss.http.put(path, json=body, headers={**json, **named})
            assert answer.status_code == status, answer.text
        [(actor,)] = await ask(
            node, "SELECT actor FROM audit_log WHERE action = 'config.put' AND subject = 'signup'"
        )
        assert actor.startswith("usr_")

        bearer = {**json, "authorization": f"Bearer {buyer.token}"}
        assert (await ann.http.post("/api/keys", json={}, headers=bearer)).status_code == 201
        wrong = {**json, "authorization": f"Bearer {worker.token}"}
        assert (await ann.http.get("/api/balance", headers=wrong)).status_code == 403
        basic = {**json, "authorization": "Basic YTpi"}
        assert (await ann.http.get("/api/balance", headers=basic)).status_code == 401

        await ask(node, "UPDATE users SET is_operator = false")
        assert (await boss.http.get("/api/admin/stats", headers=json)).status_code == 403


async def test_two_cookies_of_one_name_are_nobodys(node: Node) -> None:
    async with browsing(node, "ann@example.com", "eve@example.com") as (ann, eve):
        both = f"openclaw_session={eve.session()}; openclaw_session={ann.session()}"
        stranger = Browser(node.address)
        for cookie in (both, "openclaw_session=" + "a" * 9000, 'openclaw_session="; x=', "=;=;"):
            assert (await stranger.get("/account", cookie=cookie)).status_code == 303
        await stranger.http.aclose()


ELSEWHERE = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)", "/x\r\nSet-Cookie: a=b", "/x\nLocation: /y", "/.//evil.example",
    "/sign-out", "/auth/google", "http:evil.example", "///x", "/ünï", "/" + "a" * 600,
    "@evil.example", ".evil.example", "/api/balance", "/static/x", "/x y", "/x\x7f", "/\N{SOLIDUS}",
]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_way_back_that_is_none_is_not_taken(target: str) -> None:
    assert safe_return_to(target, "/chat") == "/chat"


@pytest.mark.parametrize("path", ["/", "/chat", "/tasks?status=queued&x=%2F%2Fa", "/a/b#c"])
def test_a_way_back_to_a_page_is_taken(path: str) -> None:
    assert safe_return_to(path, "/other") == path


async def test_nobody_is_sent_elsewhere(node: Node) -> None:
    await node.configure("rate_limits", sign_in=UNLIMITED)
    async with browsing(node, None) as (browser,):
        token = await browser.token()
        for number, target in enumerate([*ELSEWHERE, "/x\x00"]):
            page = await browser.http.get("/sign-in", params={"return_to": target})
            assert page.status_code in {200, 422}
            fields = {"email": f"ann{number}@example.com", "return_to": target}
            answer = await browser.post("/auth/development", fields, token)
            assert answer.headers.get("location", "/chat") == "/chat", target
            assert answer.status_code in {303, 422}
            assert set(browser.http.cookies) <= {
                "openclaw_session", "openclaw_visitor", "openclaw_flash",
            }  # fmt: skip
            browser.http.cookies.clear()
            token = await browser.token()


async def test_a_host_of_somebodys_choice_gets_into_no_page(node: Node) -> None:
    async with browsing(node, None) as (browser,):
        for host in ('x"><script>alert(1)</script>', "evil.example/path", "a b", "evil@example"):
            page = await browser.get("/", host=host)
            assert "<script>alert" not in page.text
            assert "evil" not in page.text
            assert page.status_code in {200, 422}
