"""`GET /metrics` over HTTP: who may read it, what is in it, and that it stays bounded."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from openclaw_jobs.market.prove_regularly import prove_regularly
from tests.market.steps import claim, complete, post
from tests.running import ADMIN_TOKEN, Node, Party, running_node

Series = tuple[str, frozenset[tuple[str, str]]]


async def scrape(party: Party) -> dict[Series, float]:
    """Every series of a scrape, by name and labels."""
    answer = await party.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(series: dict[Series, float], name: str, /, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


def labels_of(series: dict[Series, float], name: str, label: str) -> set[str]:
    return {dict(found)[label] for series_name, found in series if series_name == name}


async def test_only_this_machine_and_the_operator_may_read(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    # Through a proxy on this machine nobody is on this machine, whatever it says and whoever.
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    for party, status in (
        (node.anyone(), 401),
        (node.party("x", "ocw_unknown"), 401),
        (buyer, 403),
        (worker, 403),
        (node.operator(), 200),
    ):
        answer = await party.http.get("/metrics", headers=proxied)
        assert answer.status_code == status, party.id
        assert ("openclaw_" in answer.text) == (status == 200)
    for header in ("X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "Forwarded"):
        answer = await node.anyone().http.get("/metrics", headers={header: "127.0.0.1"})
        assert answer.status_code == 401, header
    assert (await node.anyone().get("/metrics")).status_code == 200
    assert (await node.anyone().post("/metrics")).status_code == 405


async def test_a_trusted_proxy_tells_who_is_on_this_machine(dsn: str) -> None:
    import ipaddress

    trusted = (ipaddress.ip_network("127.0.0.0/8"),)
    async with running_node(dsn, background=False, trusted_proxies=trusted) as node:
        http = node.anyone().http
        for address, status in (("203.0.113.7", 401), ("127.0.0.1", 200)):
            answer = await http.get("/metrics", headers={"X-Forwarded-For": address})
            assert answer.status_code == status, address


async def test_a_task_is_counted_on_its_way(node: Node) -> None:
    buyer, worker, anyone = await node.buyer(), await node.worker(), node.anyone()
    before = await scrape(anyone)
    assert value(before, "openclaw_database_up") == 1
    poll = asyncio.create_task(worker.get("/api/work/next", wait=20))
    async with asyncio.timeout(10):
        while node.services.matcher.parked == 0:  # noqa: ASYNC110 - a fact, not an event
            await asyncio.sleep(0.005)
    assert value(await scrape(anyone), "openclaw_waiters") == 1

    posted = await buyer.ok("POST", "/api/task", {"prompt": "Say hello."}, 201)
    task = (await poll).json()
    receipt = await complete(worker, task)
    after = await scrape(anyone)

    assert value(after, "openclaw_waiters") == 0
    assert (
        value(after, "openclaw_claims_total", category="general")
        + value(after, "openclaw_claims_total", category="other")
        == 1
    )
    assert value(after, "openclaw_wake_up_seconds_count") == 1
    assert 0 < value(after, "openclaw_wake_up_seconds_sum") < 10
    assert value(after, "openclaw_queue_wait_seconds_count") == 1
    assert value(after, "openclaw_settled_tasks_total") == 1
    earned = value(after, "openclaw_settled_cents_total", share="worker")
    assert earned == receipt["earned_cents"] == task["earning_cents"]
    platform = value(after, "openclaw_settled_cents_total", share="platform")
    assert earned + platform == posted["price_cents"]
    name = "openclaw_http_requests_total"
    assert value(after, name, method="POST", route="/api/task", status="201") == 1
    assert value(after, name, method="POST", route="/api/work/submit", status="200") == 1
    assert value(after, "openclaw_http_request_seconds_count", method="GET", route="/api/work/next")


async def test_a_task_that_waited_for_a_worker_is_no_slow_wake_up(node: Node) -> None:
    buyer, worker, anyone = await node.buyer(), await node.worker(), node.anyone()
    await post(buyer)
    await claim(worker)
    after = await scrape(anyone)
    assert value(after, "openclaw_queue_wait_seconds_count") == 1
    assert value(after, "openclaw_wake_up_seconds_count") == 0


async def test_what_the_database_says(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_jobs.market.read_metrics.FRESH_FOR_S", 0.0)
    monkeypatch.setattr("openclaw_jobs.market.read_metrics._REST_PER_WORK", 0)
    async with running_node(dsn, background=False) as node:
        buyer, worker, anyone = await node.buyer(), await node.worker(), node.anyone()
        known = min(node.market.config.pricing.base_cents)
        for category in (known, known, "made-up-1", "made-up-2"):
            await post(buyer, category=category)
        await claim(worker)
        series = await scrape(anyone)

        depths = {c: value(series, "openclaw_queue_tasks", category=c) for c in (known, "other")}
        assert sum(depths.values()) == 3
        assert labels_of(series, "openclaw_queue_tasks", "category") == {
            *node.market.config.pricing.base_cents,
            "other",
        }
        assert value(series, "openclaw_queue_head_age_seconds", category="other") > 0
        assert value(series, "openclaw_leases") == value(series, "openclaw_workers_working") == 1
        assert ("openclaw_ledger_proof_ok", frozenset()) not in series

        assert await prove_regularly(node.market) is True
        assert await prove_regularly(node.market) is None
        series = await scrape(anyone)
        assert value(series, "openclaw_ledger_proof_ok") == 1
        assert value(series, "openclaw_ledger_proof_age_seconds") < 60
        assert value(series, "openclaw_ledger_transfers") > 0
        assert value(series, "openclaw_payouts", state="pending") == 0


async def test_the_database_is_asked_once_however_often_one_scrapes(node: Node) -> None:
    anyone = node.anyone()
    await scrape(anyone)
    before = node.market.db.stats()["requests_num"]
    for _ in range(20):
        await scrape(anyone)
    # The node's own loops read as well, but not so often.
    assert node.market.db.stats()["requests_num"] - before < 10


async def test_without_its_database_a_process_still_tells(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    async def lost(*_: object) -> None:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr("openclaw_jobs.market.read_metrics._read", lost)
    series = await scrape(node.anyone())
    assert value(series, "openclaw_database_up") == 0
    assert ("openclaw_database_up", frozenset()) in series
    assert not [name for name, _ in series if name.startswith("openclaw_queue_tasks")]
    assert value(series, "openclaw_db_pool_max") > 0


async def test_callers_make_no_series(node: Node) -> None:
    buyer, anyone = await node.buyer(), node.anyone()
    before = len(await scrape(anyone))
    for i in range(30):
        await anyone.get(f"/nowhere/{i}")
        await buyer.get(f"/api/task/task_{i}")
        await anyone.http.request("PROPFIND", "/metrics")
    series = await scrape(anyone)
    assert len(series) - before < 80
    routes = labels_of(series, "openclaw_http_requests_total", "route")
    assert "unmatched" in routes
    assert all(not re.search(r"\d", route) for route in routes)
    assert "other" in labels_of(series, "openclaw_http_requests_total", "method")


async def test_refusals_are_counted_by_the_name_of_their_limit(node: Node) -> None:
    anyone = node.anyone()
    await node.configure("rate_limits", connect={"limit": 1, "per_seconds": 60})
    statuses = [(await anyone.post("/api/worker/connect", {})).status_code for _ in range(3)]
    assert statuses == [201, 429, 429]
    series = await scrape(anyone)
    assert value(series, "openclaw_rate_limited_total", limit="connect") == 2


async def test_nothing_secret_and_no_text_is_in_it(node: Node) -> None:
    buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
    await post(buyer, prompt="the colour of the lighthouse", category="text")
    task = await claim(worker)
    await complete(worker, task, "vermilion")
    text = (await operator.get("/metrics")).text
    secrets = [buyer.token, worker.token, ADMIN_TOKEN, task["lease_token"], "lighthouse"]
    ids = [buyer.id, worker.id, task["task_id"], "vermilion", "example.com"]
    assert not [secret for secret in (*secrets, *ids) if secret in text]


async def test_periodic_jobs_and_the_loop_are_watched(dsn: str) -> None:
    async with running_node(dsn) as node:
        anyone = node.anyone()
        async with asyncio.timeout(20):
            while True:
                series = await scrape(anyone)
                jobs = set(_jobs(series))
                if {"recover", "prove-ledger", "report-node"} <= jobs and value(
                    series, "openclaw_event_loop_lag_seconds_count"
                ):
                    break
                await asyncio.sleep(0.05)
        assert value(series, "openclaw_job_runs_total", name="recover", outcome="failed") == 0
        assert value(series, "process_resident_memory_bytes") > 0


def _jobs(series: dict[Series, float]) -> Iterator[str]:
    for name, labels in series:
        if name == "openclaw_job_last_success_timestamp_seconds":
            yield dict(labels)["name"]
