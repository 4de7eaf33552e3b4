"""Sign-in with other people's accounts, over real HTTP: an OpenID provider, and GitHub's ways."""

import asyncio
import base64
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from openclaw_jobs.identity.oauth import Google, ProviderError
from openclaw_jobs.kit.clock import SystemClock
from openclaw_jobs.settings import OAuthClient
from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond
from tests.fakes.github import CLIENT_ID, CLIENT_SECRET, GitHubServer
from tests.running import UNLIMITED, Node, running_node
from tests.web.people import NO_TLS, Browser, ask, browsing

ANN = {"sub": "1001", "email": "ann@example.com", "email_verified": True, "name": "Ann Lee"}
RUNNING = re.compile(rb"running on (http://127\.0\.0\.1:\d+)")


@contextlib.asynccontextmanager
async def provider(*people: dict[str, Any]) -> AsyncIterator[str]:
    """oidc-provider-mock in a process of its own; its address, which is its issuer."""
    claims = [word for person in people for word in ("--user-claims", json.dumps(person))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", "0"),
        *("--require-nonce", "true", *claims),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            found = None
            while found is None:
                line = await process.stdout.readline()
                assert line, "the provider did not start"
                found = RUNNING.search(line)
        yield found[1].decode()
    finally:
        process.terminate()
        await process.wait()


async def consent(url: str, sub: str | None) -> str:
    """Say yes (or no) at the mock's form; where it sends the browser then."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http:
        data = {"action": "deny"} if sub is None else {"sub": sub}
        answer = await http.post(url, data=data)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


async def follow(browser: Browser, location: str) -> httpx.Response:
    assert location.startswith(browser.address)
    return await browser.get(location.removeprefix(browser.address))


async def test_sign_in_with_google(dsn: str) -> None:
    unproven = {"sub": "1002", "email": "eve@example.com", "email_verified": False}
    nameless = {"sub": "1003", "email": "bob@example.com"}
    async with (
        provider(ANN, unproven, nameless) as issuer,
        running_node(
            dsn, background=False, google=OAuthClient("client", "secret"), google_issuer=issuer
        ) as node,
        browsing(node, None, None) as (ann, eve),
    ):
        page = await ann.get("/sign-in?return_to=/account")
        assert "/auth/google?return_to=/account" in page.text
        assert "GitHub" not in page.text
        assert (await ann.get("/auth/github")).status_code == 404

        start = await ann.get("/auth/google?return_to=/account")
        assert start.status_code == 303
        asked = httpx.URL(start.headers["location"]).params
        assert str(start.headers["location"]).startswith(issuer)
        assert asked["code_challenge_method"] == "S256"
        assert asked["scope"] == "openid email profile"
        back = await consent(start.headers["location"], "1001")

        stolen = await follow(eve, back)
        assert stolen.status_code == 400, "somebody else's link signs nobody in"
        assert eve.session() is None
        assert "began in another browser" in stolen.text

        start = await ann.get("/auth/google?return_to=/account")
        back = await consent(start.headers["location"], "1001")
        done = await follow(ann, back)
        assert (done.status_code, done.headers["location"]) == (303, "/account")
        page = await ann.get("/account")
        assert "ann@example.com" in page.text
        assert "Ann Lee" in page.text
        again = await follow(ann, back)
        assert again.status_code == 400, "a state is good once"

        for sub in ("1002", "1003"):
            start = await eve.get("/auth/google")
            refused = await follow(eve, await consent(start.headers["location"], sub))
            assert refused.status_code == 502
            assert "has not verified your e-mail address" in refused.text
            assert eve.session() is None

        start = await eve.get("/auth/google")
        back = await consent(start.headers["location"], "1001")
        await ask(node, "UPDATE sign_ins SET created_at = now() - interval '11 minutes'")
        assert (await follow(eve, back)).status_code == 400
        assert await ask(node, "SELECT count(*) FROM users") == [(1,)]


@contextlib.asynccontextmanager
async def with_github(dsn: str) -> AsyncIterator[tuple[GitHubServer, Node, Browser]]:
    async with (
        GitHubServer() as github,
        running_node(
            dsn,
            background=False,
            github=OAuthClient(CLIENT_ID, CLIENT_SECRET),
            github_base_url=github.url,
            github_api_base=github.url,
        ) as node,
        browsing(node, None) as (browser,),
    ):
        yield github, node, browser


async def through(browser: Browser, path: str = "/auth/github") -> httpx.Response:
    """All the way to GitHub and back."""
    start = await browser.get(path)
    assert start.status_code == 303, start.text
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http:
        sent_back = await http.get(start.headers["location"])
    return await follow(browser, sent_back.headers["location"])


async def test_sign_in_with_github(dsn: str) -> None:
    async with with_github(dsn) as (github, node, browser):
        done = await through(browser, "/auth/github?return_to=/account")
        assert done.headers["location"] == "/account"
        assert "octocat@example.com" in (await browser.get("/account")).text

        # The id is who somebody is; the address may change, in our books too it does not.
        github.emails[1]["email"] = "new@example.com"
        await through(browser)
        assert await ask(node, "SELECT email, name FROM users") == [("octocat@example.com", "Octo")]

        # A buyer from before, by a proven address.
        await browser.post("/sign-out")
        github.user = {"id": 2, "login": "ann", "name": None}
        github.emails = [{"email": "Ann@Example.com", "primary": True, "verified": True}]
        await browser.sign_in("ann@example.com")
        first = (await browser.get("/api/balance")).json()
        await browser.post("/sign-out")
        await through(browser)
        assert (await browser.get("/api/balance")).json() == first
        linked = await ask(
            node, "SELECT provider FROM external_identities e JOIN users u ON u.id = e.user_id"
            " WHERE u.email = 'ann@example.com' ORDER BY provider")  # fmt: skip
        assert linked == [("development",), ("github",)]
        await node.prove()


WITHOUT_ANYBODY: list[tuple[dict[str, Any], str]] = [
    ({"emails": [{"email": "a@b.co", "primary": True, "verified": False}]}, "no verified"),
    ({"emails": []}, "no verified"),
    ({"emails": {"message": "no scope"}}, "no verified"),
    ({"emails": [{"email": "a@b\n.co", "verified": True}]}, "no verified"),
    ({"user": {"login": "nobody"}}, "did not say who you are"),
    ({"user": []}, "did not say who you are"),
    ({"says_no": True}, "so nothing happened"),
    ({"broken": {"/login/oauth/access_token"}}, "did not accept"),
    ({"broken": {"/user"}}, "cannot be reached"),
]


async def test_what_github_does_not_say_signs_nobody_in(dsn: str) -> None:
    async with with_github(dsn) as (github, node, browser):
        await node.configure("rate_limits", sign_in=UNLIMITED)
        for change, told in WITHOUT_ANYBODY:
            as_it_was = {name: getattr(github, name) for name in change}
            for name, value in change.items():
                setattr(github, name, value)
            refused = await through(browser)
            assert refused.status_code == 502
            assert told in refused.text
            assert browser.session() is None
            for name, value in as_it_was.items():
                setattr(github, name, value)
        assert await ask(node, "SELECT count(*) FROM users") == [(0,)]


async def test_a_code_of_somebody_elses_is_worth_nothing(dsn: str) -> None:
    """Neither with another state, nor without one, nor twice, nor to an app that stands still."""
    async with with_github(dsn) as (github, node, browser):
        start = await browser.get("/auth/github")
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http:
            back = (await http.get(start.headers["location"])).headers["location"]
        code = httpx.URL(back).params["code"]
        for query in (
            "",
            f"?code={code}",
            f"?code={code}&state=x",
            f"?code={code}&state={'x' * 999}",
        ):
            assert (await browser.get(f"/auth/github/callback{query}")).status_code == 400
        await github.stop()
        failed = await follow(browser, back)
        assert failed.status_code == 502
        assert await ask(node, "SELECT count(*) FROM users") == [(0,)]


class Forger(AsgiFake):
    """An OpenID provider whose token endpoint says whatever the test wants."""

    claims: Any = None
    issuer: str | None = None
    moved: str | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        if self.moved is not None and scope["path"] != self.moved:
            await respond(send, 302, headers={"location": f"{self.url}{self.moved}"})
            return
        if scope["path"].startswith("/.well-known") or scope["path"] == self.moved:
            answer: dict[str, Any] = {
                "issuer": self.issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
            }
        else:
            payload = base64.urlsafe_b64encode(json.dumps(self.claims).encode()).decode()
            answer = {"access_token": "t", "id_token": f"e30.{payload.rstrip('=')}.sig"}
        await respond(send, 200, json.dumps(answer).encode())


async def test_an_id_token_must_be_for_us_for_now_and_for_this_sign_in() -> None:
    async with Forger() as forger:
        google = Google("client", "secret", issuer=forger.url, clock=SystemClock())
        now = SystemClock().now().timestamp()
        good = {**ANN, "iss": forger.url, "aud": "client", "exp": now + 60, "nonce": "n"}
        forger.claims = good
        assert (await google.person("code", "uri", "v", "n")).email == "ann@example.com"
        wrong: list[Any] = [
            {"iss": "https://evil.example"}, {"iss": [forger.url]}, {"aud": "other"},
            {"aud": ["client", "other"]}, {"exp": now - 3600}, {"exp": "never"}, {"nonce": "m"},
            {"nbf": now + 3600}, {"nbf": "soon"}, {"nbf": None},
            {"nonce": None}, {"sub": ""}, {"sub": 7}, {"email": None}, {"email_verified": "yes"},
            {"email_verified": []}, {"email": "a\r\nb@example.com"},
        ]  # fmt: skip
        for change in wrong:
            forger.claims = {**good, **change}
            with pytest.raises(ProviderError):
                await google.person("code", "uri", "v", "n")
        nothing: list[Any] = [None, [], "x", 7]
        for claims in nothing:
            forger.claims = claims
            with pytest.raises(ProviderError):
                await google.person("code", "uri", "v", "n")


async def test_a_provider_must_be_the_one_that_was_named_and_stay_where_it_is() -> None:
    async with Forger() as forger:
        for issuer, moved in (("https://evil.example", None), (f"{forger.url}/", None),
                              (None, "/moved")):  # fmt: skip
            forger.issuer, forger.moved = issuer, moved
            google = Google("client", "secret", issuer=forger.url, clock=SystemClock())
            with pytest.raises(ProviderError):
                await google.authorization_url("uri", "state", "challenge", "nonce")
        forger.issuer = forger.moved = None
        google = Google("client", "secret", issuer=forger.url, clock=SystemClock())
        assert await google.authorization_url("uri", "state", "challenge", "nonce")


async def test_a_state_of_one_provider_is_worth_nothing_at_another(dsn: str) -> None:
    async with (
        GitHubServer() as github,
        running_node(
            dsn,
            background=False,
            github=OAuthClient(CLIENT_ID, CLIENT_SECRET),
            github_base_url=github.url,
            github_api_base=github.url,
            google=OAuthClient("client", "secret"),
            google_issuer=github.url,
        ) as node,
        browsing(node, None) as (browser,),
    ):
        start = await browser.get("/auth/github")
        state = httpx.URL(start.headers["location"]).params["state"]
        mixed = await browser.get(f"/auth/google/callback?code=x&state={state}")
        assert mixed.status_code == 400
        assert browser.session() is None


async def test_a_link_elsewhere_signs_nobody_in(dsn: str) -> None:
    async with with_github(dsn) as (github, node, browser):
        for site in ("cross-site", "same-site"):
            led = await browser.get("/auth/github?return_to=/account", **{"sec-fetch-site": site})
            assert (led.status_code, led.headers["location"]) == (
                303, "/sign-in?return_to=/account",
            )  # fmt: skip
        assert await ask(node, "SELECT count(*) FROM sign_ins") == [(0,)]
        for site in ("same-origin", "none"):
            asked = await browser.get("/auth/github", **{"sec-fetch-site": site})
            assert asked.headers["location"].startswith(github.url)


async def test_a_sign_in_is_logged_and_the_providers_token_kept_nowhere(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "openclaw_jobs.web.sign_in")
    async with with_github(dsn) as (github, node, browser):
        done = await through(browser)
        page = await browser.get("/account")
        (token,) = github.tokens
        assert token not in f"{done.headers} {page.headers} {page.text}"
        for (name,) in await ask(
            node,
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version'",
        ):
            rows = await ask(node, f"SELECT t::text FROM {name} t")  # noqa: S608 - the catalog's
            assert token not in str(rows), name
        [(user_id,)] = await ask(node, "SELECT id FROM users")
        (line,) = [record for record in caplog.records if record.message == "signed in"]
        assert (vars(line)["provider"], vars(line)["user_id"]) == ("github", user_id)

        await browser.post("/sign-out")
        github.broken = {"/user"}
        await through(browser)
        assert "sign-in failed at the provider" in caplog.text
        assert "HTTPStatusError" in caplog.text
