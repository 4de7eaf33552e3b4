"""What holds of every page: its headers, its files, its refusals."""

import re

import psycopg
import pytest

from openclaw_jobs.web.filters import json_attr, money, plural
from tests.running import Node
from tests.web.people import browsing

INLINE = re.compile(
    r"<[^>]+\son[a-z]+\s*=|<script(?![^>]*\ssrc=)|<style|\sstyle=|javascript:", re.IGNORECASE
)
POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'", "frame-ancestors": "'none'", "connect-src": "'self'",
}  # fmt: skip


async def test_every_page_says_what_a_browser_may_do(node: Node) -> None:
    async with browsing(node, "ann@example.com", None) as (ann, nobody):
        for browser, path, status in (
            (nobody, "/", 200), (nobody, "/sign-in", 200), (nobody, "/nothing", 404),
            (ann, "/account", 200), (ann, "/chat", 200), (ann, "/operator-only", 404),
            (ann, "/static/x/none.css", 404),
        ):  # fmt: skip
            page = await browser.get(path)
            assert page.status_code == status, path
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            written = page.headers["content-security-policy"]
            parts = [part.split(maxsplit=1) for part in written.split(";")]
            policy = {part[0]: part[1] for part in parts}
            assert POLICY.items() <= policy.items()
            assert "unsafe" not in written
            assert policy["form-action"].split() == ["'self'", "https://checkout.stripe.com"]
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["referrer-policy"] == "same-origin"
            assert page.headers["cross-origin-opener-policy"] == "same-origin"
            assert "camera=()" in page.headers["permissions-policy"]
            assert page.headers["vary"] == "Cookie"
            assert page.headers["cache-control"].startswith("private, no-")
            assert not INLINE.search(page.text), (path, INLINE.search(page.text))
            assert "http-equiv" not in page.text


async def test_files_are_kept_for_ever_under_an_address_that_changes_with_them(node: Node) -> None:
    async with browsing(node, None) as (browser,):
        page = await browser.get("/")
        urls = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
        assert {url.rpartition("/")[2] for url in urls} >= {"base.css", "app.js"}
        for url in urls:
            answer = await browser.get(url)
            assert answer.status_code == 200, url
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-type"].split(";")[0] in {"text/css", "text/javascript"}
            etag = {"if-none-match": answer.headers["etag"]}
            again = await browser.http.get(url, headers=etag)
            assert (again.status_code, again.content) == (304, b"")
            plain = await browser.get(url, accept_encoding="identity")
            assert plain.text == answer.text
        url = min(urls)
        other = re.sub(r"/static/[^/]+/", "/static/0000000000000000/", url)
        assert (await browser.get(other)).headers["cache-control"] == "public, no-cache"
        for path in ("../__init__.py", "%2e%2e/headers.py", "..%2fheaders.py", "", "x%7f"):
            assert (await browser.get(f"/static/0/{path}")).status_code in {404, 422}
        icon = await browser.get("/favicon.svg")
        assert icon.headers["content-type"].startswith("image/svg+xml")
        assert "default-src 'none'" in icon.headers["content-security-policy"]


async def test_a_refusal_is_a_page_for_people_and_a_document_for_programs(node: Node) -> None:
    async with browsing(node, None) as (browser,):
        lost = await browser.get("/nothing")
        assert "text/html" in lost.headers["content-type"]
        assert lost.headers["x-request-id"] in lost.text
        for path, accept in (("/nothing", "*/*"), ("/api/nothing", "text/html"),
                             ("/nothing", "application/json, text/html;q=0.9")):  # fmt: skip
            answer = await browser.get(path, accept=accept)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await browser.get("/account", accept="application/json")).status_code == 401
        wrong = await browser.http.delete("/account")
        assert (wrong.status_code, "allow" in wrong.headers) == (405, True)
        hostile = await browser.get("/<script>alert(1)</script>?x=%00")
        assert "<script>alert" not in hostile.text

        await node.configure("rate_limits", api_read={"limit": 1, "per_seconds": 60})
        await browser.get("/sign-in")
        slow = await browser.get("/sign-in")
        assert slow.status_code == 429
        assert "text/html" in slow.headers["content-type"]
        assert int(slow.headers["retry-after"]) > 0


async def test_a_fault_of_ours_is_a_page_without_its_story(node: Node, dsn: str) -> None:
    async with browsing(node, "ann@example.com", None) as (ann, stranger):
        token = await stranger.token()
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("ALTER TABLE external_identities RENAME TO gone")
        fields = {"email": "bob@example.com", "return_to": "/"}
        page = await stranger.post("/auth/development", fields, token)
        assert page.status_code == 500
        assert "text/html" in page.headers["content-type"]
        for told in ("gone", "Traceback", "external_identities", "psycopg"):
            assert told not in page.text
        assert (await ann.get("/sign-in")).status_code == 303


async def test_flashes_are_ours_and_shown_once(node: Node) -> None:
    async with browsing(node, "ann@example.com") as (ann,):
        forged = "W1sic3VjY2VzcyIsIllvdSB3b24iXV0.AAAA"
        for cookie in (forged, "x", "é", "." * 3000):
            page = await ann.http.get(
                "/sign-in?x", headers={b"cookie": f"openclaw_flash={cookie}".encode()}
            )
            assert page.status_code == 200
            assert "You won" not in page.text


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "$0.00"),
        (5, "$0.05"),
        (-5, "-$0.05"),
        (123456, "$1,234.56"),
        (-(10**9), "-$10,000,000.00"),
    ],
)
def test_money_is_read_from_cents(cents: int, text: str) -> None:
    assert money(cents) == text


def test_words_and_data_for_templates() -> None:
    assert [plural(n, "task") for n in (0, 1, 2000)] == ["0 tasks", "1 task", "2,000 tasks"]
    assert plural(2, "reply", "replies") == "2 replies"
    assert str(json_attr({"a": "\"'<&>"})) == (
        "{&quot;a&quot;:&quot;\\&quot;&#x27;&lt;&amp;&gt;&quot;}"
    )
