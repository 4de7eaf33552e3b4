"""An operator changes the economy by a form, and sees what that does before it is in force."""

import html
import json
import re

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import expect

from openclaw_jobs.economy import DEFAULT_CONFIG, SECTIONS
from openclaw_jobs.economy.rules import parse
from openclaw_jobs.web import config_form
from tests.market.steps import post
from tests.running import Node
from tests.web.browser import Visitors, browser_tests
from tests.web.config_help import HELP, from_reference, written
from tests.web.office import OPERATOR
from tests.web.people import Browser, ask, browsing, make_operator

PRICING = "/operator/config/pricing"


async def form_of(browser: Browser, path: str) -> dict[str, list[str]]:
    """The fields of the first form of a page that changes something, as a browser sends them."""
    page = (await browser.get(path)).text
    found: dict[str, list[str]] = {}
    form = page[page.index('<form class="form wide"') :]
    for tag in re.findall(r"<input [^>]*>", form[: form.index("</form>")]):
        given = {name: html.unescape(value) for name, value in re.findall(r'(\S+)="([^"]*)"', tag)}
        if given["name"] == "csrf_token" or (given["type"] == "checkbox" and "checked" not in tag):
            continue
        found.setdefault(given["name"], []).append(given.get("value", ""))
    return found


async def send(browser: Browser, path: str, fields: dict[str, list[str]]) -> httpx.Response:
    token = await browser.token("/operator")
    return await browser.http.post(path, data={**fields, "csrf_token": [token]})


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return html.unescape(found[1])


def test_the_help_is_what_the_reference_says() -> None:
    assert HELP.read_text(encoding="utf-8") == written(), "python -m tests.web.config_help"
    assert set(from_reference()) == set(SECTIONS)


@pytest.mark.parametrize("key", SECTIONS)
def test_each_section_survives_its_form(key: str) -> None:
    value = json.loads(json.dumps(msgspec.to_builtins(getattr(DEFAULT_CONFIG, key))))
    read, errors = config_form.read(key, config_form.as_sent(key, value))
    assert not errors
    assert parse(key, read) == getattr(DEFAULT_CONFIG, key)
    assert set(config_form.as_sent(key, value)) <= set(config_form.names(key))


@given(st.text(max_size=20))
def test_what_cannot_be_read_is_told_of_its_field(text: str) -> None:
    sent = config_form.as_sent("dispatch", msgspec.to_builtins(DEFAULT_CONFIG.dispatch))
    value, errors = config_form.read("dispatch", sent | {"lease_seconds": [text]})
    if errors:
        assert [error.field for error in errors] == ["value.lease_seconds"]
    else:
        assert isinstance(value["lease_seconds"], int)


async def test_a_price_is_changed_by_a_form_and_counts_for_the_next_task(node: Node) -> None:
    await make_operator(node, OPERATOR)
    buyer = await node.buyer()
    async with browsing(node, OPERATOR) as (browser,):
        fields = await form_of(browser, PRICING)
        row = fields["base_cents.key"].index("coding")
        fields["base_cents.value"][row] = "77"
        reviewed = await send(browser, f"{PRICING}/review", fields)
        assert reviewed.status_code == 200, reviewed.text
        assert "base_cents.coding" in reviewed.text
        assert "<del>30</del>" in reviewed.text
        assert "<ins>77</ins>" in reviewed.text
        assert node.market.config.pricing.base_cents["coding"] == 30, "nothing is in force yet"
        ready = {name: [hidden(reviewed.text, name)] for name in ("version", "json")}
        for _ in range(2):
            saved = await send(browser, PRICING, ready)
            assert (saved.status_code, saved.headers["location"]) == (303, PRICING)
        page = (await browser.get(PRICING)).text
        assert "Version 2 of pricing is in force" in page
        assert OPERATOR in page
        assert "<del>30</del> → <ins>77</ins>" in page
    per_1000 = node.market.config.pricing.per_1000_chars_cents
    posted = await post(buyer, prompt="x", category="coding")
    assert posted["price_cents"] == 77 + per_1000
    acts = await ask(node, "SELECT actor, subject FROM audit_log WHERE action = 'config.put'"
                           " AND subject = 'pricing'")  # fmt: skip
    assert len(acts) == 1, "sent twice, changed once"
    assert str(acts[0][0]).startswith("usr_")


async def test_what_does_not_fit_is_said_beside_its_field_and_kept(node: Node) -> None:
    await make_operator(node, OPERATOR)
    async with browsing(node, OPERATOR) as (browser,):
        fields = await form_of(browser, "/operator/config/commissions")
        fields["rate_by_tier.gold"] = ["1.5"]
        fields["freeze_window_hours"] = ["a day"]
        answer = await send(browser, "/operator/config/commissions/review", fields)
        assert answer.status_code == 422
        assert 'value="a day"' in answer.text
        assert "A number, please." in answer.text
        fields["freeze_window_hours"] = ["24"]
        answer = await send(browser, "/operator/config/commissions/review", fields)
        assert answer.status_code == 422
        assert "At most 1." in answer.text
        assert 'value="1.5"' in answer.text
        for text, told in (("{", "not a JSON object"), ('{"x": 1}', "Unknown field")):
            sent = {"version": ["1"], "json": [text]}
            answer = await send(browser, "/operator/config/commissions/review", sent)
            assert answer.status_code == 422
            assert told in answer.text
        same = await send(
            browser,
            "/operator/config/commissions/review",
            await form_of(browser, "/operator/config/commissions"),
        )
        assert "Nothing would change" in same.text


async def test_two_operators_do_not_overwrite_each_other(node: Node) -> None:
    await make_operator(node, OPERATOR)
    async with browsing(node, OPERATOR) as (browser,):
        await node.configure("dispatch", strikes=5)
        stale = {"version": ["1"], "json": ['{"lease_seconds": 300}']}
        answer = await send(browser, "/operator/config/dispatch", stale)
        assert answer.status_code == 200
        assert "Somebody else was here." in answer.text
        assert node.market.config.dispatch.lease_seconds != 300
        again = {name: [hidden(answer.text, name)] for name in ("version", "json")}
        assert (await send(browser, "/operator/config/dispatch", again)).status_code == 303
    assert node.market.config.dispatch.lease_seconds == 300
    assert node.market.config.dispatch.strikes == 5


async def test_a_change_is_simulated_before_it_is_saved(node: Node) -> None:
    await make_operator(node, OPERATOR)
    where = "/operator/config/quality/trial"
    change = {"version": ["1"], "json": ['{"shadow_rate": 0.3, "spot_check_rate": 0.5}']}
    async with browsing(node, OPERATOR) as (browser,):
        browser.http.timeout = httpx.Timeout(60)
        answer = await send(browser, where, change)
        assert answer.status_code == 200
        assert "Put it into force" in answer.text
        assert "Profit" in answer.text
        assert "Platinum: earned for a task" in answer.text
        assert 'class="turn bad">worse' in answer.text, "so many checks cost more"
        assert (await send(browser, "/operator/config/pricing/trial", change)).status_code == 404
    assert node.market.config.quality.shadow_rate != 0.3


class TestInABrowser:
    """The journey."""

    pytestmark = browser_tests

    async def test_an_operator_raises_a_price_and_a_buyer_is_quoted_it(
        self, site: Node, visitors: Visitors
    ) -> None:
        await make_operator(site, OPERATOR)
        buyer = await site.buyer()
        visitor = await visitors()
        page = visitor.page
        await visitor.sign_in(OPERATOR, "/operator")
        await visitor.inspect()
        await visitor.goto("/operator/config")
        await visitor.inspect()
        await page.get_by_role("link", name="Pricing").click()
        await visitor.inspect()
        await page.get_by_label("Min (required)").fill("500")
        await page.get_by_role("button", name="Review the change").click()
        await expect(page.locator("ins")).to_have_text("500")
        await visitor.inspect()
        await page.get_by_role("button", name="Put it into force").click()
        await expect(page.get_by_text("Version 2 of pricing is in force")).to_be_visible()
        quote = await buyer.ok("POST", "/api/task", {"prompt": "hello", "dry_run": True})
        assert quote["price_cents"] == 500

        await visitor.goto("/operator/config/quality")
        await page.get_by_label("Shadow").fill("0.1")
        await page.get_by_role("button", name="Review the change").click()
        await page.get_by_role("button", name="Compare by simulation").click()
        await expect(page.locator("#trial progress")).to_be_visible()
        await expect(page.get_by_text("Platinum: earned for a task")).to_be_visible(timeout=60_000)
        await visitor.inspect()
